"""Pictures of one thing each, in a folder for each class, as ImageNet comes (Russakovsky et al.).

    ROOT/train/CLASS/*.JPEG     in folders below it if you like
    ROOT/val/CLASS/*.JPEG, or ROOT/val/*.JPEG whose classes a list names
    ROOT/words.txt              `CLASS names` a line, for people; LOC_synset_mapping.txt likewise

Classes are numbered in the order of their names, as torchvision and Caffe number ImageNet's.
"""

import os
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.rules import text
from geoseg_jax.core.setting import Setting
from geoseg_jax.data import walk
from geoseg_jax.data.fit import Fit, fits
from geoseg_jax.data.name_splits import held_out
from geoseg_jax.data.picture_folder import PictureFolder
from geoseg_jax.data.reader import ANY_SIZE, SHARE_HELD_OUT, Reader
from geoseg_jax.data.source import DataError, Record
from geoseg_jax.data.text_files import plain_path, read_lines

LAYOUT = "ROOT/train/CLASS/*.JPEG with ROOT/val/CLASS/*.JPEG, or ROOT/val/*.JPEG and a list"
HOW_TO_GET = "unpack ILSVRC2012_img_train.tar and its inner archives, a folder for each class"
HELD_OUT = "held_out"
LISTS = ("val.txt", "val/val_annotations.txt", "LOC_val_solution.csv")
WORDS = ("words.txt", "LOC_synset_mapping.txt")
NO_CLASS, NO_PICTURE = "picture in no folder of a class", "folder of a class without a picture"


def make(data: ConfigDict) -> tuple["ClassFolder", "ClassFolder"]:
    """Makes the sources to train and to evaluate on, both with the classes of training.

    config.data: root; train_split, a folder of ROOT with a folder for each class ('.' for ROOT
    itself); eval_split, likewise, a folder of pictures whose classes eval_list names, or
    'held_out', a share (held_out) of the training pictures by the hash of their names; eval_list,
    a file of `NAME CLASS` lines, '' = whichever of LISTS is there, else the classes are what the
    pictures' names start with (CLASS_...). For the size of pictures see `fit.fits`.

    Raises DataError where folders are missing or empty, or a picture's class is unknown.
    """
    root = pathlib.Path(data.root).expanduser()
    to_train, to_judge = fits(data)
    train, left_out = _by_folder(root, data.train_split)
    if not train:
        raise DataError(
            f"config.data.train_split={data.train_split!r}: no picture in a folder of "
            f"{root / data.train_split}; looked for {LAYOUT}; {HOW_TO_GET}"
        )
    categories = tuple(sorted(set(train.values())))
    judged_left_out: Counter[str] = Counter()
    if data.eval_split == HELD_OUT:
        judged = {name: train[name] for name in held_out(list(train), data.get("held_out", 0.1))}
        train = {name: category for name, category in train.items() if name not in judged}
    else:
        judged, judged_left_out = _judged(
            root, data.eval_split, data.get("eval_list", ""), categories
        )
    words = read_words(root)
    return (
        ClassFolder(root, train, categories, to_train, words, left_out),
        ClassFolder(root, judged, categories, to_judge, words, judged_left_out),
    )


class ClassFolder(PictureFolder):
    """Picture files with a category each, as a Source of {image, category}.

    classes: published name (a path within root, with its ending) -> name of its class, in the order
    to serve. categories: the classes' names, in the order of their numbers. words: category -> what
    people call it. root, fit, left_out: as PictureFolder's, of folders too.
    """

    def __init__(
        self,
        root: pathlib.Path,
        classes: Mapping[str, str],
        categories: Sequence[str],
        fit: Fit,
        words: Mapping[str, str] | None = None,
        left_out: Mapping[str, int] | None = None,
    ):
        super().__init__(root, list(classes), fit, left_out)
        self.categories = tuple(categories)
        self.words = tuple((words or {}).get(name, name) for name in self.categories)
        number = {name: i for i, name in enumerate(self.categories)}
        self._numbers = np.array([number[name] for name in classes.values()], np.int32)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord where the picture can't be read."""
        return {**super().__getitem__(index), "category": self._numbers[index]}

    def category(self, index: int) -> int:
        """Returns the number of the record's class, without reading its picture."""
        return int(self._numbers[index])

    def drive(self, index: int) -> None:
        """Returns None: each picture is taken somewhere else."""

    def fingerprint(self) -> str:
        """Hashes the names, the classes, the fit and a sample of the pictures' sizes on disk."""
        what = (self.categories, tuple(self._fit))
        return self._hash(what, self._numbers.astype("<i4").tobytes())


def read_words(root: pathlib.Path) -> dict[str, str]:
    """Maps class -> its first name for people, from the first of WORDS in root; {} without one."""
    path = next((root / name for name in WORDS if (root / name).is_file()), None)
    if path is None:
        return {}
    lines = (line.split(maxsplit=1) for _, line in read_lines(path))
    return {pair[0]: pair[1].split(",")[0].strip() for pair in lines if len(pair) == 2}


