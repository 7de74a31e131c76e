"""Names the type of activations where a config leaves it to the device: model.compute_dtype=auto.

Parameters, batch statistics, losses and poses are float32 whatever it is.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

AUTO = "auto"
# From Ampere on; on those before, bfloat16 goes through float32 and is no faster than that.
_CUDA = 8.0


def best_on(device: Any) -> str:
    """Returns the type that a device multiplies fastest without further care of its range.

    Args:
      device: a jax.Device: bfloat16 on TPUs and on GPUs that have units for it, float32 elsewhere.
    """
    if device.platform == "cpu":
        return "float32"
    capability = str(getattr(device, "compute_capability", ""))  # '7.5' of CUDA, 'gfx90a' of ROCm
    old = capability.replace(".", "", 1).isdigit() and float(capability) < _CUDA
    return "float32" if old else "bfloat16"


def activations(model: ConfigDict) -> np.dtype:
    """Returns the type of a network's activations, by config.model; of this machine for 'auto'."""
    named = model.compute_dtype
    return jnp.dtype(best_on(jax.devices()[0]) if named == AUTO else named)


def resolved(
    config: ConfigDict, device: Any = None, earlier: Mapping[str, Any] | None = None
) -> ConfigDict:
    """Returns the config with a type in place of 'auto'; the config itself where it has one.

    Args:
      device: what it will run on; None for jax's first one.
      earlier: the config that the run was started with, whose type it keeps on any device.
    """
    if config.get("model", {}).get("compute_dtype") != AUTO:
        return config
    known = (earlier or {}).get("model", {}).get("compute_dtype")
    made = config.copy_and_resolve_references()
    made.model.compute_dtype = known or best_on(device or jax.devices()[0])
    return made
