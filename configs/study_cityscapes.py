"""The paper's comparison on Cityscapes, at its sizes: DeepLabV3 on ResNet-50, full-size validation.

    python -m geoseg_jax.study --config=configs/study_cityscapes.py --workdir=W \
        --config.roots.cityscapes=/data/cityscapes --config.roots.imagenet=resnet50.pth --dry_run

After Lao et al., ECCV 2024: depth from sequences, from stereo and from disparity at 800x320 against
ImageNet, inpainting and random weights, with 16 to 2,975 labels (0 is all), fine-tuned. The root
holds leftImg8bit, rightImg8bit, leftImg8bit_sequence, disparity, camera and gtFine. Options behind
the colon: start and sweep of geoseg_jax/presets/studies.py, start with `auto` as default (random
with controlled, imagenet with paper_code), and
  preset        controlled (the default), or paper_code: encoders are pre-trained with monodepth2's
                normalisation and fine-tuned with ImageNet's, as in the public code
Budget: the pictures that 50 epochs of 22,973 stereo pairs hold, 2.3 million.
Hardware: several GPUs or a job array (--commands, launch/); planned and checked by the tests, not
yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets.studies import (
    IMAGENET,
    PAPER_PRETRAINING,
    RANDOM,
    paper_options,
    started,
    study,
    sweep,
)


def get_config(arg: str = "") -> ConfigDict:
    preset, start, sweeps = paper_options(arg, "study_cityscapes.py")
    return study(
        _arms(preset, start),
        {
            "labels": (16, 64, 372, 0),
            "decoder": ("deeplabv3",),
            "resolution": ("2048x1024",),
            "encoder": ("resnet50",),
        },
        sweep(sweeps, (3e-3, 1e-2, 3e-2)),
        title=f"Cityscapes, {preset}",
        question="Which pre-training on Cityscapes helps its segmentation the most?",
        contrasts=((started("depth_mono", start), "imagenet"),),
        roots={"cityscapes": "", "imagenet": ""},
        pretraining=PAPER_PRETRAINING if preset == "paper_code" else {},
        budget={"measure": "images", "amount": 2_300_000},
        target={
            "config": f"configs/segment_cityscapes.py:preset={preset}",
            "root": "cityscapes",
            "set": {"optimizer": {"layer_decay": 1.0}},
        },
    )


def _arms(preset: str, start: tuple[str, ...]) -> tuple[dict, ...]:
    def depth(name: str, label: str, way: str) -> dict:
        config = f"configs/depth_cityscapes.py:{way},preset={preset}"
        arm = {"name": name, "label": label, "config": config, "root": "cityscapes"}
        return arm | {"start": start}

    return (
        RANDOM,
        IMAGENET,
        {
            "name": "reconstruction",
            "label": "Inpainting",
            "config": "configs/reconstruct_kitti.py",
            "set": {
                "data": {
                    **{"name": "pictures", "height": 320, "width": 800},
                    **{"train_split": "leftImg8bit/train/*", "eval_split": "leftImg8bit/val/*"},
                }
            },
            "root": "cityscapes",
        },
        depth("depth_mono", "Depth, mono", "mono"),
        depth("depth_stereo", "Depth, stereo", "stereo"),
        depth("depth_supervised", "Depth, disparity", "supervised"),
    )