def _by_folder(root: pathlib.Path, split: str) -> tuple[dict[str, str], Counter[str]]:
    """Maps published name -> class for pictures in folders of root / split; what is left out."""
    names, left_out = list_pictures(root, split)
    depth = len(pathlib.PurePath(split).parts)
    found = {}
    for name in names:
        parts = name.split("/")
        if len(parts) > depth + 1:
            found[name] = parts[depth]
        else:
            left_out[NO_CLASS] += 1
    empty = set(walk.list_folder(root / split).folders).difference(found.values())
    left_out[NO_PICTURE] = len(empty) if found else 0
    return found, +left_out


def list_pictures(root: pathlib.Path, split: str) -> tuple[list[str], Counter[str]]:
    """Finds the pictures below root / split.

    Returns:
      Their published names, paths within root with endings; and what was passed over.
    """
    files, passed_over = walk.walk(root / split, walk.PICTURES)
    within = pathlib.PurePath(split).as_posix()
    prefix = "" if within == "." else f"{within}/"
    return [prefix + name for name in files], passed_over


def _judged(
    root: pathlib.Path, split: str, list_file: str, categories: Sequence[str]
) -> tuple[dict[str, str], Counter[str]]:
    """Maps published name -> class for the pictures to evaluate on, by folder, list or name.

    And what was left out.
    """
    names, left_out = list_pictures(root, split)
    if not names:
        raise DataError(
            f"config.data.eval_split={split!r}: no picture below {root / split}; name a folder of "
            f"config.data.root, or '{HELD_OUT}' for a share of the training pictures"
        )
    by_folder, without = _by_folder(root, split)
    strangers = sorted(set(by_folder.values()) - set(categories))
    # Where no folder is a class at all (val/images), folders don't tell the classes.
    if by_folder and not list_file and set(strangers) != set(by_folder.values()):
        if strangers:
            raise _stranger(f"{root / split / strangers[0]}", strangers[0], categories)
        return by_folder, without
    places = (pathlib.Path(list_file).expanduser(),) if list_file else (root / n for n in LISTS)
    path = next((place for place in places if place.is_file()), None)
    if path is None and list_file:
        raise DataError(f"config.data.eval_list={list_file!r}: no such file")
    if path is None:
        return {name: _class_in_name(root, name, categories) for name in names}, left_out
    return _by_list(names, read_list(path, categories), path, root), left_out


def _by_list(
    names: Sequence[str], listed: Mapping[str, str], path: pathlib.Path, root: pathlib.Path
) -> dict[str, str]:
    """Maps published name -> class, where the list at `path` names each picture, `listed` -> class.

    By the end of its path: a file name alone may stand for a picture as long as there is just one.

    Raises:
      DataError: for a picture without a line, and a line that names two.
    """
    found, taken = {}, dict[str, str]()
    for name in names:
        parts = os.path.splitext(name)[0].split("/")
        ends = ("/".join(parts[place:]) for place in range(len(parts)))
        line = next((end for end in ends if end in listed), None)
        if line is None:
            raise DataError(f"{path}: it has no line for {root / name}; complete the list")
        if line in taken:
            raise DataError(
                f"{path}: {line!r} may be {taken[line]} or {name}; write their folders in the list"
            )
        found[name], taken[line] = listed[line], name
    return found


def read_list(path: pathlib.Path, categories: Sequence[str]) -> dict[str, str]:
    """Maps a picture's path, as far as it is written, without ending -> its class.

    From lines `NAME CLASS ...`. CLASS is a name, or its number from 0 on as in Caffe's val.txt;
    what follows is passed over, as in the lists of Tiny ImageNet and of Kaggle (NAME,CLASS x y x
    y). Raises DataError for an unknown class, and for a picture with two.
    """
    known, found = set(categories), dict[str, str]()
    numbered = {str(number): category for number, category in enumerate(categories)}
    for number, line in read_lines(path):
        words = line.replace(",", " ").split()
        if len(words) < 2 or line.startswith("ImageId,"):
            continue
        category = words[1] if words[1] in known else numbered.get(words[1], words[1])
        if category not in known:
            raise _stranger(f"{path}:{number}", category, categories)
        name = os.path.splitext(plain_path(words[0]).strip("/"))[0]
        if found.setdefault(name, category) != category:
            raise DataError(f"{path}:{number}: {name!r} is {found[name]!r} in another line")
    return found


def _class_in_name(root: pathlib.Path, name: str, categories: Sequence[str]) -> str:
    """Returns the class of `CLASS_more.JPEG`."""
    category = pathlib.PurePath(name).stem.rpartition("_")[0]
    if category not in categories:
        raise DataError(
            f"{root / name}: its class is unknown; write {root / LISTS[0]} with `NAME CLASS` a "
            "line, or name such a file by config.data.eval_list"
        )
    return category


def _stranger(where: str, category: str, categories: Sequence[str]) -> DataError:
    hint = did_you_mean(category, categories)
    return DataError(f"{where}: {category!r} is no class of the training pictures{hint}")


LIST = {
    "data.eval_list": Setting(text, "NAME CLASS lines; '': the usual files of ROOT", split="eval")
}
READER = Reader(make, ANY_SIZE | SHARE_HELD_OUT | LIST, layout=LAYOUT, how_to_get=HOW_TO_GET)
