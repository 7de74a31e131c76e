"""The one error of this package."""


class WeightsError(ValueError):
    """A weights file that can't be used: one line with the file, what is wrong, and the remedy."""
