"""Which split a picture is of, where the folders of an export tell."""

import pathlib
import re

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


def split_of(picture: pathlib.Path, label: pathlib.Path) -> str:
    """'train', 'val' or 'test' by the picture's folders, or by the label file's name; else ''.

    Of folders the nearest counts: val2017 and valid are 'val'.
    """
    for part in (*reversed(picture.parent.parts), *reversed(re.split(r"[_.-]", label.stem))):
        found = _SPLITS.get(re.sub(r"\d+$", "", part.lower()))
        if found:
            return found
    return ""
