"""Settings of config.data, and what goes together."""

from geoseg_jax.core.rules import (
    SHARE,
    area_range,
    choice,
    crop_size,
    each,
    flag,
    frame,
    inner_fold,
    number,
    row_range,
    scale_range,
    text,
    whole,
)
from geoseg_jax.core.setting import ConfigError, Flat, Setting, refuse

_PLACE = {"on_resume": True, "numbers": False, "operations": False}  # where the data lies
_CHOICE = {"operations": False, "split": "train"}  # which records are trained on
# Those of more than one reader, or of what is done with records whatever the reader.
COMMON = {
    "data.name": Setting(text, "the reader"),
    "data.root": Setting(text, "the data's folder", **_PLACE),
    "data.eval_name": Setting(text, "another reader to evaluate on; '': the same", split="eval"),
    "data.eval_root": Setting(text, "its folder", split="eval", **_PLACE),
    "data.train_split": Setting(text, "what is trained on", split="train"),
    "data.eval_split": Setting(text, "what is evaluated on", split="eval"),
    "data.held_out": Setting(
        number(0.0, 1.0, open_below=True), "share that the split 'held_out' takes"
    ),
    "data.truth": Setting(choice("depth", "flow", "none"), "that evaluation needs"),
    "data.truth_in_training": Setting(flag, "records to train on hold the truth as well"),
    "data.constant_frames": Setting(
        whole(1), "frames that the constant answer is made of", split="eval"
    ),
    "data.height": Setting(whole(1), "pixels"),
    "data.width": Setting(whole(1), "pixels"),
    "data.frames": Setting(each(frame), "neighbours in time, 1 for the next"),
    "data.stereo": Setting(flag, "the stereo partner is a source view"),
    "data.poses": Setting(flag, "records tell how the camera moved"),
    "data.flip": Setting(flag, "mirror at random, left to right", records=False),
    "data.flip_vertical": Setting(flag, "mirror at random, top to bottom", records=False),
    "data.scale": Setting(scale_range, "random factors of the picture's size", records=False),
    "data.crop": Setting(crop_size, "pixels of a random window", records=False),
    "data.crop_area": Setting(area_range, "share of a random window, resized", records=False),
    "data.crop_views": Setting(whole(1), "such windows of each picture", records=False),
    "data.central_share": Setting(
        number(0.0, 1.0, open_below=True), "of the picture's side that is evaluated on"
    ),
    "data.fit": Setting(choice("crop", "cover"), "how pictures get their size"),
    "data.workers": Setting(whole(0), "processes that read", records=False, **_PLACE),
    "data.bad_share": Setting(SHARE, "of records that may be unreadable", records=False),
    "data.cache_dir": Setting(text, "where what is made is kept", records=False, **_PLACE),
    "data.classes": Setting(text, "the label table; '': the data set's usual one"),
    "data.labels": Setting(whole(0), "labelled pictures to train on; 0: all", **_CHOICE),
    "data.subset": Setting(whole(-1), "which of them; -1: the first", **_CHOICE),
    "data.subset_seed": Setting(whole(0), "of the choice", **_CHOICE),
    "data.inner_fold": Setting(
        inner_fold, "(FOLD, FOLDS) of those to train on that evaluates", operations=False
    ),
    "data.eval_labels": Setting(choice("full", "resized"), "the size that labels are judged at"),
    "data.picture_resize": Setting(choice("area", "bicubic"), "how pictures are resized"),
    "data.label_resize": Setting(choice("nearest", "bicubic"), "how labels are resized"),
    "data.label_crop": Setting(choice("none", "bottom_right"), "of pictures that miss a margin"),
    "data.train_size": Setting(whole(1), "records that are made to train on"),
    "data.eval_size": Setting(whole(1), "records that are made to evaluate on"),
    "data.seed": Setting(whole(0), "of what is made", operations=False),
    "data.world": Setting(text, "what is rendered"),
    "data.ground_truth": Setting(
        choice("auto", "improved", "velodyne", "eigen", "filled", "raw"), "which depth is true"
    ),
}
# Those of one reader each.
OF_READERS = {
    "data.keep_rows": Setting(row_range, "first and last, shares of the height from above"),
    "data.eval_list": Setting(text, "file of NAME CATEGORY lines to evaluate on", split="eval"),
    "data.dataset": Setting(text, "name in tensorflow-datasets"),
    "data.gap": Setting(whole(0), "frames left out between training and evaluation"),
    "data.frame_stride": Setting(whole(1), "frames from one to the next that is used"),
    "data.min_motion": Setting(SHARE, "change of the picture below which a frame is left out"),
    "data.intrinsics": Setting(choice("given", "fov"), "by a file, or by the field of view"),
    "data.fov": Setting(number(1.0, 175.0), "degrees, horizontal"),
    "data.calibration": Setting(text, "file of the intrinsics"),
    "data.cities": Setting(each(text), "to train on; (): all"),
}
SETTINGS = COMMON | OF_READERS

