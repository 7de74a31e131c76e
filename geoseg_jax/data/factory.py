"""From a configuration to the sources to train and to evaluate on."""

import difflib
from typing import NamedTuple

from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data.constant import WithConstantDepth
from geoseg_jax.data.kitti import KittiSource, resolve_ground_truth
from geoseg_jax.data.kitti_tree import HOW_TO_GET, LAYOUT, KittiTree
from geoseg_jax.data.source import DataError, Source
from geoseg_jax.data.splits import split_frames
from geoseg_jax.data.synthetic import EVAL_SEED, SyntheticSource, cached_source


class Data(NamedTuple):
    """What a run reads: the two sources, ready at config.data.height x width."""

    train: Source
    eval: Source


def make_data(config: ConfigDict, *, check_labels: bool = True) -> Data:
    """The sources that `config.data` describes; `config.data.name` says of which kind.

    Kinds: kitti and synthetic for depth, those of `labelled.MAKERS` for segmentation.
    check_labels: read all labels once (see `labelled.make`), as before a training.
    Raises DataError, before anything is trained, for data that is missing, malformed or empty.
    """
    from geoseg_jax.data import labelled  # here, so that its parts can also run as commands

    depth = {"kitti": _kitti, "synthetic": _synthetic}
    name, known = config.data.name, (*depth, *labelled.MAKERS)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(f"config.data.name={name!r} is none of {', '.join(known)}{hint}")
    if name in depth:
        train, evaluation = depth[name](config.data)
    else:
        train, evaluation = labelled.make(config.data, check=check_labels)
    for split, source in (("train", train), ("eval", evaluation)):
        # Who looks at the terminal alone shall know what is missing.
        log = logging.warning if source.left_out else logging.info
        log("%s: %d records; left out: %s", split, len(source), _left_out(source))
    if name not in depth:
        return Data(train, evaluation)
    size = {"height": config.data.height, "width": config.data.width}
    limit = config.data.get("constant_frames", 200)
    share = config.data.get("bad_share", 0.0)
    constant = WithConstantDepth(evaluation, train, **size, limit=limit, bad_share=share)
    return Data(train, constant)


def _kitti(data: ConfigDict) -> tuple[Source, Source]:
    if not data.root:
        raise DataError(
            f"config.data.root is empty; set it to the folder ROOT of {LAYOUT}; {HOW_TO_GET}"
        )
    tree = KittiTree(data.root)
    targets = split_frames(tree, data.train_split, "config.data.train_split")
    judged = targets
    if data.eval_split != "train":
        judged = split_frames(tree, data.eval_split, "config.data.eval_split")
    settings = {
        "height": data.height,
        "width": data.width,
        "frames": tuple(data.frames),
        "stereo": data.stereo,
        # One kind for the evaluation and for the constant map that it is compared with.
        "ground_truth": resolve_ground_truth(tree, judged, data.get("ground_truth", "auto")),
    }
    train = KittiSource(tree, targets, **settings)
    if len(train) == 0:
        raise DataError(
            f"config.data.train_split={data.train_split!r}: no frame to train on under "
            f"{tree.root}; left out: {_left_out(train)}; get more drives, or ask for fewer views "
            "by config.data.frames and config.data.stereo"
        )
    if data.eval_split == "train":
        logging.warning(
            "config.data.eval_split=train: EVALUATING ON THE TRAINING FRAMES that have ground "
            "truth. The network has seen these pictures; report the numbers as transductive."
        )
        judged = train.targets
    # Views are only looked at in evaluation: no frame is left out for lack of a neighbour.
    evaluation = KittiSource(tree, judged, **settings, with_depth=True, needs_neighbours=False)
    if len(evaluation) == 0:
        raise DataError(
            f"config.data.eval_split={data.eval_split!r}: no frame with ground truth under "
            f"{tree.root} (left out: {_left_out(evaluation)}); get the drives with their "
            "velodyne_points, or evaluate on training frames by --config.data.eval_split=train, "
            "or name a file of frames"
        )
    return train, evaluation


def _synthetic(data: ConfigDict) -> tuple[Source, Source]:
    settings = {
        "world": data.world,
        "height": data.height,
        "width": data.width,
        "frames": tuple(data.frames),
        "stereo": data.stereo,
    }
    sets = ((data.train_size, data.seed), (data.eval_size, data.seed + EVAL_SEED))
    train, evaluation = (
        cached_source(SyntheticSource(size=size, seed=seed, **settings), data.get("cache_dir", ""))
        for size, seed in sets
    )
    return train, evaluation


def _left_out(source: Source) -> str:
    return ", ".join(f"{count} x {why}" for why, count in source.left_out.items()) or "none"
