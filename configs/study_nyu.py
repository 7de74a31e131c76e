"""NYUv2: does supervised depth on its own frames help its segmentation more than classification?

    python -m geoseg_jax.study --config=configs/study_nyu.py --workdir=W \
        --config.roots.nyu=/data/nyu --config.roots.classes=/data/tiny_imagenet --dry_run

Arms: random weights, classification of pictures in a folder per class, inpainting and supervised
depth on NYUv2's training frames, and depth started from classification; 16, 64 and all (0) labels,
795 in the official split, fine-tuned and frozen. Options behind the colon: start and sweep of
geoseg_jax/presets/studies.py, and
  official               trains on the official 795 frames, evaluates on the 654 (the default)
  held_out               for a part of the data set: holds a fifth of the frames out of depth,
                         inpainting and segmentation alike, and evaluates on it
  resolution=448x384     of all pre-trainings on NYUv2 and of the target; Lao et al. (ECCV 2024)
                         train depth at this one
  small                  for two CPU cores, as docs/preregistration.md says: half a ResNet-18,
                         whole pictures of 96x64, 13 classes, 16 and all labels, no inpainting;
                         resolution is the target's alone
The paper's public code does not show how it fine-tuned on NYUv2: there is no preset=paper_code.
Budget in pictures, of `small` in FLOP. Hardware: a GPU, on which the whole was not run; `small`
took 4.5 hours of a core (docs/results/nyu.md). Its rate was tried out on a fourth of its training
pictures: random weights reach 16 % in 2,400 steps at 1e-3 and 15 % at 2e-3. From windows of 96x64
out of 120x90, zoomed by 0.8 to 1.5, it was 9 to 10 %, also of two encoders that were pre-trained.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.readers import NYU_SPLIT, NYU_SPLITS
from geoseg_jax.presets.studies import (
    CALIBRATED,
    IMAGENET,
    RANDOM,
    SMALL,
    START,
    SWEEP,
    refuse_imagenet,
    short_cells,
    started,
    starts,
    study,
    sweep,
)
from geoseg_jax.presets.two_cores import CLASSIFICATION, DECODER, KINECT, LONG, NETWORK, SHARED


def get_config(arg: str = "") -> ConfigDict:
    known = {
        "split": NYU_SPLIT,
        "resolution": Option("", "width x height of the pictures; nothing: 448x384, small 96x64"),
        "small": SMALL,
        "start": START,
        "sweep": SWEEP,
    }
    options = argument.parse(arg, known, "study_nyu.py")
    size = options["resolution"] or ("96x64" if options["small"] else "448x384")
    height, width = argument.size(size, "study_nyu.py:resolution")
    trained, judged = NYU_SPLITS[options["split"]]
    splits = {"train_split": trained, "eval_split": judged}
    start = starts(options["start"])
    given = {
        "title": "NYUv2",
        "question": "What helps segmentation indoors more, depth or classification?",
        "contrasts": (
            (started("depth_supervised", start), "classification"),
            ("classification_depth", "classification"),
        ),
        "roots": {"nyu": "", "classes": ""} | ({"imagenet": ""} if "imagenet" in start else {}),
    }
    tried = sweep(options["sweep"])
    if options["small"]:
        refuse_imagenet("study_nyu.py", start)
        return _small(splits, (height, width), start, tried, given)
    return _whole({"height": height, "width": width} | splits, size, start, tried, given)


def _whole(data: dict, size: str, start: tuple[str, ...], tried: dict, given: dict) -> ConfigDict:
    reconstruction = {
        "name": "reconstruction",
        "label": "Inpainting",
        "config": "configs/reconstruct_kitti.py",
        "set": {"data": data | {"name": "nyu_depth", "ground_truth": "filled"}},
        "root": "nyu",
    }
    return study(
        (*_arms({}, {"data": data | {"scale": (), "crop": ()}}, start), reconstruction),
        {"labels": (16, 64, 0), "training": ("fine_tuned", "frozen"), "resolution": (size,)},
        tried,
        budget={"measure": "images", "amount": 80_000},
        target={
            "config": "configs/segment_nyu.py",
            "root": "nyu",
            "set": {
                "data": {key: data[key] for key in ("train_split", "eval_split")},
                "optimizer": {"layer_decay": 1.0},
            }
            | CALIBRATED,
        },
        **given,
    )


def _small(
    splits: dict, size: tuple[int, int], start: tuple[str, ...], tried: dict, given: dict
) -> ConfigDict:
    height, width = size
    return study(
        _arms(CLASSIFICATION, KINECT | {"data": KINECT["data"] | splits}, start),
        {
            "labels": (16, 0),
            "training": ("fine_tuned", "frozen"),
            "replicate": tuple(range(8)),
            "resolution": (f"{width}x{height}",),
            "encoder": NETWORK,
        },
        tried,
        pretraining=SHARED,
        budget=LONG,
        target={
            "config": "configs/segment_nyu.py:classes=nyu13",
            "root": "nyu",
            "set": {
                "data": splits | {"crop": (), "scale": ()},
                "model": DECODER,
                "train": short_cells(2_400, 800),
                "optimizer": {"layer_decay": 1.0, "learning_rate": 1e-3},
                "task": {"class_weights": ("root_median_frequency",)},
            }
            | CALIBRATED,
        },
        panels=3,
        **given,
    )


def _arms(classification: dict, depth: dict, start: tuple[str, ...]) -> tuple[dict, ...]:
    """Arms of both studies; classification, depth: what they set."""
    supervised = {"config": "configs/depth_nyu.py", "root": "nyu", "set": depth}
    return (
        RANDOM,
        *((IMAGENET,) if "imagenet" in start else ()),
        {
            "name": "classification",
            "label": "Classification",
            "config": "configs/classify_folder.py:resolution=64x64",
            "set": classification,
            "root": "classes",
        },
        {"name": "depth_supervised", "label": "Depth, Kinect", "start": start} | supervised,
        {
            "name": "classification_depth",
            "label": "Classification, then depth",
            "start": "classification",
        }
        | supervised,
    )
