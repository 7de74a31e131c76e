"""Your own video and your own labels: which pre-training is worth it?

    python -m geoseg_jax.study --config=configs/study_folder.py:resolution=320x256 --workdir=W \
        --config.roots.video=/data/footage --config.roots.labels=/data/mine \
        --config.roots.weights=resnet18.pth --dry_run

`video`: what configs/depth_video.py takes, a video file, a folder of frames or of both. `labels`:
what configs/segment_folder.py takes, images/, labels/ and classes.txt. Arms: random weights; depth
and inpainting learned from the footage; a file of weights, without which leave the arm out:
--config.without="('weights',)". Choose the numbers of labels that you have:
--config.factors.labels="(8,16,0)", 0 being all. Options behind the colon: start (random or weights)
and sweep of geoseg_jax/presets/studies.py, and
  resolution=320x256   of all pictures
Budget in pictures. Hardware: a GPU, or patience; the dry run tells.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.studies import RANDOM, starts, study, sweep


def get_config(arg: str = "") -> ConfigDict:
    known = {"resolution": "320x256", "start": ("random", "weights", "both"), "sweep": False}
    options = argument.parse(arg, known, "study_folder.py")
    size = options["resolution"]
    return study(
        (
            RANDOM,
            {"name": "weights", "label": "Weights from elsewhere", "weights": "weights"},
            {
                "name": "reconstruction",
                "label": "Inpainting",
                "config": f"configs/reconstruct_video.py:resolution={size}",
                "root": "video",
            },
            {
                "name": "video_depth",
                "label": "Depth from my footage",
                "config": f"configs/depth_video.py:resolution={size}",
                "root": "video",
                "start": starts(options["start"], "weights"),
            },
        ),
        {"labels": (16, 0), "training": ("fine_tuned", "frozen"), "resolution": (size,)},
        sweep(options["sweep"]),
        title="My own footage and labels",
        question="Which pre-training helps segmentation of my pictures the most?",
        roots={"video": "", "labels": "", "weights": ""},
        budget={"measure": "images", "amount": 100_000},
        target={
            "config": "configs/segment_folder.py",
            "root": "labels",
            "set": {"optimizer": {"layer_decay": 1.0}},
        },
    )
