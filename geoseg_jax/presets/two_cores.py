"""What the studies for two CPU cores share, so that the same command makes the same encoders.

Half of ResNet-18's channels, of the U-Net's and of the flow decoder's: a quarter of the operations,
so four times the steps in the same time.
"""

from typing import Any

from geoseg_jax.presets.studies import pace

NETWORK = ("resnet18_half",)
DECODER = {"decoder_channels": (8, 16, 32, 64, 128)}
SIZE = {"height": 32, "width": 96}
# Of every pre-training that has such a setting.
SHARED: dict[str, Any] = {
    "model": DECODER,
    "train": {"eval_every": 0, "pictures_every": 0, "checkpoint_every": 0},
}
# The world's frames: 500 for all arms alike.
PRETRAINING = {"data": {"cache_dir": "", "train_size": 500, "eval_size": 32}} | SHARED
LONG = {"measure": "flops", "amount": 4.5e12}  # two to five minutes of one core
# Of real pictures: a folder per class at 64x64, and NYUv2's depth.
CLASSIFICATION = pace(32, 0.02)
KINECT = {"data": {"height": 64, "width": 96, "scale": (), "crop": ()}} | pace(8, 4e-4)
# The world's frames are lit alike: no jitter, as flow's config has none.
DEPTH = {"data": SIZE, "task": {"jitter": {"probability": 0.0}}} | pace(4, 4e-4, 20)
DEPTH_MONO = {
    "name": "depth_mono",
    "label": "Depth, mono",
    "config": "configs/depth_synthetic.py:mono,poses=given",
    "set": DEPTH,
}
FLOW_STRONG = {
    "name": "flow_strong",
    "label": "Flow",
    "config": "configs/flow_synthetic.py:strong",
    "set": {"data": SIZE, "model": {"flow_layers": (32, 32, 16), "flow_width": 16}},
}
