"""What a reader of a data set declares, and the settings that several readers share."""

import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from geoseg_jax.core.rules import choice, inner_fold, number, text, whole
from geoseg_jax.core.setting import Flat, Setting
from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.data.source import DataError, Source

Settings = Mapping[str, Setting]
_CHOICE = {"operations": False, "split": "train"}  # which records are trained on
FILES = ("data.root", "data.train_split", "data.eval_split")  # what most readers need


class Reader(NamedTuple):
    """A kind of data that config.data.name may ask for.

    make: config.data -> (source to train on, source to evaluate on). The latter carries the truth
      that config.data.truth names: 'depth' (the default), 'flow' or 'none'; of labelled data both
      carry labels, and for eval_split 'rest' and 'train' both hold the same pictures, see
      `labelled.make`. Raises DataError for what can't be used.
    settings: what it reads of the configuration beside the settings that all readers have.
    needs: keys of the configuration that it can't do without.
    layout, how_to_get: a line each: what lies at config.data.root, and where it comes from. Without
      a layout the root may be empty.
    labelled: the data has labels to segment by, of which few can be chosen; otherwise it is for
      pre-training.
    table: config.data -> the classes of the labels, without reading any data; None where the data
      tells them.
    poses: records can tell how the camera moved, for config.data.poses.
    own_splits: splits are folders, drives or sequences; otherwise lists of names, of which every
      such reader knows 'train' and 'pool'.
    check: raises ConfigError for settings that don't go together.
    """

    make: Callable[[ConfigDict], tuple[Source, Source]]
    settings: Settings = types.MappingProxyType({})
    needs: tuple[str, ...] = FILES
    layout: str = ""
    how_to_get: str = ""
    labelled: bool = False
    table: Callable[[Mapping[str, Any]], LabelTable] | None = None
    poses: bool = False
    own_splits: bool = False
    check: Callable[[Flat], None] = lambda flat: None

    def read(self, data: ConfigDict, key: str = "root") -> tuple[Source, Source]:
        """Calls `make` once what config.data.root names is there; `key` names it in an error."""
        looked_for = "; ".join(filter(None, (self.layout, self.how_to_get)))
        if self.layout and not data.root:
            raise DataError(f"config.data.{key} is empty; set it to where this lies: {looked_for}")
        if self.layout and not pathlib.Path(data.root).expanduser().exists():
            raise DataError(
                f"config.data.{key}={data.root!r} is not there; looked for {looked_for}"
            )
        return self.make(data)


LABELLED: Settings = {
    "data.classes": Setting(text, "label table, or a class list's path; '' = the data's usual one"),
    "data.labels": Setting(whole(0), "labelled pictures to train on; 0: all", **_CHOICE),
    "data.subset": Setting(
        whole(-1),
        "subset of labels; -1: the first by name; k >= 0: by hash",
        **_CHOICE,
    ),
    "data.subset_seed": Setting(whole(0), "seed of that hash", **_CHOICE),
    "data.inner_fold": Setting(
        inner_fold,
        "(k, n): evaluate on the k-th of n folds of the labels, train on the rest",
        operations=False,
    ),
}
LABELLED_FRAMES: Settings = LABELLED | {
    "data.eval_labels": Setting(choice("full", "resized"), "size of evaluation labels"),
    "data.label_crop": Setting(
        choice("none", "bottom_right"), "bottom_right: whole labels of cropped pictures"
    ),
}
LABELLED_FILES: Settings = LABELLED_FRAMES | {
    "data.picture_resize": Setting(choice("area", "bicubic"), "interpolation of pictures"),
    "data.label_resize": Setting(
        choice("nearest", "bicubic"),
        "interpolation of labels; bicubic mixes ids, a fault kept for comparison",
    ),
}
SHARE_HELD_OUT: Settings = {
    "data.held_out": Setting(number(0.0, 1.0, open_below=True), "share held out for evaluation")
}
ANY_SIZE: Settings = {
    "data.fit": Setting(choice("crop", "cover"), "evaluate on the middle, or on the whole"),
    "data.central_share": Setting(
        number(0.0, 1.0, open_below=True), "side of the middle crop over the picture's short side"
    ),
}
TRUTH: Settings = {
    "data.ground_truth": Setting(
        choice("auto", "improved", "velodyne", "eigen", "filled", "raw"),
        "KITTI: auto, improved, velodyne, eigen; NYUv2: filled, raw",
    )
}
RENDERED: Settings = {
    "data.train_size": Setting(whole(1), "records to train on"),
    "data.eval_size": Setting(whole(1), "records to evaluate on"),
    "data.seed": Setting(whole(0), "seed; evaluation has another", operations=False),
}
WORLD: Settings = {"data.world": Setting(text, "street or room")}
