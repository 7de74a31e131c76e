"""Settings of config.data that all readers share, and what goes together."""

import pathlib

from ml_collections import ConfigDict

from geoseg_jax.core.places import check_local
from geoseg_jax.core.rules import (
    SHARE,
    area_range,
    choice,
    crop_size,
    each,
    flag,
    frame,
    scale_range,
    text,
    whole,
)
from geoseg_jax.core.setting import ConfigError, Flat, Setting, refuse
from geoseg_jax.data.readers import READERS

_PLACE = {"on_resume": True, "numbers": False, "operations": False}  # where the data lies
# Those of all readers, and of what is done with records; the others stand with their readers.
SETTINGS = {
    "data.name": Setting(text, "the reader"),
    "data.root": Setting(text, "the data's folder", **_PLACE),
    "data.eval_name": Setting(text, "another reader to evaluate on; '': the same", split="eval"),
    "data.eval_root": Setting(text, "folder of data.eval_name", split="eval", **_PLACE),
    "data.train_split": Setting(text, "split to train on", split="train"),
    "data.eval_split": Setting(text, "split to evaluate on", split="eval"),
    "data.truth": Setting(choice("depth", "flow", "none"), "ground truth that evaluation needs"),
    "data.truth_in_training": Setting(flag, "training records have the ground truth too"),
    "data.constant_frames": Setting(
        whole(1), "training frames of the constant prediction", split="eval"
    ),
    "data.height": Setting(whole(1), "pixels"),
    "data.width": Setting(whole(1), "pixels"),
    "data.frames": Setting(each(frame), "source views by offset in time, 1 for the next frame"),
    "data.stereo": Setting(flag, "the stereo partner is a source view"),
    "data.poses": Setting(flag, "records have the camera's motion"),
    "data.flip": Setting(flag, "mirror at random, left to right", records=False),
    "data.flip_vertical": Setting(flag, "mirror at random, top to bottom", records=False),
    "data.scale": Setting(scale_range, "least and most random zoom", records=False),
    "data.crop": Setting(crop_size, "height and width of a random window, pixels", records=False),
    "data.crop_area": Setting(area_range, "least and most share of a random window", records=False),
    "data.crop_views": Setting(whole(1), "random windows per picture", records=False),
    "data.workers": Setting(whole(0), "processes that read data", records=False, **_PLACE),
    "data.bad_share": Setting(SHARE, "share of records that may be unreadable", records=False),
    "data.cache_dir": Setting(
        text, "folder for rendered and decoded data", records=False, **_PLACE
    ),
}


def with_absolute_roots(config: ConfigDict) -> ConfigDict:
    """Returns the config with its data's folders absolute: it is read again from elsewhere.

    Raises:
      ConfigError: one is an address.
    """
    config = config.copy_and_resolve_references()
    for key in ("root", "eval_root", "cache_dir"):
        if folder := config.get("data", {}).get(key):
            check_local(folder, f"config.data.{key}")
            config.data[key] = str(pathlib.Path(folder).expanduser().absolute())
    return config


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
    name = flat["data.name"]
    if name not in READERS:
        return  # make_data says so, with the near miss
    reader = READERS[name]
    missing = [key for key in reader.needs if key not in flat]
    if missing:
        raise ConfigError(
            f"config.data.name={name!r} needs config.{missing[0]}, which this config file does not "
            "have; start from another one"
        )
    reader.check(flat)
    wants_poses = flat.get("data.poses", False)
    with_poses = [n for n, r in READERS.items() if r.poses] if wants_poses else []
    refuse(
        flat,
        (
            "data.poses",
            wants_poses and not reader.poses,
            f"needs records with poses, which config.data.name={name!r} does not have; those of "
            f"{', '.join(with_poses)} do; use poses=learned",
        ),
        *(
            (
                key,
                reader.labelled and key not in reader.settings and flat.get(key, usual) != usual,
                f"has no effect without a data set of picture files; set it to {usual!r}",
            )
            for key, usual in (("data.picture_resize", "area"), ("data.label_resize", "nearest"))
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
