"""NYUv2: does supervised depth on its own frames help its segmentation more than classification?

    python -m geoseg_jax.study --config=configs/study_nyu.py --workdir=W \
        --config.roots.nyu=/data/nyu --config.roots.classes=/data/tiny_imagenet --dry_run

Arms: random weights, classification of pictures in a folder per class, inpainting and supervised
depth on NYUv2's training frames, and depth started from classification; 16, 64 and 795 (0) labels,
40 classes, fine-tuned and frozen. Options behind the colon:
  official               trained on the official 795 frames, judged on the 654 (the default)
  held_out               for a part of the data set: a fifth of the frames that are there, the same
                         for depth, inpainting and segmentation, is seen by none and judges all
  resolution=160x128     the size that all pre-trainings on NYUv2 and the target have, for machines
                         without a GPU
Budget in pictures. Hardware: a GPU; planned and checked by the tests, not yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument

SPLITS = {"official": ("train", "test"), "held_out": ("pool", "held_out")}


def get_config(arg: str = "") -> ConfigDict:
    file = "study_nyu.py"
    known = {"split": ("official", "held_out"), "resolution": "320x256"}
    options = argument.parse(arg, known, file)
    height, width = argument.size(options["resolution"], f"{file}:resolution")
    trained, judged = SPLITS[options["split"]]
    splits = {"train_split": trained, "eval_split": judged}
    return ConfigDict(
        {
            "title": "NYUv2",
            "question": "What helps segmentation indoors more, depth or classification?",
            "arms": _arms({"height": height, "width": width} | splits),
            "reference": "random",
            "without": (),
            "declared": (),
            "roots": {"nyu": "", "classes": ""},
            "budget": {"measure": "images", "amount": 80_000},
            "target": {
                "config": "configs/segment_nyu.py",
                "root": "nyu",
                "set": {"data": splits, "optimizer": {"layer_decay": 1.0}},
            },
            "factors": {
                "labels": (16, 64, 0),
                "training": ("fine_tuned", "frozen"),
                "decoder": ("auto",),
                "resolution": (options["resolution"],),
                "encoder": ("resnet18",),
                "replicate": (0, 1, 2),
            },
            "panels": 4,
            "keep_checkpoints": False,
        }
    )


def _arms(data: dict) -> tuple[dict, ...]:
    depth = {"config": "configs/depth_nyu.py", "root": "nyu"}
    depth["set"] = {"data": data | {"scale": (), "crop": ()}}
    return (
        {"name": "random", "label": "Random weights"},
        {
            "name": "classification",
            "label": "Classification",
            "config": "configs/classify_folder.py:resolution=64x64",
            "root": "classes",
        },
        {
            "name": "reconstruction",
            "label": "Inpainting",
            "config": "configs/reconstruct_kitti.py",
            "set": {"data": data | {"name": "nyu_depth", "ground_truth": "filled"}},
            "root": "nyu",
        },
        {"name": "depth_supervised", "label": "Depth, Kinect"} | depth,
        {
            "name": "classification_depth",
            "label": "Classification, then depth",
            "start": "classification",
        }
        | depth,
    )
