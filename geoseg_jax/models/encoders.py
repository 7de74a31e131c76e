"""Encoders by name."""

import difflib
from collections.abc import Iterable

import jax.numpy as jnp

from geoseg_jax.models import resnet

OUTPUT_STRIDES = (32, 16, 8)
ENCODERS = {
    "tiny": resnet.Tiny,
    "resnet18": resnet.ResNet18,
    "resnet34": resnet.ResNet34,
    "resnet50": resnet.ResNet50,
    "resnet101": resnet.ResNet101,
}


def make_encoder(
    kind: str,
    /,
    dtype: jnp.dtype = jnp.float32,
    *,
    frames: int = 1,
    output_stride: int = 32,
    normalisation: str = "imagenet",
    name: str | None = None,
) -> resnet.ResNet:
    """The encoder of that name.

    Args:
      kind: a key of ENCODERS.
      dtype: what to compute in.
      frames: pictures stacked along the channels of its input.
      output_stride: 32, or 16 or 8 for later stages that are dilated instead of strided.
      normalisation: of its input, a key of resnet.NORMALISATIONS; it belongs to the weights.
      name: of the flax module within its parent.

    Returns:
      A module with __call__(images [N, H, W, 3 * frames] in [0, 1], train) -> {stride: features}.
      The keys are the nominal strides, whatever the output stride.

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
    )


def _known(what: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} {name!r} is not known, choose one of {sorted(names)}{hint}")
