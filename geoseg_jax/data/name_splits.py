"""Which pictures train and which evaluate, where a data set is one list of names."""

import hashlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from absl import logging

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data.source import DataError
from geoseg_jax.data.text_files import Spellings, read_lines

# What an evaluation split may be for every data set: all that was not chosen to train on, and the
# pictures trained on themselves. Both depend on the choice, see `labelled.make`.
REST, TRAIN = "rest", "train"
POOL = "pool"
_VERSION = re.compile(r"\.rf\.[0-9A-Za-z]+$")


def split_names(
    names: Sequence[str],
    train_split: str,
    eval_split: str,
    named: Mapping[str, Sequence[str]],
    files: Mapping[str, pathlib.Path] | None = None,
) -> tuple[list[str], list[str]]:
    """Splits names into those to train and to evaluate on, in the order of `names` or of its file.

    eval_split: 'rest' or 'train' (all names: the choice comes later), one of the `named` lists or
    `files`, or the path of a file with a name a line, with or without its ending. train_split:
    'pool', all that eval_split doesn't take, or a list or file likewise. Of the `named` lists,
    which come with a data set, names that aren't there are passed over: a part of it may be at
    hand. In a file, which somebody wrote for these pictures, they are an error.

    Raises DataError for an unknown split, with the near miss, and for a name that isn't there.
    """
    if eval_split in (REST, TRAIN):
        judged = list(names)
        pool = judged
    else:
        judged = _list(names, eval_split, named, files or {}, "config.data.eval_split")
        taken = set(map(original, judged))  # and other versions of what judges
        pool = [name for name in names if original(name) not in taken]
        apart = len(names) - len(pool) - len(set(judged))
        if apart and train_split == POOL:
            logging.warning(
                "%d pictures are other versions (NAME.rf.HASH) of some that judge, and not "
                "trained on", apart,
            )  # fmt: skip
    if train_split != POOL:
        pool = _list(names, train_split, named, files or {}, "config.data.train_split")
    return pool, judged


def original(name: str) -> str:
    """Returns what all versions of one picture are called: Roboflow's NAME.rf.HASH is NAME.

    An export with augmentation has several of each picture, mirrored or darkened. Where one trains
    and another judges, the score is too high. Other names stay as they are.
    """
    return _VERSION.sub("", name)


def held_out(names: Sequence[str], share: float) -> list[str]:
    """Holds out about `share` of the names, by their hash: the same ones when others are added.

    At least one. A name is held out where sha256(its `original`), as a fraction of its range, is
    below share.
    """

    def fraction(name: str) -> float:
        text = os.fsencode(original(name))  # names of files need not be UTF-8
        digest = hashlib.sha256(text).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    least = min(map(fraction, names), default=0.0)
    return [name for name in names if fraction(name) < share or fraction(name) == least]


def deal(names: Sequence[str], groups: Sequence[str], folds: int) -> list[int]:
    """Deals names into folds of nearly one size, none of whose groups is in two: the fold of each.

    Versions of one picture, see `original`, are a group where no other is given.

    The largest groups come first, equal ones in the order of sha256 of their name, each into the
    fold that has the fewest names by then. So it depends on nothing but what is there.

    groups: of each name, its recording, or '' where it stands for itself.

    Raises DataError for fewer groups than folds.
    """
    members: dict[str, list[int]] = {}
    for index, (name, group) in enumerate(zip(names, groups, strict=True)):
        key = f"recording {group}" if group else f"name {original(name)}"
        members.setdefault(key, []).append(index)
    if len(members) < folds:
        of = f" of {len(members)} recordings or originals" if len(members) < len(names) else ""
        raise DataError(
            f"config.data.folds={folds} is more than there is to deal: {len(names)} labelled "
            f"pictures{of}; set it lower (in a study: by fewer "
            "config.factors.replicate), or label more"
        )

    def order(group: str) -> tuple[int, str]:
        return -len(members[group]), hashlib.sha256(os.fsencode(group)).hexdigest()

    dealt, sizes = [0] * len(names), [0] * folds
    for group in sorted(members, key=order):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(members[group])
        for index in members[group]:
            dealt[index] = fold
    return dealt


def _list(
    names: Sequence[str],
    split: str,
    named: Mapping[str, Sequence[str]],
    files: Mapping[str, pathlib.Path],
    key: str,
) -> list[str]:
    there = set(names)
    if split in files:
        return _read(files[split], names)
    if split in named:
        found = [name for name in named[split] if name in there]
        if not found:
            raise DataError(f"{key}={split!r}: none of its pictures is there; choose another split")
        return found
    path = pathlib.Path(split).expanduser()
    if not path.is_file():
        special = (POOL,) if key.endswith("train_split") else (REST, TRAIN)
        choices = tuple(dict.fromkeys((*special, *named, *files)))
        raise DataError(
            f"{key}={split!r} is neither one of {', '.join(choices)} nor a file"
            f"{did_you_mean(split, choices)}"
        )
    return _read(path, names)


def read_names(path: str | pathlib.Path) -> list[str]:
    """Reads the names in a file, one a line; see `text_files.read_lines`.

    Raises DataError where it can't be read or holds none.
    """
    names = [line for _, line in read_lines(path)]
    if not names:
        raise DataError(f"{path}: the file holds no name; write one a line")
    return names


def _read(path: pathlib.Path, names: Sequence[str]) -> list[str]:
    """Reads the names in a file, each of which must be there, see `text_files.Spellings`."""
    spellings, found = Spellings(names), {}
    for line in read_names(path):
        name = spellings.find(line)
        if name is None:
            hint = did_you_mean(line, names)
            raise DataError(f"{path}: no labelled picture has the name {line!r}{hint}")
        found[name] = None
    return list(found)
