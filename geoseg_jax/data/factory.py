"""From a configuration to the sources to train and to evaluate on."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.data import picture_folder
from geoseg_jax.data.cityscapes import depth as cityscapes_depth
from geoseg_jax.data.classes import folder as class_folder
from geoseg_jax.data.classes import tfds as tfds_classification
from geoseg_jax.data.constant import WithConstantDepth
from geoseg_jax.data.fixed_views import FixedViews
from geoseg_jax.data.flow import flying_chairs, middlebury
from geoseg_jax.data.flow.constant import WithConstantFlow
from geoseg_jax.data.kitti import flow as kitti_flow
from geoseg_jax.data.kitti import odometry as kitti_odometry
from geoseg_jax.data.kitti import raw as kitti
from geoseg_jax.data.nyu import depth as nyu_depth
from geoseg_jax.data.packs import packed
from geoseg_jax.data.source import DataError, Source, left_out
from geoseg_jax.data.synthetic import classification as synthetic_objects
from geoseg_jax.data.synthetic import views as synthetic_views
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.data.video import source as video


class Data(NamedTuple):
    """What a run reads: the two sources, ready at config.data.height x width."""

    train: Source
    eval: Source


# What pre-training reads. Each takes config.data and returns (source to train on, source to
# evaluate on); the latter carries the truth that config.data.truth names: 'depth' (the default),
# 'flow' or 'none'. Those of segmentation: labelled.MAKERS.
MAKERS: Mapping[str, Callable[[ConfigDict], tuple[Source, Source]]] = {
    "kitti": kitti.make,
    "kitti_odometry": kitti_odometry.make,
    "cityscapes_depth": cityscapes_depth.make,
    "nyu_depth": nyu_depth.make,
    "kitti_flow": kitti_flow.make,
    "middlebury": middlebury.make,
    "flying_chairs": flying_chairs.make,
    "synthetic": synthetic_views.make,
    "video": video.make,
    "synthetic_objects": synthetic_objects.make,
    "class_folder": class_folder.make,
    "tfds": tfds_classification.make,
    "pictures": picture_folder.make,
    "packed": packed.make,
}
# Those whose splits are folders or drives.
_BY_FOLDER = ("kitti", "kitti_odometry", "cityscapes_depth")


def make_data(config: ConfigDict, *, check_labels: bool = True) -> Data:
    """The sources that `config.data` describes; `config.data.name` says of which kind.

    Kinds: those of MAKERS for pre-training, those of `labelled.MAKERS` for segmentation.
    check_labels: read all labels once (see `labelled.make`), as before a training.
    Raises DataError, before anything is trained, for data that is missing, malformed or empty.
    """
    from geoseg_jax.data import labelled  # here, so that its parts can also run as commands

    data, name = config.data, config.data.name
    _check_name("name", name, (*MAKERS, *labelled.MAKERS))
    if name in labelled.MAKERS:
        train, evaluation = labelled.make(data, check=check_labels)
    elif data.get("eval_name"):
        train, evaluation = _from_two(data)
    else:
        train, evaluation = MAKERS[name](data)
    for split, source in (("train", train), ("eval", evaluation)):
        # Who looks at the terminal alone shall know what is missing.
        log = logging.warning if source.left_out else logging.info
        log("%s: %d records; left out: %s", split, len(source), left_out(source))
    truth = data.get("truth", "depth") if name in MAKERS else "none"
    # What was packed holds its constant answer already.
    if f"constant_{truth}" in getattr(evaluation, "fields", ()):
        truth = "none"
    if truth == "depth":
        evaluation = _with_constant_depth(data, train, evaluation)
    if truth == "flow":
        evaluation = _with_constant_flow(data, train, evaluation)
    if data.get("crop_views", 1) > 1:  # what compares windows is judged on windows as well
        evaluation = FixedViews(evaluation, augmentation(data))
    return Data(train, evaluation)


def _check_name(key: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        hint = did_you_mean(name, known)
        raise DataError(f"config.data.{key}={name!r} is none of {', '.join(known)}{hint}")


def _from_two(data: ConfigDict) -> tuple[Source, Source]:
    """Trained on what config.data.name says, judged on config.data.eval_name in eval_root."""
    _check_name("eval_name", data.eval_name, tuple(MAKERS))
    if not data.get("eval_root"):
        raise DataError(
            f"config.data.eval_root is empty; set it to the folder of {data.eval_name}, or judge "
            f"on {data.name} itself by config.data.eval_name=''"
        )
    first, second = (ConfigDict(data.to_dict()) for _ in range(2))
    # The split that isn't used must be one that its set knows: folders and drives are theirs alone,
    # 'train' and 'pool' are known to all that have one list of names.
    unused = data.train_split if data.name in _BY_FOLDER else "train"
    first.update({"eval_name": "", "eval_split": unused, "truth": "none"})
    unused = data.eval_split if data.eval_name in _BY_FOLDER else "pool"
    second.update({"name": data.eval_name, "root": data.eval_root, "eval_name": ""})
    second.update({"train_split": unused})
    return MAKERS[data.name](first)[0], MAKERS[data.eval_name](second)[1]


def _with_constant_depth(data: ConfigDict, train: Source, evaluation: Source) -> Source:
    return WithConstantDepth(evaluation, train, **_of_constant(data))


def _with_constant_flow(data: ConfigDict, train: Source, evaluation: Source) -> Source:
    return WithConstantFlow(evaluation, train, **_of_constant(data))


def _of_constant(data: ConfigDict) -> dict[str, Any]:
    size = {"height": data.height, "width": data.width}
    share = data.get("bad_share", 0.0)
    return size | {"limit": data.get("constant_frames", 200), "bad_share": share}
