"""The synthetic world as a set of views: pictures with neighbours, depth, flow and labels."""

from ml_collections import ConfigDict

from geoseg_jax.data.source import Source
from geoseg_jax.data.synthetic import EVAL_SEED, SyntheticSource, cached_source


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Sources to train and to evaluate on; the evaluation's worlds have a seed of their own.

    config.data: world, train_size, eval_size, seed, height, width, frames, stereo, cache_dir. All
    records carry the whole truth whatever config.data.truth_in_training says: it costs nothing.
    Raises DataError for an unknown world or a folder that can't be written.
    """
    settings = {
        "world": data.world,
        "height": data.height,
        "width": data.width,
        "frames": tuple(data.frames),
        "stereo": data.stereo,
    }
    sets = ((data.train_size, data.seed), (data.eval_size, data.seed + EVAL_SEED))
    train, evaluation = (
        cached_source(SyntheticSource(size=size, seed=seed, **settings), data.get("cache_dir", ""))
        for size, seed in sets
    )
    return train, evaluation
