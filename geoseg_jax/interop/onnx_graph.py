"""Builds an ONNX graph: names, constants stored once, shapes whose first side is not known yet."""

import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.interop.errors import WeightsError

OPSET, IR = 17, 8  # of 2022: onnxruntime from 1.12 on, TensorRT, OpenVINO
BATCH = "N"  # the name of the side that any number of pictures has
_FAR = np.iinfo(np.int64).max


class Value(NamedTuple):
    """An array of the program: known now (array) or computed by the graph (name).

    shape: as the program has it; a side that depends on the batch is jax's symbol. held: as the
    graph has it, of the same rank: 1 where ONNX repeats by itself what the program repeats.
    """

    shape: tuple[Any, ...]
    held: tuple[Any, ...]
    dtype: np.dtype
    array: np.ndarray | None = None
    name: str = ""


class Graph:
    """A graph of one input."""

    def __init__(self, images: str, batch: Any):
        self.onnx = _import_onnx()
        self.batch = batch
        self.nodes: list[Any] = []
        self._constants: dict[tuple, str] = {}
        self._tensors: list[Any] = []
        self._count = 0
        (self._batch_size,) = self.add("Shape", [images], start=0, end=1)

    def add(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list:
        """Adds a node, and returns the names of what it gives."""
        self._count += 1
        names = [f"{kind.lower()}_{self._count}" + f"_{i}" * (i > 0) for i in range(outputs)]
        # onnxruntime 1.20 makes names of fused nodes from these, and stumbles over equal ones.
        node = self.onnx.helper.make_node(kind, inputs, names, name=names[0], **attributes)
        self.nodes.append(node)
        return names

    def constant(self, array: Any, dtype: Any = None) -> str:
        """Returns the name of a constant; equal ones are stored once."""
        array = np.ascontiguousarray(np.asarray(array, dtype)).reshape(np.shape(array))
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name = f"constant_{len(self._constants)}"
            self._tensors.append(self.onnx.numpy_helper.from_array(array, name))
        return self._constants[key]

    def whole(self, value: Value) -> str:
        """Returns the name of a value in its full shape."""
        if value.array is not None and not any(_open(side) for side in value.shape):
            return self.constant(np.broadcast_to(value.array, value.shape))
        name = self.held(value)
        if same(value.held, value.shape):
            return name
        return self.add("Expand", [name, self.shape(value.shape)])[0]

    def held(self, value: Value) -> str:
        """Returns the name of a value as it is held, for operations that repeat by themselves."""
        return value.name if value.array is None else self.constant(value.array)

    def reshape(self, name: str, shape: Sequence[Any]) -> str:
        """Adds a Reshape; one side may be open."""
        if sum(map(_open, shape)) > 1:
            raise WeightsError(
                f"a reshape to {tuple(shape)} has two sides that depend on the batch"
            )
        sides = [-1 if _open(side) else int(side) for side in shape]
        return self.add("Reshape", [name, self.constant(sides, np.int64)])[0]

    def shape(self, shape: Sequence[Any]) -> str:
        """Returns the name of a shape, which is computed where a side depends on the batch."""
        if not any(map(_open, shape)):
            return self.constant(shape, np.int64)
        parts = []
        for side in shape:
            if not _open(side):
                parts.append(self.constant([side], np.int64))
                continue
            times, rest = divmod(side, self.batch)
            if _open(times) or _open(rest) or int(rest):
                raise WeightsError(f"a side of {side} pictures is no multiple of the batch")
            factor = self.constant([int(times)], np.int64)
            parts += self.add("Mul", [self._batch_size, factor])
        return self.add("Concat", parts, axis=0)[0]

    def slice(self, name: str, axes: Mapping[int, tuple[int, int, int]]) -> str:
        """Adds a Slice: axis -> (start, end, step); an end of -1 with a step below 0 is the start.

        Nothing is added where there is nothing to cut.
        """
        if not axes:
            return name
        rows = [
            (a, s, -_FAR if step < 0 and e == -1 else e, step) for a, (s, e, step) in axes.items()
        ]
        axis, start, end, step = (self.constant(list(c), np.int64) for c in zip(*rows, strict=True))
        return self.add("Slice", [name, start, end, axis, step])[0]

    def model(
        self,
        images: tuple[str, tuple, np.dtype],
        outputs: Mapping[str, Value],
        metadata: Mapping[str, str],
    ) -> Any:
        """Returns the checked ModelProto, without what no output depends on."""
        for name, value in outputs.items():
            found = self.whole(value)
            node = self.onnx.helper.make_node("Identity", [found], [name], name=f"output_{name}")
            self.nodes.append(node)
        nodes = _needed(self.nodes, set(outputs))
        used = {name for node in nodes for name in node.input}
        helper = self.onnx.helper
        graph = helper.make_graph(
            nodes,
            "network",
            [_info(self.onnx, *images)],
            [_info(self.onnx, n, v.shape, v.dtype) for n, v in outputs.items()],
            [tensor for tensor in self._tensors if tensor.name in used],
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR, producer_name="geoseg_jax"
        )
        helper.set_model_props(model, dict(metadata))
        self.onnx.checker.check_model(model)
        return model


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Tells whether two shapes are equal, open sides included."""
    return tuple(map(str, one)) == tuple(map(str, other))


def _open(side: Any) -> bool:
    return not isinstance(side, int | np.integer)


def _needed(nodes: Sequence[Any], wanted: set[str]) -> list[Any]:
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _info(onnx: types.ModuleType, name: str, shape: Sequence[Any], dtype: np.dtype) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    sides = [BATCH if _open(side) else int(side) for side in shape]
    return onnx.helper.make_tensor_value_info(name, kind, sides)


def _import_onnx() -> types.ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise WeightsError(
            "writing ONNX needs the package onnx, which is not installed: pip install onnx"
        ) from error
    return onnx
