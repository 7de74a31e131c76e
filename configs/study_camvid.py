"""CamVid, real pictures of streets: video, indoor depth, small objects or rendered streets?

    python -m geoseg_jax.study --config=configs/study_camvid.py --workdir=W \
        --config.roots.camvid=/data/camvid --config.roots.video=/data/videos/drive \
        --config.roots.nyu=/data/nyu --config.roots.classes=/data/tiny_imagenet --dry_run

No arm sees CamVid before the labels. Arms: random weights; self-supervised depth from a drive of an
unknown camera (video); supervised depth indoors (NYUv2); classification of a folder per class;
stereo depth and strong flow of the embedded street and room. 16, 64 and 367 (0) labels, fine-tuned.
Options behind the colon: start and sweep of geoseg_jax/presets/studies.py, and
  small         pictures of 120x96 and short runs, for two CPU cores
Budget in pictures, with `small` in floating-point operations. What `small` gave in two hours, with
three replicates on one encoder per arm, is in docs/results.md; the whole was planned and checked by
the tests, and not yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.studies import (
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
    known = {"small": SMALL, "sweep": SWEEP, "start": START}
    options = argument.parse(arg, known, "study_camvid.py")
    small, start = options["small"], starts(options["start"])
    flops, images = {"measure": "flops", "amount": 1.5e13}, {"measure": "images", "amount": 200_000}
    train = short_cells(240, 80) if small else {}
    data = {"crop": (64, 96)} if small else {}
    weights = {"imagenet": ""} if "imagenet" in start else {}
    return study(
        _arms(small, start),
        {"labels": (16, 64, 0), "resolution": ("120x96",) if small else ("240x180",)},
        sweep(options["sweep"]),
        title="CamVid",
        question="Which pre-training on other data helps segmentation of CamVid the most?",
        contrasts=(
            (started("video_depth", start), "classification"),
            (started("video_depth", start), started("room_flow", start)),
        ),
        roots={"camvid": "", "video": "", "nyu": "", "classes": ""} | weights,
        pretraining={
            "train": {"eval_every": 0, "pictures_every": 0}
            | ({"checkpoint_every": 100} if small else {})
        },
        budget=flops if small else images,
        target={
            "config": "configs/segment_camvid.py",
            "root": "camvid",
            "set": {"train": train, "data": data, "optimizer": {"layer_decay": 1.0}},
        },
    )


def _arms(small: bool, start: tuple[str, ...]) -> tuple[dict, ...]:
    size = {"height": 64, "width": 128} if small else {"height": 128, "width": 256}
    video = "128x64" if small else "256x128"
    depth = pace(4, 2e-4) if small else {}
    classes = pace(32, 0.02) if small else {}
    return (
        RANDOM,
        *((IMAGENET,) if "imagenet" in start else ()),
        {
            "name": "video_depth",
            "label": "Depth from a drive",
            "config": f"configs/depth_video.py:resolution={video}",
            "set": depth,
            "root": "video",
            "start": start,
        },
        {
            "name": "nyu_depth",
            "label": "Depth indoors, Kinect",
            "config": "configs/depth_nyu.py:held_out",
            "set": {"data": size | {"scale": (), "crop": ()}} | (pace(8, 4e-4) if small else {}),
            "root": "nyu",
            "start": start,
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
            "start": start,
        },
        {
            "name": "room_flow",
            "label": "Flow of rendered rooms",
            "config": "configs/flow_synthetic.py:strong,room",
            "set": {"data": size},
            "start": start,
        },
    )