# What else is needed where a key has a value.
_SPLITS = ("data.root", "data.train_split", "data.eval_split")
_MADE = ("data.train_size", "data.eval_size", "data.seed")
NEEDED = {
    ("data.name", "synthetic"): ("data.world", *_MADE),
    ("data.name", "synthetic_segmentation"): ("data.world", *_MADE),
    ("data.name", "synthetic_objects"): _MADE,
    ("data.name", "packed"): ("data.root", "data.height", "data.width"),
    ("data.name", "tfds"): (*_SPLITS, "data.dataset"),
    ("data.name", "video"): (
        *("data.root", "data.frame_stride", "data.min_motion", "data.held_out", "data.gap"),
        "data.intrinsics",
    ),
    ("data.intrinsics", "given"): ("data.calibration",),
    ("data.intrinsics", "fov"): ("data.fov",),
} | {
    ("data.name", name): _SPLITS
    for name in (
        *("kitti", "kitti_odometry", "kitti_flow", "kitti_semantics"),
        *("cityscapes", "cityscapes_depth", "nyu", "nyu_depth", "camvid", "folder"),
        *("class_folder", "pictures", "middlebury", "flying_chairs"),
    )
}
# Readers whose records can tell how the camera moved, and those of labels that read no files.
WITH_POSES = ("kitti", "kitti_odometry", "synthetic", "packed")
_NO_FILES = ("synthetic_segmentation", "nyu")


def check(flat: Flat) -> None:
    """Refuses settings of the data that don't go together.

    Raises:
      ConfigError: naming the first.
    """
    _check_reader(flat)
    unread = "task.name" in flat and flat.get("task.poses") != "given"
    refuse(
        flat,
        (
            "data.poses",
            unread and flat.get("data.poses", False),
            f"does not go with config.task.poses={flat.get('task.poses', 'learned')!r}; start from "
            "the config's option poses=given or poses=learned",
        ),
    )
    _check_crop(flat)
    _check_crop_area(flat)


def _check_reader(flat: Flat) -> None:
    """Refuses what the reader lacks, and what it can't do."""
    for (key, value), others in NEEDED.items():
        missing = [other for other in others if other not in flat]
        if flat.get(key) == value and missing:
            raise ConfigError(
                f"config.{key}={value!r} needs config.{missing[0]}, which this config file does "
                "not have; start from another one"
            )
    name = flat.get("data.name")
    refuse(
        flat,
        (
            "data.stereo",
            name == "video" and flat.get("data.stereo", False),
            "has no effect: a video has no stereo partner; set it to False, and "
            "config.data.frames=(-1, 1)",
        ),
        (
            "data.poses",
            flat.get("data.poses", False) and name not in WITH_POSES,
            f"needs records with poses, which config.data.name={name!r} does not have; those of "
            f"{', '.join(WITH_POSES)} do; use poses=learned",
        ),
        *(
            (
                f"data.{key}",
                name in _NO_FILES and flat.get(f"data.{key}", usual) != usual,
                f"has no effect without a data set of picture files; set it to {usual!r}",
            )
            for key, usual in (("picture_resize", "area"), ("label_resize", "nearest"))
        ),
    )


def _check_crop(flat: Flat) -> None:
    """Refuses windows that no scaled picture can fill."""
    largest = max(flat.get("data.scale", ()), default=1.0)
    for side, name in zip(flat.get("data.crop", ()), ("height", "width"), strict=False):
        whole_side = flat.get(f"data.{name}", side)
        most = round(whole_side * largest)
        problem = (
            f"is larger than any picture: config.data.{name}={whole_side} times the largest "
            f"config.data.scale, {largest:g}; choose at most {most}"
        )
        refuse(flat, ("data.crop", side > most, problem))


def _check_crop_area(flat: Flat) -> None:
    """Refuses random resized windows beside any other scaling."""
    area, views = flat.get("data.crop_area"), flat.get("data.crop_views", 1)
    needs = "needs config.data.crop_area; set it, as in (0.08, 1.0)"
    refuse(flat, ("data.crop_views", views > 1 and not area, needs))
    for key in ("data.scale", "data.crop", "data.frames", "data.flip_vertical"):
        off = False if flat.get(key) is True else ()
        problem = (
            f"does not go with config.data.crop_area={area}; set it to {off}, or crop_area to ()"
        )
        refuse(flat, (key, bool(area and flat.get(key)), problem))
