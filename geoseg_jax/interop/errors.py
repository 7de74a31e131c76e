"""The one error of this package."""

from geoseg_jax.core.one_line import one_line


class WeightsError(ValueError):
    """A weights file that can't be used: one line with the file, what is wrong, and the remedy."""

    def __init__(self, text: str):
        super().__init__(one_line(text))
