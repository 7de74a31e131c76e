"""Prints progress lines on the terminal; a closed pipe never stops a run."""

import os
import sys


def tell(text: str) -> None:
    """Prints at once. After a pipe or terminal was closed, this and all later text is dropped: a
    training is worth more than its log.
    """
    try:
        print(text, flush=True)
    except OSError:
        if sys.__stdout__:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
