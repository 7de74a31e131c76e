"""Few labels: which records of a set are used, as a published list that anyone can make again.

    python -m geoseg_jax.data.labels.subsets NAMES.txt --labels=16 --subset=0 --seed=0

prints the list.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from geoseg_jax.data.name_splits import read_names
from geoseg_jax.data.source import DataError, Record, Source, Wrapper

# What a subset passes on: as it is; its records' share; asked with the index in the source.
_OF_ALL = ("table", "folds", "categories", "words", "videos", "fields")
_OF_EACH = ("names", "items")
_BY_INDEX = ("label", "check", "original", "depth", "has_depth", "flow", "moment", "files", "drive")
FIRST = -1  # the subset of the first names in order


def choose(names: Sequence[str], count: int, subset: int = FIRST, seed: int = 0) -> tuple[int, ...]:
    """Chooses which of the names to use, as indices in the order of choice.

    count: how many; 0 = all, in their own order. subset: -1 = the first by name, as Lao et al.
    (ECCV 2024) do; k from 0 on = the first in the order of sha256 of 'SEED/K/NAME', which depends
    on nothing but the names. Both are nested: 8 are among 16 are among 32.

    Raises DataError for more than there are, for negative numbers and for names that occur twice.
    """
    if count == 0:
        return tuple(range(len(names)))
    if not 0 < count <= len(names):
        raise DataError(
            f"config.data.labels={count}: there are {len(names)} labelled pictures to train on; "
            f"ask for 1 to {len(names)}, or 0 = all"
        )
    if subset < FIRST:
        raise DataError(f"config.data.subset={subset} is none of -1 (the first), 0, 1, 2, ...")
    if len(set(names)) != len(names):
        raise DataError(f"a name occurs twice among the {len(names)} names to choose from")

    def place(index: int) -> str:
        key = os.fsencode(f"{seed}/{subset}/{names[index]}")  # of files, which may not be UTF-8
        return names[index] if subset == FIRST else hashlib.sha256(key).hexdigest()

    return tuple(sorted(range(len(names)), key=place)[:count])


class Subset(Wrapper):
    """Some records of a source, in the order of `indices`, with what its abilities say of them.

    Nothing else of the source is passed on: it would be asked with an index of the subset.
    """

    def __init__(self, source: Source, indices: Sequence[int]):
        super().__init__(source)
        self.indices = tuple(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Record:
        return self.source[self.indices[index]]

    def describe(self, index: int) -> str:
        return self.source.describe(self.indices[index])

    def __getattr__(self, name: str) -> Any:
        if name in _OF_ALL:
            return getattr(self.source, name)
        if name in _OF_EACH:
            each = getattr(self.source, name)
            return [each[i] for i in self.indices]
        if name in _BY_INDEX:
            ask = getattr(self.source, name)
            return lambda index: ask(self.indices[index])
        raise AttributeError(name)

    def fingerprint(self) -> str:
        """Hashes the source and the indices."""
        text = f"{self.source.fingerprint()} {self.indices}"
        return hashlib.sha256(text.encode()).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Returns the command; 2 where the names can't be read or chosen from."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.data.labels.subsets", description="print the names of a subset"
    )
    parser.add_argument("names", help="a file with a name a line")
    parser.add_argument("--labels", type=int, required=True, help="how many; 0 = all")
    parser.add_argument("--subset", type=int, default=FIRST, help="-1 = the first; 0, 1, ...")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        names = read_names(options.names)
        chosen = choose(names, options.labels, options.subset, options.seed)
        print("\n".join(names[i] for i in chosen), flush=True)
    except (DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
