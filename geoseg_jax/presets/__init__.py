"""What configs share, so that arms and data sets differ in what is named alone.

Plain data, and the only modules of the package that configs import.
"""
