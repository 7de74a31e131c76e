"""Writes a network as ONNX: its jaxpr, operation by operation.

jax2onnx does more, and asks for other versions of what this package stands on. Here is what our
networks are made of; another operation is refused by its name. What depends on the parameters alone
is computed while writing. Batches may have any size.
"""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import export

from geoseg_jax.core import atomic
from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.onnx_graph import Graph, Value, same
from geoseg_jax.interop.onnx_operations import ELEMENTWISE, OTHERS
from geoseg_jax.models import fast_conv

INPUT, METADATA = "images", "geoseg_jax"  # of the graph; the key of its metadata


def write_onnx(
    function: Callable[[jax.Array], Mapping[str, jax.Array]],
    picture: jax.ShapeDtypeStruct,
    path: str | pathlib.Path,
    metadata: Mapping[str, Any],
) -> None:
    """Writes a function of one picture as a network of [N, ...] pictures.

    Args:
      function: of one picture to named arrays.
      picture: its shape and type.
      path: of the .onnx.
      metadata: plain values; in the file as JSON under the key 'geoseg_jax'.

    Raises:
      WeightsError: for an operation that is not known, or without the package onnx.
    """
    (batch,) = export.symbolic_shape("N")
    spec = jax.ShapeDtypeStruct((batch, *picture.shape), picture.dtype)
    graph = Graph(INPUT, batch)
    with fast_conv.plain():
        closed, shapes = jax.make_jaxpr(jax.vmap(function), return_shape=True)(spec)
    images = Value(spec.shape, spec.shape, np.dtype(spec.dtype), name=INPUT)
    results = _walk(graph, closed.jaxpr, closed.consts, [images])
    named = dict(zip(sorted(shapes), results, strict=True))  # as jax flattens a dict
    model = graph.model(
        (INPUT, spec.shape, spec.dtype),
        {name: named[name] for name in shapes},
        {METADATA: json.dumps(metadata)},
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as partial:
        partial.write_bytes(model.SerializeToString(deterministic=True))


def _walk(graph: Graph, jaxpr: Any, constants: list[Any], arguments: list[Value]) -> list[Value]:
    """Adds what a jaxpr computes, and returns its results."""
    known: dict[Any, Value] = {}

    def read(atom: Any) -> Value:
        if hasattr(atom, "val"):
            return _known(np.asarray(atom.val, atom.aval.dtype))
        return known[atom]

    known |= zip(jaxpr.constvars, map(_known, map(np.asarray, constants)), strict=True)
    known |= zip(jaxpr.invars, arguments, strict=True)
    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        known |= zip(equation.outvars, _results(graph, equation, values), strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _results(graph: Graph, equation: Any, values: list[Value]) -> list[Value]:
    name, parameters = equation.primitive.name, equation.params
    inner = parameters.get("jaxpr", parameters.get("call_jaxpr"))
    if inner is not None and name not in ("scan", "while", "cond"):
        closed = hasattr(inner, "consts")
        return _walk(
            graph, inner.jaxpr if closed else inner, inner.consts if closed else [], values
        )
    kinds = [variable.aval for variable in equation.outvars]
    if name == "broadcast_in_dim":
        return [_repeated(graph, values[0], parameters["broadcast_dimensions"], kinds[0])]
    if all(value.array is not None and _closed(value.shape) for value in values):
        return _computed(equation, values)
    if name in ELEMENTWISE:
        held = functools.reduce(_together, (value.held for value in values))
        found = ELEMENTWISE[name](graph, list(map(graph.held, values)), parameters, kinds[0])
    elif name in OTHERS:
        held = kinds[0].shape
        found = OTHERS[name](graph, values, parameters, kinds[0])
    else:
        raise WeightsError(
            f"the network has an operation {name!r} that is not written as ONNX; "
            "--to=stablehlo writes every network"
        )
    return [Value(kinds[0].shape, held or kinds[0].shape, np.dtype(kinds[0].dtype), name=found)]


def _known(array: np.ndarray) -> Value:
    return Value(array.shape, array.shape, array.dtype, array=array)


def _closed(shape: tuple[Any, ...]) -> bool:
    return all(isinstance(side, int | np.integer) for side in shape)


def _computed(equation: Any, values: list[Value]) -> list[Value]:
    """Computes what depends on no picture."""
    arrays = [np.broadcast_to(value.array, value.shape) for value in values]
    found = equation.primitive.bind(*arrays, **equation.params)
    several = equation.primitive.multiple_results
    return [_known(np.asarray(array)) for array in (found if several else [found])]


def _repeated(graph: Graph, value: Value, axes: tuple[int, ...], kind: Any) -> Value:
    """Gives a value further axes; it is repeated along them where something asks for that."""
    held: list[Any] = [1] * len(kind.shape)
    for axis, side in zip(axes, value.held, strict=True):
        held[axis] = side
    kept = tuple(held)
    if value.array is not None:
        array = value.array.reshape(kept)
        return Value(kind.shape, kept, array.dtype, array=array)
    name = value.name if same(kept, value.held) else graph.reshape(value.name, kept)
    return Value(kind.shape, kept, value.dtype, name=name)


def _together(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the shape that ONNX gives an operation on both; a scalar goes with any."""
    if not one or not other:
        return one or other
    return tuple(b if str(a) == "1" else a for a, b in zip(one, other, strict=True))
