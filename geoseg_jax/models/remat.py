"""Blocks whose insides are computed again for the gradient, instead of kept: time for memory.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

from flax import linen as nn

_WANTED = contextvars.ContextVar("remat", default=False)


@contextlib.contextmanager
def traced(wanted: bool) -> Iterator[None]:
    """Traces networks with or without it."""
    token = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


def block(module: Callable[..., nn.Module], *static: int) -> Callable[..., nn.Module]:
    """Returns a class of modules, or one that keeps its inputs alone where that is asked for.

    static: positions of arguments of __call__ that are no arrays, from 1.
    """
    return nn.remat(module, static_argnums=static) if _WANTED.get() else module
