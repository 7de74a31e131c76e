"""An evaluation on random windows whose draws are the same every time."""

import hashlib

import numpy as np

from geoseg_jax.data.source import Record, Source, Wrapper
from geoseg_jax.data.transforms import Augmentation


class FixedViews(Wrapper):
    """The records of a source, each changed by an augmentation whose draws follow from its index.

    For tasks that compare several windows of a picture: what is judged then differs between two
    evaluations by the network alone.
    """

    def __init__(self, source: Source, change: Augmentation):
        super().__init__(source)
        self._change = change

    def __getitem__(self, index: int) -> Record:
        return self._change(self.source[index], np.random.default_rng([index]))

    def fingerprint(self) -> str:
        """Hashes the source and the augmentation."""
        text = f"{self.source.fingerprint()} {tuple(self._change)}"
        return hashlib.sha256(text.encode()).hexdigest()
