"""The paper's comparison on Cityscapes, at its sizes: DeepLabV3 on ResNet-50, full-size validation.

    python -m geoseg_jax.study --config=configs/study_cityscapes.py --workdir=W \
        --config.roots.cityscapes=/data/cityscapes --config.roots.imagenet=resnet50.pth --dry_run

After Lao et al., ECCV 2024: depth from sequences, from stereo and from disparity at 800x320 against
ImageNet, inpainting and random weights, with 16 to 2,975 labels (0 is all), fine-tuned. The root
holds leftImg8bit, rightImg8bit, leftImg8bit_sequence, disparity, camera and gtFine. Options behind
the colon:
  preset        controlled (the default), or paper_code, where encoders are pre-trained with
                monodepth2's normalisation and fine-tuned with ImageNet's, as in the public code
  start         where depth starts: random (the default of controlled), imagenet (that of
                paper_code, whose scripts do so), or both, an arm each
  sweep         first tries learning rates for each arm, on other subsets of the training labels
Arms that can't be had: --config.without="('imagenet',)". Replicates are as many as the permutation
test needs for so many arms, each with a subset of labels and encoders of its own;
--config.factors.pretraining_seed="(0,)" has one encoder an arm, and says nothing of others.
Budget: the pictures that 50 epochs of 22,973 stereo pairs hold, 2.3 million.
Hardware: several GPUs or a job array (--commands, launch/); planned and checked by the tests, not
yet run.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.studies import PAPER_PRETRAINING, enough, started, starts, sweep


def get_config(arg: str = "") -> ConfigDict:
    known = {
        "preset": ("controlled", "paper_code"),
        "start": ("auto", "random", "imagenet", "both"),
        "sweep": False,
    }
    options = argument.parse(arg, known, "study_cityscapes.py")
    preset = options["preset"]
    faulty = preset == "paper_code"
    auto = "imagenet" if faulty else "random"
    start = starts(auto if options["start"] == "auto" else options["start"])
    arms = _arms(preset, start)
    compared = len(arms) - 1 + sum("start" in arm for arm in arms) * (len(start) - 1)
    return ConfigDict(
        {
            "title": f"Cityscapes, {preset}",
            "question": "Which pre-training on Cityscapes helps its segmentation the most?",
            "arms": arms,
            "reference": "random",
            "contrasts": ((started("depth_mono", start), "imagenet"),),
            "goal": 0.0,  # an mIoU: how many steps it takes is told; 0: not asked
            "metric": "miou",  # or another score of eval.json, as "paper_miou" or "iou/car"
            "equivalence": 0.01,  # arms are level where they differ by less; 0: not asked
            "without": (),
            "roots": {"cityscapes": "", "imagenet": ""},
            "pretraining": PAPER_PRETRAINING if faulty else {},
            "budget": {"measure": "images", "amount": 2_300_000},
            "target": {
                "config": f"configs/segment_cityscapes.py:preset={preset}",
                "root": "cityscapes",
                "set": {"optimizer": {"layer_decay": 1.0}},
            },
            "factors": {
                "labels": (16, 64, 372, 0),
                "training": ("fine_tuned",),
                "decoder": ("deeplabv3",),
                "resolution": ("2048x1024",),
                "encoder": ("resnet50",),
                "replicate": enough(compared),
            },
            "panels": 4,
            **sweep(options["sweep"], (3e-3, 1e-2, 3e-2)),
            "keep_checkpoints": False,
        }
    )


def _arms(preset: str, start: tuple[str, ...]) -> tuple[dict, ...]:
    def depth(name: str, label: str, way: str) -> dict:
        config = f"configs/depth_cityscapes.py:{way},preset={preset}"
        arm = {"name": name, "label": label, "config": config, "root": "cityscapes"}
        return arm | {"start": start}

    return (
        {"name": "random", "label": "Random weights"},
        {"name": "imagenet", "label": "ImageNet", "weights": "imagenet"},
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
