"""An evaluation on random windows whose draws are the same every time."""

import hashlib
from typing import Any

import numpy as np

from geoseg_jax.data.source import Record, Source
from geoseg_jax.data.transforms import Augmentation


class FixedViews:
    """The records of a source, each changed by an augmentation whose draws follow from its index.

    For tasks that compare several windows of a picture: what is judged then differs between two
    evaluations by the network alone. Everything beside the records is the source's own.
    """

    def __init__(self, source: Source, change: Augmentation):
        self.source, self._change = source, change
        self.left_out = dict(source.left_out)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Record:
        return self._change(self.source[index], np.random.default_rng([index]))

    def describe(self, index: int) -> str:
        return self.source.describe(index)

    def fingerprint(self) -> str:
        """Of the source and the augmentation."""
        text = f"{self.source.fingerprint()} {tuple(self._change)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)
