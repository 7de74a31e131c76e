"""NYUv2: does supervised depth on its own frames help its segmentation more than classification?

    python -m geoseg_jax.study --config=configs/study_nyu.py --workdir=W \
        --config.roots.nyu=/data/nyu --config.roots.nyu_pictures=/data/nyu_training_pictures \
        --config.roots.classes=/data/tiny_imagenet --dry_run

Arms: random weights, classification of pictures in a folder per class, inpainting and supervised
depth on NYUv2's training frames, and depth started from classification; 16, 64 and 795 (0) labels,
40 classes, fine-tuned and frozen. `nyu_pictures` holds the 795 training pictures and none of the
test split, for inpainting. Options behind the colon: resolution=160x128, the size that all
pre-trainings on NYUv2 and the target have, for machines without a GPU.
Budget in pictures. Hardware: a GPU; planned and checked by the tests, not yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument


def get_config(arg: str = "") -> ConfigDict:
    file = "study_nyu.py"
    options = argument.parse(arg, {"resolution": "320x256"}, file)
    height, width = argument.size(options["resolution"], f"{file}:resolution")
    size = {"height": height, "width": width}
    return ConfigDict(
        {
            "title": "NYUv2",
            "question": "What helps segmentation indoors more, depth or classification?",
            "arms": _arms(size),
            "reference": "random",
            "without": (),
            "declared": (),
            "roots": {"nyu": "", "nyu_pictures": "", "classes": ""},
            "budget": {"measure": "images", "amount": 80_000},
            "target": {
                "config": "configs/segment_nyu.py",
                "root": "nyu",
                "set": {"optimizer": {"layer_decay": 1.0}},
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


def _arms(size: dict) -> tuple[dict, ...]:
    whole = {"scale": (), "crop": ()}
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
            "set": {"data": {"name": "pictures", "train_split": "*", "eval_split": "*"} | size},
            "root": "nyu_pictures",
        },
        {
            "name": "depth_supervised",
            "label": "Depth, Kinect",
            "config": "configs/depth_nyu.py:official",
            "set": {"data": size | whole},
            "root": "nyu",
        },
        {
            "name": "classification_depth",
            "label": "Classification, then depth",
            "config": "configs/depth_nyu.py:official",
            "set": {"data": size | whole},
            "root": "nyu",
            "start": "classification",
        },
    )
