"""Which split a picture is of, where the folders of an export tell."""

import pathlib
import re
from collections.abc import Sequence

_SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "val",
    "val": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SPLITS = ("train", "val", "test")


def split_of(
    picture: pathlib.Path, roots: Sequence[pathlib.Path], labels: pathlib.Path | None = None
) -> str:
    """'train', 'val' or 'test' by the picture's folders, or by the name of `labels`; else ''.

    Of folders the nearest counts: val2017 and valid are 'val'. roots: the folders that the user
    names; what they and those above them are called says nothing. labels: a file that holds those
    of many pictures; what is called as one picture says nothing of splits.
    """
    words = re.split(r"[_.-]", labels.stem) if labels else []
    below = [picture.parent.relative_to(r).parts for r in roots if picture.is_relative_to(r)]
    folders = min(below, key=len, default=())
    parts = (*reversed(folders), *reversed(words))
    return next(filter(None, map(split_named, parts)), "")


def split_named(part: str) -> str:
    """'train', 'val' or 'test' where a folder is called so, with a year or without; else ''."""
    return _SPLITS.get(re.sub(r"\d{4}$", "", part.lower()), "")
