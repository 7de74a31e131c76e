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
        f"{'' if train.get('remat') else 'set config.train.remat=True, '}raise "
        f"config.train.micro_batches={train.get('micro_batches', 1)}, the parts that a batch "
        f"passes through in, or lower config.train.batch_size={train.batch_size}, "
        f"config.train.eval_batch_size={train.eval_batch_size} or the size of the pictures"
    )
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_too_small(error):
            raise
        first = str(error).splitlines()[0]
        raise TrainingError(f"the device is out of memory ({first}); {remedy}") from error


def is_too_small(error: Exception) -> bool:
    """Tells whether it says that a device is out of memory."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
