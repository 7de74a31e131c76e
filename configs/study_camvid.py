"""CamVid, real pictures of streets: which pre-training helps their segmentation the most?

    python -m geoseg_jax.study --config=configs/study_camvid.py --workdir=W \
        --config.roots.camvid=/data/camvid --config.roots.video=/data/videos/drive \
        --config.roots.nyu=/data/nyu --config.roots.classes=/data/tiny_imagenet --dry_run

No arm sees a label of CamVid, or a picture that judges, beforehand. Arms: random weights;
self-supervised depth from a drive of an unknown camera (video); supervised depth indoors (NYUv2);
classification of a folder per class; stereo depth and strong flow of the embedded street and room.
16, 64 and 367 (0) labels, fine-tuned. Options behind the colon: start and sweep of
geoseg_jax/presets/studies.py, and
  small         for two CPU cores, as docs/preregistration.md says: half a ResNet-18, pictures of
                128x96, 16 and 367 labels, fine-tuned and frozen; mono depth and flow learn from
                the same rendered streets, inpainting from CamVid's training pictures, and no arm
                needs a video
  windows       small, of windows of 128x96 out of 160x120, zoomed by 0.8 to 1.5, as in the studies
                registered first: in 1,200 steps 367 labels are worth no more than 16
Budget in pictures, with `small` in floating-point operations. Hardware: a GPU, on which the whole
was not run. `small,windows` took 15 hours of a core, `small` of four arms 5 (docs/results).
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.studies import (
    CALIBRATED,
    IMAGENET,
    RANDOM,
    SMALL,
    START,
    SWEEP,
    pace,
    refuse_imagenet,
    short_cells,
    started,
    starts,
    study,
    sweep,
)
from geoseg_jax.presets.two_cores import (
    CLASSIFICATION,
    DECODER,
    DEPTH_MONO,
    FLOW_STRONG,
    KINECT,
    LONG,
    NETWORK,
    PRETRAINING,
)


def get_config(arg: str = "") -> ConfigDict:
    windows = Option(False, "small: windows of larger pictures, the studies registered first")
    known = {"small": SMALL, "windows": windows, "sweep": SWEEP, "start": START}
    options = argument.parse(arg, known, "study_camvid.py")
    start, tried = starts(options["start"]), sweep(options["sweep"])
    if options["small"]:
        refuse_imagenet("study_camvid.py", start)
        return _small(start, tried, options["windows"])
    if options["windows"]:
        raise ValueError("study_camvid.py: windows are of small; add it, or drop them")
    return _whole(start, tried)


def _whole(start: tuple[str, ...], tried: dict) -> ConfigDict:
    weights = {"imagenet": ""} if "imagenet" in start else {}
    return study(
        (RANDOM, *((IMAGENET,) if weights else ()), _CLASSIFICATION, *_arms(start)),
        {"labels": (16, 64, 0), "resolution": ("240x180",)},
        tried,
        title="CamVid",
        question="Which pre-training on other data helps segmentation of CamVid the most?",
        contrasts=(
            (started("video_depth", start), "classification"),
            (started("video_depth", start), started("room_flow", start)),
        ),
        roots={"camvid": "", "video": "", "nyu": "", "classes": ""} | weights,
        pretraining={"train": {"eval_every": 0, "pictures_every": 0}},
        budget={"measure": "images", "amount": 200_000},
        target={
            "config": "configs/segment_camvid.py",
            "root": "camvid",
            "set": {"optimizer": {"layer_decay": 1.0}},
        },
    )


def _small(start: tuple[str, ...], tried: dict, windows: bool) -> ConfigDict:
    seen = {"crop": (96, 128)} if windows else {"crop": (), "scale": ()}
    depth, flow = started("depth_mono", start), started("flow_strong", start)
    return study(
        (RANDOM, _CLASSIFICATION | {"set": CLASSIFICATION}, *_small_arms(start)),
        {
            "labels": (16, 0),
            "training": ("fine_tuned", "frozen"),
            "resolution": ("160x120" if windows else "128x96",),
            "encoder": NETWORK,
        },
        tried,
        title="CamVid",
        question="Which pre-training helps segmentation of CamVid the most?",
        contrasts=(
            (depth, flow),
            (started("nyu_depth", start), "classification"),
            (depth, "classification"),
            ("reconstruction", "classification"),
        ),
        roots={"camvid": "", "nyu": "", "classes": ""},
        pretraining=PRETRAINING,
        budget=LONG,
        target={
            "config": "configs/segment_camvid.py",
            "root": "camvid",
            "set": {
                "data": seen,
                "model": DECODER,
                "train": short_cells(1_200, 400),
                "optimizer": {"layer_decay": 1.0, "learning_rate": 2e-3},
            }
            | CALIBRATED,
        },
        panels=3,
    )


def _arms(start: tuple[str, ...]) -> tuple[dict, ...]:
    size = {"height": 128, "width": 256}
    return (
        {
            "name": "video_depth",
            "label": "Depth from a drive",
            "config": "configs/depth_video.py:resolution=256x128",
            "root": "video",
            "start": start,
        },
        _nyu_depth({"data": size | {"scale": (), "crop": ()}}, start),
        {
            "name": "street_depth",
            "label": "Depth of rendered streets, stereo",
            "config": "configs/depth_synthetic.py:stereo",
            "set": {"data": size | {"train_size": 1_000, "eval_size": 64}},
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


def _small_arms(start: tuple[str, ...]) -> tuple[dict, ...]:
    return (
        _nyu_depth(KINECT, start),
        {
            "name": "reconstruction",
            "label": "Inpainting of CamVid",
            "config": "configs/reconstruct_kitti.py",
            "set": {
                "data": {"height": 96, "width": 128, "name": "pictures"}
                | {"train_split": "train/*", "eval_split": "held_out"}
            }
            | pace(8, 4e-4, 20),
            "root": "camvid",
        },
        DEPTH_MONO | {"label": "Depth of rendered streets", "start": start},
        FLOW_STRONG | {"label": "Flow of rendered streets", "start": start},
    )


def _nyu_depth(changes: dict, start: tuple[str, ...]) -> dict:
    return {
        "name": "nyu_depth",
        "label": "Depth indoors, Kinect",
        "config": "configs/depth_nyu.py:held_out",
        "set": changes,
        "root": "nyu",
        "start": start,
    }


_CLASSIFICATION = {
    "name": "classification",
    "label": "Classification",
    "config": "configs/classify_folder.py:resolution=64x64",
    "root": "classes",
}
