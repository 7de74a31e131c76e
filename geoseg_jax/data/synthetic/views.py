"""The synthetic world as a set of views: pictures with neighbours, depth, flow and labels."""

import hashlib
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.data.reader import RENDERED, WORLD, Reader
from geoseg_jax.data.source import Record, Source, Wrapper
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import EVAL_SEED, SyntheticSource


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Makes the sources; the evaluation's worlds have a seed of their own.

    config.data: world, train_size, eval_size, seed, height, width, frames, stereo, cache_dir;
    poses: records carry source_poses. All records carry the whole truth otherwise, whatever
    config.data.truth_in_training says: it costs nothing.
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
    if data.get("poses", False):
        return WithPoses(train), WithPoses(evaluation)
    return train, evaluation


class WithPoses(Wrapper):
    """The records of a synthetic source with the exact `source_poses` of their views.

    Beside the rendered set, not in it: pictures are not rendered again for them. They are worked
    out when first asked for and then remembered.
    """

    def __init__(self, source: Any):
        super().__init__(source)
        self._poses: dict[int, np.ndarray] = {}

    def __getitem__(self, index: int) -> Record:
        index = int(index)
        record = self.source[index]
        if index not in self._poses:
            self._poses[index] = self.source.poses(index).astype(np.float32)
        return record | {"source_poses": self._poses[index]}

    def fingerprint(self) -> str:
        """Hashes the source, and that poses are there."""
        return hashlib.sha256(f"{self.source.fingerprint()} poses".encode()).hexdigest()


READER = Reader(make, WORLD | RENDERED, needs=(*WORLD, *RENDERED), poses=True)
