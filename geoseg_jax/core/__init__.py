"""What every other folder may use: the batch, whole-or-nothing files, near misses, the terminal."""
