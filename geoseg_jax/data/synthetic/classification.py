"""Rendered pictures of one object each, with its category: classification without any data."""

from ml_collections import ConfigDict

from geoseg_jax.data.reader import RENDERED, Reader
from geoseg_jax.data.source import Source
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import EVAL_SEED, ObjectSource


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Makes the sources; the evaluation's objects have a seed of their own.

    config.data: train_size, eval_size, seed, height, width, cache_dir. Raises DataError for a
    folder that can't be written.
    """
    sets = ((data.train_size, data.seed), (data.eval_size, data.seed + EVAL_SEED))
    train, evaluation = (
        cached_source(ObjectSource(size, seed, data.height, data.width), data.get("cache_dir", ""))
        for size, seed in sets
    )
    return train, evaluation


READER = Reader(make, RENDERED, needs=tuple(RENDERED))
