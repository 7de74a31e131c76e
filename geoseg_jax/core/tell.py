"""What is said on the way to whoever watches."""

import os
import sys


def tell(text: str) -> None:
    """Prints at once. Where nobody listens any more, as behind a pipe or terminal that was closed,
    this and what follows go nowhere: a training is worth more than its log.
    """
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
