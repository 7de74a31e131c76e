"""CamVid, real pictures of streets: video, indoor depth, small objects or rendered streets?

    python -m geoseg_jax.study --config=configs/study_camvid.py --workdir=W \
        --config.roots.camvid=/data/camvid --config.roots.video=/data/videos/drive \
        --config.roots.nyu=/data/nyu --config.roots.classes=/data/tiny_imagenet --dry_run

No arm sees CamVid before the labels. Arms: random weights; self-supervised depth from a drive of an
unknown camera (video); supervised depth indoors (NYUv2); classification of a folder per class;
stereo depth and strong flow of the embedded street and room. 16, 64 and 367 (0) labels, fine-tuned,
three subsets of labels. With :small, pictures of 120x96 and short runs, for two CPU cores and two
hours. What you don't have: --config.without="('nyu_depth',)".
Budget in pictures, with :small in floating-point operations. What :small gave is in
docs/results.md; the whole was planned and checked by the tests, and not yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.studies import pace, short_cells


def get_config(arg: str = "") -> ConfigDict:
    small = argument.parse(arg, {"small": False}, "study_camvid.py")["small"]
    train = short_cells(240, 80) if small else {}
    data = {"crop": (64, 96)} if small else {}
    return ConfigDict(
        {
            "title": "CamVid",
            "question": "Which pre-training on other data helps segmentation of CamVid the most?",
            "arms": _arms(small),
            "reference": "random",
            "goal": 0.0,  # an mIoU: how many steps it takes is told; 0: not asked
            "without": (),
            "declared": (),
            "roots": {"camvid": "", "video": "", "nyu": "", "classes": ""},
            "pretraining": {
                "train": {"eval_every": 0, "pictures_every": 0}
                | ({"checkpoint_every": 100} if small else {})
            },
            "budget": {"measure": "flops", "amount": 1.5e13}
            if small
            else {"measure": "images", "amount": 200_000},
            "target": {
                "config": "configs/segment_camvid.py",
                "root": "camvid",
                "set": {"train": train, "data": data, "optimizer": {"layer_decay": 1.0}},
            },
            "factors": {
                "labels": (16, 64, 0),
                "training": ("fine_tuned",),
                "decoder": ("auto",),
                "resolution": ("120x96",) if small else ("240x180",),
                "encoder": ("resnet18",),
                "replicate": (0, 1, 2),
            },
            "panels": 4,
            "keep_checkpoints": False,
        }
    )


def _arms(small: bool) -> tuple[dict, ...]:
    size = {"height": 64, "width": 128} if small else {"height": 128, "width": 256}
    video = "128x64" if small else "256x128"
    depth = pace(4, 2e-4) if small else {}
    classes = pace(32, 0.02) if small else {}
    return (
        {"name": "random", "label": "Random weights"},
        {
            "name": "video_depth",
            "label": "Depth from a drive",
            "config": f"configs/depth_video.py:resolution={video}",
            "set": depth,
            "root": "video",
        },
        {
            "name": "nyu_depth",
            "label": "Depth indoors, Kinect",
            "config": "configs/depth_nyu.py:held_out",
            "set": {"data": size | {"scale": (), "crop": ()}} | (pace(8, 4e-4) if small else {}),
            "root": "nyu",
        },
        {
            "name": "classification",
            "label": "Classification",
            "config": "configs/classify_folder.py:resolution=64x64",
            "set": classes,
            "root": "classes",
        },
        {
            "name": "street_depth",
            "label": "Depth of rendered streets, stereo",
            "config": "configs/depth_synthetic.py:stereo",
            "set": {"data": size | {"train_size": 1_000, "eval_size": 64}} | depth,
        },
        {
            "name": "room_flow",
            "label": "Flow of rendered rooms",
            "config": "configs/flow_synthetic.py:strong,room",
            "set": {"data": size},
        },
    )
