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
  small                  for two CPU cores: 96x64, 13 classes, short runs, no inpainting and no
                         frozen encoders
The paper's public code does not show how it fine-tuned on NYUv2: there is no preset=paper_code.
Budget in pictures, of `small` in FLOP. Hardware: a GPU; planned and checked by the tests, and not
run. `small,held_out` was, in 1 h 42 min of two shared CPU cores, with three replicates on one
encoder per arm; its cells are too short to tell arms apart (docs/results.md).
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
    pace,
    short_cells,
    started,
    starts,
    study,
    sweep,
)


def get_config(arg: str = "") -> ConfigDict:
    file = "study_nyu.py"
    known = {
        "split": NYU_SPLIT,
        "resolution": Option("", "width x height of pictures; nothing: 448x384, or 96x64 if small"),
        "small": SMALL,
        "start": START,
        "sweep": SWEEP,
    }
    options = argument.parse(arg, known, file)
    small = options["small"]
    resolution = options["resolution"] or ("96x64" if small else "448x384")
    height, width = argument.size(resolution, f"{file}:resolution")
    trained, judged = NYU_SPLITS[options["split"]]
    splits = {"train_split": trained, "eval_split": judged}
    start = starts(options["start"])
    kept = {"eval_every": 0, "pictures_every": 0, "checkpoint_every": 100}
    flops = {"measure": "flops", "amount": 1.5e13}
    return study(
        _arms({"height": height, "width": width} | splits, small, start),
        {
            "labels": (16, 64, 0),
            "training": ("fine_tuned",) if small else ("fine_tuned", "frozen"),
            "resolution": (resolution,),
        },
        sweep(options["sweep"]),
        title="NYUv2",
        question="What helps segmentation indoors more, depth or classification?",
        contrasts=(
            (started("depth_supervised", start), "classification"),
            ("classification_depth", "classification"),
        ),
        without=("reconstruction",) if small else (),
        roots={"nyu": "", "classes": ""} | ({"imagenet": ""} if "imagenet" in start else {}),
        pretraining={"train": kept if small else {}},
        budget=flops if small else {"measure": "images", "amount": 80_000},
        target={
            "config": "configs/segment_nyu.py" + (":classes=nyu13" if small else ""),
            "root": "nyu",
            "set": {
                "data": splits,
                "optimizer": {"layer_decay": 1.0},
                "train": short_cells(480, 160) if small else {},
            }
            | CALIBRATED,
        },
    )


def _arms(data: dict, small: bool, start: tuple[str, ...]) -> tuple[dict, ...]:
    depth = {"config": "configs/depth_nyu.py", "root": "nyu"}
    depth["set"] = {"data": data | {"scale": (), "crop": ()}} | (pace(8, 4e-4) if small else {})
    return (
        RANDOM,
        *((IMAGENET,) if "imagenet" in start else ()),
        {
            "name": "classification",
            "label": "Classification",
            "config": "configs/classify_folder.py:resolution=64x64",
            "set": pace(32, 0.02) if small else {},
            "root": "classes",
        },
        {
            "name": "reconstruction",
            "label": "Inpainting",
            "config": "configs/reconstruct_kitti.py",
            "set": {"data": data | {"name": "nyu_depth", "ground_truth": "filled"}},
            "root": "nyu",
        },
        {"name": "depth_supervised", "label": "Depth, Kinect", "start": start} | depth,
        {
            "name": "classification_depth",
            "label": "Classification, then depth",
            "start": "classification",
        }
        | depth,
    )
