"""Encoders by name."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import jax.numpy as jnp

from geoseg_jax.core import encoder_names
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.models import resnet, vit

OUTPUT_STRIDES = (32, 16, 8)
# Oquab et al., arXiv:2304.07193: trained on up to 518 pixels, 37 patches of 14 each.
_DINOV2 = {"layer_scale": 1e-5, "grid": 37}
_PLAIN: dict[str, partial[Any]] = {
    "tiny": resnet.Tiny,
    "resnet18": resnet.ResNet18,
    "resnet18_half": resnet.ResNet18Half,
    "resnet34": resnet.ResNet34,
    "resnet50": resnet.ResNet50,
    "resnet101": resnet.ResNet101,
    "vit_tiny": vit.ViTTiny,
    "vit_s16": vit.ViTS,
    "vit_b16": vit.ViTB,
    "vit_l16": vit.ViTL,
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "_reg4": {"registers": 4},
    "_dinov2": {**_DINOV2, "resampling": "dino"},
    "_dinov2_reg4": {**_DINOV2, "registers": 4},
}
_MAKERS = {
    plain + variant: partial(make, **options)
    for plain, make in _PLAIN.items()
    for variant, options in _VARIANTS.items()
}
ENCODERS = {name: _MAKERS[name] for name in encoder_names.ENCODERS}


def make_encoder(
    kind: str,
    /,
    dtype: jnp.dtype = jnp.float32,
    *,
    frames: int = 1,
    output_stride: int = 32,
    normalisation: str = "imagenet",
    norm_groups: int = 1,
    norm_momentum: float = 0.1,
    name: str | None = None,
) -> resnet.ResNet | vit.ViT:
    """Returns the encoder of that name.

    Args:
      kind: a key of ENCODERS.
      dtype: what to compute in.
      frames: pictures stacked along the channels of its input.
      output_stride: 32, or 16 or 8 for later stages that are dilated instead of strided. A ViT's
        features have stride 16 whether 32 or 16 is asked for.
      normalisation: of its input, a key of resnet.NORMALISATIONS; it belongs to the weights.
      norm_groups: of batch normalisation, see norm.BatchNorm; above 1 for ResNets alone.
      norm_momentum: of batch normalisation, see resnet.ResNet; another than 0.1 for ResNets alone.
      name: of the flax module within its parent.

    Returns:
      A module with __call__(images [N, H, W, 3 * frames] in [0, 1], train) -> {stride: features}.
      The keys are the nominal strides, whatever the output stride: 2 to 32 of a ResNet, 4 to 32
      of a ViT (is_vit), whose features are all of one size (models.reassemble makes true strides).

    Raises:
      ValueError: for an unknown name or output stride.
    """
    _known("encoder", kind, ENCODERS)
    _known("normalisation", normalisation, resnet.NORMALISATIONS)
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride {output_stride!r} is not one of {OUTPUT_STRIDES}")
    return ENCODERS[kind](
        frames=frames,
        output_stride=output_stride,
        normalisation=normalisation,
        dtype=dtype,
        name=name,
        **({"norm_groups": norm_groups} if norm_groups > 1 else {}),
        **({"norm_momentum": norm_momentum} if norm_momentum != 0.1 else {}),
    )


def is_vit(kind: str) -> bool:
    """Tells whether that encoder is a ViT: no stage 2, no batch statistics, tokens and features."""
    return kind in ENCODERS and ENCODERS[kind].func is vit.ViT


def _known(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        hint = did_you_mean(name, names)
        raise ValueError(f"{what} {name!r} is not known, choose one of {sorted(names)}{hint}")
