"""Says what to do where a batch does not fit the memory of a device."""

import contextlib
from collections.abc import Iterator

import jax
from ml_collections import ConfigDict

from geoseg_jax.training.monitor import TrainingError


@contextlib.contextmanager
def fits(config: ConfigDict) -> Iterator[None]:
    """Turns the error of a device that is out of memory into one line with the remedy.

    Raises:
      TrainingError: naming the batch and the settings to change.
    """
    train = config.train
    remedy = (
        "set config.train.remat=True, raise "
        f"config.train.micro_batches={train.get('micro_batches', 1)}, the parts that a batch "
        f"passes through in, or lower config.train.batch_size={train.batch_size}, "
        f"config.train.eval_batch_size={train.eval_batch_size} or the size of the pictures"
    )
    with _told(remedy):
        yield


@contextlib.contextmanager
def fits_together(runs: int) -> Iterator[None]:
    """Does as `fits`, for so many runs that are trained at once.

    Raises:
      TrainingError: naming their number.
    """
    with _told(f"train fewer than {runs} runs at once (--stack)"):
        yield


@contextlib.contextmanager
def _told(remedy: str) -> Iterator[None]:
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        first = str(error).splitlines()[0]
        raise TrainingError(f"the device is out of memory ({first}); {remedy}") from error
