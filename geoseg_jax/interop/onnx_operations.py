"""What each of jax's operations becomes in ONNX; those of our networks, and no others.

An operation is a function (graph, values, parameters, result) -> the name of the result, in the
result's full shape. `result` is jax's description of it: shape and dtype. Those of ELEMENTWISE take
names instead of values, of arrays that need not be repeated to the result's shape yet.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.interop.onnx_graph import Graph, Value

Parameters = dict[str, Any]


def _plain(kind: str) -> Callable:
    return lambda graph, names, parameters, result: graph.add(kind, names)[0]


def _not_equal(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    return graph.add("Not", graph.add("Equal", names))[0]


def _rsqrt(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", names))[0]


def _square(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    return graph.add("Mul", names * 2)[0]


def _integer_pow(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    return graph.add("Pow", [*names, graph.constant(parameters["y"], result.dtype)])[0]


def _expm1(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    one = graph.constant(1, result.dtype)
    return graph.add("Sub", [*graph.add("Exp", names), one])[0]


def _erfc(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    return graph.add("Sub", [graph.constant(1, result.dtype), *graph.add("Erf", names)])[0]


def _clamp(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    low, x, high = names
    return graph.add("Min", [*graph.add("Max", [low, x]), high])[0]


def _select(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    which, no, yes = names
    return graph.add("Where", [which, yes, no])[0]


def _cast(graph: Graph, names: list[str], parameters: Parameters, result: Any) -> str:
    kind = graph.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(result.dtype))
    return graph.add("Cast", names, to=kind)[0]


ELEMENTWISE: dict[str, Callable[[Graph, list[str], Parameters, Any], str]] = {
    **{name: _plain(name.capitalize()) for name in ("add", "sub", "mul", "div", "max", "min")},
    **{name: _plain(name.capitalize()) for name in ("abs", "neg", "exp", "log", "sqrt", "tanh")},
    **{name: _plain(name.capitalize()) for name in ("floor", "erf", "pow", "and", "or", "not")},
    "logistic": _plain("Sigmoid"),
    "gt": _plain("Greater"),
    "ge": _plain("GreaterOrEqual"),
    "lt": _plain("Less"),
    "le": _plain("LessOrEqual"),
    "eq": _plain("Equal"),
    "ne": _not_equal,
    "rsqrt": _rsqrt,
    "square": _square,
    "integer_pow": _integer_pow,
    "expm1": _expm1,
    "erfc": _erfc,
    "clamp": _clamp,
    "select_n": _select,
    "convert_element_type": _cast,
    "copy": _plain("Identity"),
    "stop_gradient": _plain("Identity"),
}


def _reshape(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    return graph.reshape(graph.whole(values[0]), result.shape)


def _transpose(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    return _transposed(graph, graph.whole(values[0]), parameters["permutation"])


def _concatenate(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    axis = parameters["dimension"]
    filled = [
        v for v in values if str(v.shape[axis]) != "0"
    ]  # a pad of no width gives an empty one
    return graph.add("Concat", [graph.whole(v) for v in filled], axis=axis)[0]


def _stack(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    axis = graph.constant([parameters["axis"]], np.int64)
    parts = [graph.add("Unsqueeze", [graph.whole(v), axis])[0] for v in values]
    return graph.add("Concat", parts, axis=parameters["axis"])[0]


def _slice(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    (x,) = values
    starts, ends = parameters["start_indices"], parameters["limit_indices"]
    steps = parameters["strides"] or (1,) * len(starts)
    cuts = {
        axis: (start, end, step)
        for axis, (start, end, step) in enumerate(zip(starts, ends, steps, strict=True))
        if (str(start), str(end), step) != ("0", str(x.shape[axis]), 1)
    }
    return graph.slice(graph.whole(x), cuts)


def _reverse(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    (x,) = values
    cuts = {axis: (x.shape[axis] - 1, -1, -1) for axis in parameters["dimensions"]}
    return graph.slice(graph.whole(x), cuts)


def _pad(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    x, filling = values
    lows, highs, inside = zip(*parameters["padding_config"], strict=True)
    if min(*lows, *highs) < 0 or any(inside):
        raise WeightsError("a pad that cuts, or that fills between pixels, is not written as ONNX")
    edges = graph.constant([*lows, *highs], np.int64)
    return graph.add("Pad", [graph.whole(x), edges, graph.whole(filling)])[0]


def _reduce(kind: str) -> Callable:
    def reduce(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
        axes = list(parameters["axes"])
        name = graph.whole(values[0])
        if kind == "ReduceSum":  # whose axes are an input from opset 13 on, the others' from 18
            return graph.add(kind, [name, graph.constant(axes, np.int64)], keepdims=0)[0]
        return graph.add(kind, [name], axes=axes, keepdims=0)[0]

    return reduce


def _argmax(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    (axis,) = parameters["axes"]
    found = graph.add("ArgMax", [graph.whole(values[0])], axis=axis, keepdims=0)
    return _cast(graph, found, parameters, result)


def _convolution(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    """Convolves between transpositions to ONNX's NCHW and back, which runtimes take out again."""
    if any(n != 1 for n in parameters["lhs_dilation"]) or parameters["batch_group_count"] != 1:
        raise WeightsError("a transposed convolution is not written as ONNX")
    axes = parameters["dimension_numbers"]
    x = _transposed(graph, graph.whole(values[0]), axes.lhs_spec)
    if values[1].array is not None:
        kernel = graph.constant(values[1].array.transpose(axes.rhs_spec))
    else:
        kernel = _transposed(graph, graph.whole(values[1]), axes.rhs_spec)
    lows, highs = zip(*parameters["padding"], strict=True)
    (y,) = graph.add(
        "Conv",
        [x, kernel],
        strides=list(parameters["window_strides"]),
        pads=[*lows, *highs],
        dilations=list(parameters["rhs_dilation"]),
        group=parameters["feature_group_count"],
    )
    return _transposed(graph, y, np.argsort(axes.out_spec))


