"""The paper's comparison on KITTI: which pre-training on unlabelled drives segments best?

    python -m geoseg_jax.study --config=configs/study_kitti.py --workdir=W \
        --config.roots.kitti_raw=/data/kitti_raw --config.roots.kitti_semantics=/data/semantics \
        --config.roots.kitti_flow=/data/kitti_flow --config.roots.imagenet=resnet18.pth --dry_run

After Lao et al., ECCV 2024: arms pre-trained on KITTI raw at 640x192 and evaluated on KITTI
semantics, 8 to 128 labels, fine-tuned and frozen, ResNet-18. `imagenet` is a file of weights
(torchvision's names). Options behind the colon: start and sweep of geoseg_jax/presets/studies.py,
start with `auto` as default (random with controlled, imagenet with paper_code), and
  preset        controlled (the default): evaluates on the 50 pictures of fold 0, whose drives the
                labels don't share; or paper_code: the public code's protocol with its faults
                (geoseg_jax/presets/segmentation.py): the first labels by name train and all others
                evaluate, so that scores of different numbers of labels don't compare; one encoder
                per arm; the report declares what its ImageNet arm does differently; and sweep tries
                rates of pre-training alone, as all other labels evaluate
The paper has four runs: --config.factors.seed="(0,1,2,3)" with paper_code. Another encoder:
--config.factors.encoder="('resnet50',)".
Budget: as many pictures as 20 epochs of mono depth look at, 2.4 million, source views counted.
Hardware: a GPU for weeks or a job array (--commands, launch/); planned and checked by the tests,
not yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets.studies import (
    CALIBRATED,
    IMAGENET,
    PAPER_PRETRAINING,
    RANDOM,
    enough,
    paper_options,
    started,
    study,
    sweep,
)


def get_config(arg: str = "") -> ConfigDict:
    preset, start, sweeps = paper_options(arg, "study_kitti.py")
    faulty = preset == "paper_code"
    arms = [
        arm | ({"start": start} if arm["name"].startswith(("depth", "flow")) else {})
        for arm in _ARMS
    ]
    factors = {"labels": (8, 16, 32, 64, 128), "training": ("fine_tuned", "frozen")}
    factors |= {"resolution": ("640x192",)}
    if faulty:
        arms[1]["target"] = {"task": {"normalise_twice": True}}
        twice = sum("start" in arm for arm in arms) * (len(start) - 1)
        factors |= {"subset": (-1,), "seed": enough(len(arms) + twice - 1)}
    return study(
        arms,
        factors,
        sweep(sweeps, () if faulty else (3e-4, 1e-3, 3e-3)),
        title=f"KITTI, {preset}",
        question="Which pre-training on KITTI helps its segmentation the most?",
        contrasts=_contrasts(start),
        roots={"kitti_raw": "", "kitti_semantics": "", "kitti_flow": "", "imagenet": ""},
        pretraining=PAPER_PRETRAINING if faulty else {},
        budget={"measure": "images", "amount": 2_400_000},
        target={
            "config": f"configs/segment_kitti.py:preset={preset}",
            "root": "kitti_semantics",
            "set": {"optimizer": {"layer_decay": 1.0}} | ({} if faulty else CALIBRATED),
        },
        declared=("task.normalise_twice",) if faulty else (),
    )


def _contrasts(start: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Returns the paper's claim: depth beats ImageNet, and flow, with the same photometric error.

    And where both starts are there, whether depth adds to ImageNet.
    """
    mono = started("depth_mono", start)
    more = (("depth_mono_from_imagenet", "imagenet"),) if len(start) > 1 else ()
    return ((mono, "imagenet"), (mono, started("flow_strong", start)), *more)


def _raw(name: str, label: str, config: str, **more) -> dict:
    return {"name": name, "label": label, "config": config, "root": "kitti_raw"} | more


_FLOW = {"eval_root": "kitti_flow"}
_ARMS = (
    RANDOM,
    IMAGENET,
    _raw("reconstruction", "Inpainting", "configs/reconstruct_kitti.py"),
    _raw("depth_mono", "Depth, mono", "configs/depth_kitti.py:mono"),
    _raw("depth_stereo", "Depth, stereo", "configs/depth_kitti.py:stereo"),
    _raw("depth_mono_stereo", "Depth, mono + stereo", "configs/depth_kitti.py:mono_stereo"),
    _raw("depth_supervised", "Depth, LiDAR", "configs/depth_kitti.py:supervised"),
    _raw("flow_paper", "Flow, paper", "configs/flow_kitti.py:paper", **_FLOW),
    _raw("flow_strong", "Flow, strong", "configs/flow_kitti.py:strong", **_FLOW),
)
