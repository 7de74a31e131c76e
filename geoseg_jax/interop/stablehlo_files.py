"""Writes a network as StableHLO, which jax.export reads back without any code of ours."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import export

from geoseg_jax.core import atomic, json_files

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write_stablehlo(
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    picture: jax.ShapeDtypeStruct,
    path: str | pathlib.Path,
    metadata: Mapping[str, Any],
) -> None:
    """Writes a function of one picture as a program of [N, ...] pictures, N of any size.

        program = jax.export.deserialize(bytearray(open(path, "rb").read()))
        outputs = jax.jit(program.call)(pictures)

    Args:
      function: of one picture to named arrays.
      picture: its shape and type.
      path: of the .stablehlo; the metadata goes beside it, as .json.
      metadata: plain values.
    """
    (batch,) = export.symbolic_shape("N")
    spec = jax.ShapeDtypeStruct((batch, *picture.shape), picture.dtype)
    program = export.export(jax.jit(jax.vmap(function)), platforms=PLATFORMS)(spec)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as partial:
        partial.write_bytes(program.serialize())
    json_files.write_json(path.with_suffix(".json"), {**metadata, "platforms": PLATFORMS})