def _product(graph: Graph, values: Sequence[Value], parameters: Parameters, result: Any) -> str:
    """Multiplies matrices: both sides are laid out as [shared, rows, columns], then laid back."""
    (summed, shared) = parameters["dimension_numbers"]
    sides = []
    for value, sum_over, batch in zip(values, summed, shared, strict=True):
        free = [a for a in range(len(value.shape)) if a not in (*sum_over, *batch)]
        sides.append((value, list(sum_over), list(batch), free))
    (x, x_sum, x_batch, x_free), (y, y_sum, y_batch, y_free) = sides
    depth = math.prod(x.shape[a] for a in x_sum)
    if not x_batch and len(y_free) == 1 and x_free:  # a layer on the last axis: no reshape
        left = _transposed(graph, graph.whole(x), [*x_free, *x_sum])
        left = left if len(x_sum) == 1 else graph.reshape(left, [*_of(x, x_free), depth])
        right = _laid_out(graph, y, [*y_sum, *y_free], [depth, *_of(y, y_free)])
        return graph.add("MatMul", [left, right])[0]
    batch = _of(x, x_batch)
    lead = [math.prod(batch)] if batch else []
    rows, columns = (math.prod(_of(v, free)) for v, free in ((x, x_free), (y, y_free)))
    left = _laid_out(graph, x, [*x_batch, *x_free, *x_sum], [*lead, rows, depth])
    right = _laid_out(graph, y, [*y_batch, *y_sum, *y_free], [*lead, depth, columns])
    return graph.reshape(graph.add("MatMul", [left, right])[0], result.shape)


def _of(value: Value, axes: Sequence[int]) -> list[Any]:
    return [value.shape[a] for a in axes]


def _laid_out(graph: Graph, value: Value, order: Sequence[int], shape: Sequence[Any]) -> str:
    if value.array is not None:
        return graph.constant(
            np.broadcast_to(value.array, value.shape).transpose(order).reshape(shape)
        )
    return graph.reshape(_transposed(graph, graph.whole(value), order), shape)


def _transposed(graph: Graph, name: str, order: Sequence[int]) -> str:
    if list(order) == list(range(len(order))):
        return name
    return graph.add("Transpose", [name], perm=[int(axis) for axis in order])[0]


OTHERS: dict[str, Callable[[Graph, Sequence[Value], Parameters, Any], str]] = {
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "stack": _stack,
    "slice": _slice,
    "rev": _reverse,
    "pad": _pad,
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "argmax": _argmax,
    "conv_general_dilated": _convolution,
    "dot_general": _product,
}
