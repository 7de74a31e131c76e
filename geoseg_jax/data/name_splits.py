"""Which pictures train and which evaluate, where a data set is one list of names."""

import difflib
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

from geoseg_jax.data.source import DataError
from geoseg_jax.data.subsets import read_names

# What an evaluation split may be for every data set: all that was not chosen to train on, and the
# pictures trained on themselves. Both depend on the choice, see `labelled.make`.
REST, TRAIN = "rest", "train"
POOL = "pool"


def split_names(
    names: Sequence[str],
    train_split: str,
    eval_split: str,
    named: Mapping[str, Sequence[str]],
) -> tuple[list[str], list[str]]:
    """Names to train on and to evaluate on, each in the order of `names` or of its file.

    eval_split: 'rest' or 'train' (all names: the choice comes later), one of the `named` lists,
    or a file with a name a line. train_split: 'pool', all that eval_split doesn't take, one of the
    `named` lists, or a file. Names of a list that aren't there are passed over; those of a file
    are an error.

    Raises DataError for an unknown split, with the near miss, and for a name that isn't there.
    """
    if eval_split in (REST, TRAIN):
        judged = list(names)
        pool = judged
    else:
        choices = (REST, TRAIN, *named)
        judged = _list(names, eval_split, named, choices, "config.data.eval_split")
        taken = set(judged)
        pool = [name for name in names if name not in taken]
    if train_split != POOL:
        pool = _list(names, train_split, named, (POOL, *named), "config.data.train_split")
    return pool, judged


def held_out(names: Sequence[str], share: float) -> list[str]:
    """About `share` of the names, by their hash: the same ones when others are added.

    At least one. A name is held out where sha256(name), as a fraction of its range, is below share.
    """

    def fraction(name: str) -> float:
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48

    return [name for name in names if fraction(name) < share] or sorted(names, key=fraction)[:1]


def _list(
    names: Sequence[str],
    split: str,
    named: Mapping[str, Sequence[str]],
    choices: Sequence[str],
    key: str,
) -> list[str]:
    there = set(names)
    if split in named:
        found = [name for name in named[split] if name in there]
        if not found:
            raise DataError(f"{key}={split!r}: none of its pictures is there; choose another split")
        return found
    path = pathlib.Path(split).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(split, choices, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"{key}={split!r}: {hint}Neither one of {', '.join(choices)} nor a file")
    found = read_names(path)
    for name in found:
        if name not in there:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{path}: no labelled picture has the name {name!r}{hint}")
    return list(dict.fromkeys(found))
