"""Weights from and to PyTorch, which need not be installed.

    python -m geoseg_jax.interop SOURCE --out DIR [--encoder resnet18]
    python -m geoseg_jax.interop WORKDIR --to=torchvision --out=FILE.safetensors
    python -m geoseg_jax.interop WORKDIR --to=timm --out=FILE.safetensors

What is read: state dicts of torchvision's ResNet-18, 34, 50 and 101 (.pth in any of PyTorch's three
formats, or .safetensors), bare, under 'state_dict' or 'model', with or without DataParallel's
'module.'; MoCo v2 checkpoints; monodepth2's encoder.pth and depth.pth. Which it is, is seen from
names and shapes. ViTs of 16-pixel patches by timm's names: timm's own, DeiT's, DINO's and MAE's
(pre-trained or fine-tuned), and DINOv2's with or without registers, whose 14-pixel patches are
resampled: see `vits` for what is changed. Where neither the file nor the hub's config.json beside
it shows who trained a ViT (timm's, DINO's bare backbone), say what its input is normalised by:
--normalisation=half for Google's, imagenet for DeiT's and DINO's. Nothing in a file is executed:
see `unpickling`. What is written names in its metadata the file or the run that it comes from, and
a run that starts from it names that in turn.
"""

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.reading import Weights, read_weights
from geoseg_jax.interop.writing import write_timm, write_torchvision, write_weights

__all__ = [
    "Weights",
    "WeightsError",
    "read_weights",
    "write_timm",
    "write_torchvision",
    "write_weights",
]
