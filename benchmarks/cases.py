"""The training steps that are timed: whose settings, how large, and one made-up batch of each.

Imported on both sides of benchmarks/train_step.py: nothing here needs jax or PyTorch.
"""

from typing import Any, NamedTuple

import numpy as np

# What our side writes and a twin starts from.
WEIGHTS, FACTS, BATCH = "weights.npz", "facts.json", "batch.npz"
CLASSES = {"segmentation": 11, "deeplab": 11, "vit": 1000}  # CamVid's, ImageNet's


class Case(NamedTuple):
    """A step: the config (behind its colon the encoder is added), sizes in pixels, settings."""

    config: str
    encoder: str
    width: int
    height: int
    batch: int
    settings: dict[str, Any]
    tiny: str = "tiny"  # an encoder to try it with


# Nothing is drawn at random, so that both sides compute the same; the rate is constant.
_STILL = {"optimizer.schedule": "constant", "optimizer.warmup_steps": 0}
_COLOURS = _STILL | {"task.jitter.probability": 0.0}
_LABELS = _COLOURS | {"task.class_weights": ()}
CASES = {
    "depth": Case(
        "configs/depth_kitti.py:mono",
        "resnet18",
        640,
        192,
        2,
        _COLOURS | {"task.automask_start": 0.0},
    ),
    "segmentation": Case("configs/segment_camvid.py:", "resnet18", 240, 180, 8, _LABELS),
    "deeplab": Case(
        "configs/segment_camvid.py:decoder=deeplabv3", "resnet50", 256, 256, 4, _LABELS
    ),
    "vit": Case("configs/classify_imagenet.py:", "vit_s16", 224, 224, 8, _COLOURS, "vit_tiny"),
    "mae": Case("configs/mae_imagenet.py:", "vit_s16", 224, 224, 8, _STILL, "vit_tiny"),
    # The half of the training before self-distillation, with occlusion, which begins early.
    "flow": Case(
        "configs/flow_kitti.py:strong",
        "resnet18",
        640,
        192,
        2,
        _COLOURS
        | {
            "task.level_dropout": 0.0,
            "task.occlusion_start": 0.0,
            "task.distillation.weight": 0.0,
        },
    ),
}


def make_batch(task: str, batch: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Makes the fields that a task's loss reads, as geoseg_jax.core.batch describes them."""
    generator = np.random.default_rng(0)
    target, sources = _wall(generator, batch, height, width)
    fields = {"image": target, "id": np.arange(batch, dtype=np.int32)}
    if task == "depth":
        camera = [[0.58 * width, 0, width / 2], [0, 1.92 * height, height / 2], [0, 0, 1]]
        fields |= {"sources": sources}
        fields |= {"intrinsics": np.tile(np.asarray(camera, np.float32), (batch, 1, 1))}
    elif task == "flow":
        fields |= {"sources": sources[:, 1:]}
    elif task in ("segmentation", "deeplab"):
        label = generator.integers(0, CLASSES[task], (batch, height // 12 + 1, width // 12 + 1))
        label = label.repeat(12, axis=1).repeat(12, axis=2)[:, :height, :width].astype(np.uint8)
        label[:, -5:] = 255  # ignored
        fields |= {"label": label}
    elif task == "vit":
        fields |= {"category": generator.integers(0, CLASSES[task], batch).astype(np.int32)}
    return fields


def _wall(generator: np.random.Generator, batch: int, height: int, width: int):
    """Draws a textured wall as seen by a camera that moves past, and from where it was and is next.

    Returns pictures, uint8 [B, H, W, 3] and [B, 2, H, W, 3].
    """
    import cv2

    target, sources = [], []
    for _ in range(batch):
        wall = sum(
            cv2.resize(generator.uniform(size=(n, 3 * n, 3)), (width + 64, height + 64))
            for n in (8, 32)
        )
        wall = (255 / 2 * wall).astype(np.uint8)
        target.append(wall[32:-32, 32:-32])
        sources.append(
            [wall[y : y + height, x : x + width] for y, x in ((31, 26), (33, 38))],
        )
    return np.stack(target), np.asarray(sources)


def geometry(batch: int, height: int, width: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Makes disparities at four scales and poses, as a trained depth network might give them."""
    generator = np.random.default_rng(1)
    disparities = [
        generator.uniform(0.02, 0.06, (batch, height >> s, width >> s)).astype(np.float32)
        for s in range(4)
    ]
    poses = np.tile(np.eye(4, dtype=np.float32), (batch, 2, 1, 1))
    poses[..., :3, 3] = np.array([[0.03, 0.01, 0.1], [-0.03, -0.01, -0.1]])
    return disparities, poses
