"""Encoders by name."""

import difflib

import jax.numpy as jnp

from geoseg_jax.models import resnet

ENCODERS = {
    "tiny": resnet.Tiny,
    "resnet18": resnet.ResNet18,
    "resnet34": resnet.ResNet34,
    "resnet50": resnet.ResNet50,
    "resnet101": resnet.ResNet101,
}


def make_encoder(
    kind: str, /, dtype: jnp.dtype = jnp.float32, *, frames: int = 1, name: str | None = None
) -> resnet.ResNet:
    """The encoder of that name.

    Args:
      kind: a key of ENCODERS.
      dtype: what to compute in.
      frames: pictures stacked along the channels of its input.
      name: of the flax module within its parent.

    Returns:
      A module with __call__(images [N, H, W, 3 * frames] in [0, 1], train) -> {stride: features}.

    Raises:
      ValueError: for an unknown name.
    """
    if kind not in ENCODERS:
        near = difflib.get_close_matches(kind, ENCODERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"encoder {kind!r} is not known, choose one of {sorted(ENCODERS)}{hint}")
    return ENCODERS[kind](frames=frames, dtype=dtype, name=name)
