"""Weights from and to PyTorch, which need not be installed; networks for other runtimes.

    python -m geoseg_jax.weights SOURCE --out DIR [--encoder resnet18]
    python -m geoseg_jax.weights WORKDIR --to=torchvision --out=FILE.safetensors
    python -m geoseg_jax.weights WORKDIR --to=timm --out=FILE.safetensors
    python -m geoseg_jax.weights WORKDIR --to=onnx|stablehlo|torch --out=FILE.onnx|...

Whole networks of runs, as programs for other runtimes: docs/export.md.

What is read: ResNet-18, 34, 50 and 101 by torchvision's names and ViTs by those of timm,
transformers and mmseg, in a .pth of any of PyTorch's three formats or a .safetensors, whatever
stands before the names: a training script's 'state_dict' or 'model', 'module.', 'backbone.'; the
query encoder of MoCo v2 checkpoints, MoCo v3's base encoder, DINO's teacher, the encoder of
DeepLabV3, segmentation_models.pytorch, SwAV, VISSL or solo-learn. The one prefix is taken under
which an encoder is whole by names and shapes; what else the file holds is listed. Where there are
several, say which: --prefix=state_dict_ema, or config.transfer.prefix in a run; see `layouts`.
monodepth2's encoder.pth and depth.pth are read too, each alone or as a folder of both. SOURCE may
be a name, hf:OWNER/NAME or torchvision:MODEL; see `named`.

ViTs have patches of 16 pixels; DINOv2's of 14 are resampled: see `vits` for what is changed. Where
neither the file nor what the hub has beside it (config.json, preprocessor_config.json) shows who
trained a ViT (timm's, DINO's bare backbone), say what its input is normalised by:
--normalisation=half for Google's, imagenet for DeiT's and DINO's. Weights whose batch norms have
the statistics of an untrained network are told of. Nothing in a file is executed: see `unpickling`.
What is written names in its metadata the file or the run that it comes from, and
a run that starts from it names that in turn.
"""

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.named import is_name
from geoseg_jax.interop.reading import Weights, read_weights
from geoseg_jax.interop.writing import write_timm, write_torchvision, write_weights

__all__ = [
    "Weights",
    "WeightsError",
    "is_name",
    "read_weights",
    "write_timm",
    "write_torchvision",
    "write_weights",
]
