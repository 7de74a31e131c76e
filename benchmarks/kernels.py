"""Counts what each kernel of a compiled program computes and moves, and tells its kind."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.hlo import Array, Instruction, Program

# Kinds of kernels, as the table lists them.
PRODUCT = "convolutions, products"
GATHER = "gathers, scatters"
REDUCE = "reductions"
POINTWISE_32 = "element-wise, mostly float32"
POINTWISE = "element-wise, other"
MOVE = "copies, layout"
CONDITIONAL = "conditionals"
COLLECTIVE = "collectives"
HOST = "host transfers"
KINDS = (
    *(PRODUCT, GATHER, REDUCE, POINTWISE_32, POINTWISE),
    *(MOVE, CONDITIONAL, COLLECTIVE, HOST),
)

# What costs nothing at run time, or is counted where it begins.
_FREE = frozenset(
    {
        *("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all"),
        *("partition-id", "replica-id", "opt-barrier", "optimization-barrier", "iota"),
        *("get-dimension-size", "add-dependency", "while", "call", "async-start"),
    }
)
# What moves numbers and computes none.
_MOVING = frozenset(
    {
        *("copy", "copy-start", "transpose", "reshape", "broadcast", "slice", "slice-start"),
        *("dynamic-slice", "dynamic-update-slice", "concatenate", "pad", "reverse", "convert"),
        *("bitcast-convert", "gather", "select"),
    }
)
_PARTS = frozenset({"slice", "dynamic-slice", "gather"})  # read a part of their first operand
_THROUGH = frozenset({"bitcast", "convert", "copy", "reshape"})  # each number on its own
_GATHERING = frozenset({"gather", "scatter", "sort", "select-and-scatter"})
_REDUCING = frozenset({"reduce", "reduce-window"})
_PRODUCTS = frozenset({"convolution", "dot"})
_COLLECTIVES = (
    *("all-reduce", "all-gather", "all-to-all", "reduce-scatter"),
    *("collective-permute", "collective-broadcast", "ragged-all-to-all"),
)
_HOST = ("infeed", "outfeed", "send", "recv")
_HOST_CALLS = re.compile(r"MoveToHost|MoveToDevice|callback", re.IGNORECASE)
_PRODUCT_CALLS = re.compile(r"cudnn\$conv|cublas|gemm|matmul", re.IGNORECASE)


class Kernel(NamedTuple):
    """An instruction that runs by itself, and what one run of it costs."""

    name: str
    kind: str
    op_name: str  # the scope in the traced program
    times: int  # how often a run of the program runs it
    flop: float
    product: str  # the type whose rate of products it has; '' for the rate of single numbers
    bytes: float  # to and from the device's main memory
    bytes_32: float  # those of float32 among them
    payload: float  # of a collective, in bytes


def kernels(program: Program) -> list[Kernel]:
    """Lists all kernels of a program; those of a loop once, with how often it runs."""
    return list(_of(program, program.entry, 1))


def _of(program: Program, computation: str, times: int) -> Iterator[Kernel]:
    within = program.computations[computation]
    for one in within.values():
        if one.opcode == "while":
            yield from _of(program, one.called[-1], times * _turns(program, one))
        elif one.opcode in ("call", "async-start", "conditional"):
            # Which branch runs is known to nobody here: all of them count.
            for name in one.called:
                yield from _of(program, name, times)
        if one.opcode not in _FREE and not one.opcode.endswith(("-done", "-update")):
            yield _kernel(program, within, one, times)


def _turns(program: Program, loop: Instruction) -> int:
    """Returns how often a loop's body runs, as the compiler knows, or as its condition says.

    jax counts turns from 0 to a constant; where there is no such thing, the body counts once.
    """
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes)
    if known:
        return int(known[1])
    condition = program.computations[loop.called[0]].values()
    below = any("direction=LT" in i.attributes for i in condition)
    numbers = [i.attributes for i in condition if i.opcode == "constant"]
    turns = re.match(r"literal=(\d+)$", numbers[0]) if below and len(numbers) == 1 else None
    return int(turns[1]) if turns else 1


def _kernel(
    program: Program, within: dict[str, Instruction], one: Instruction, times: int
) -> Kernel:
    inner = list(program.inside(one))
    moved = _moved(program, within, one)
    flop, product = 0.0, ""
    for computation, instruction in _with_places(program, within, one):
        own = _product_flop(computation, instruction)
        flop += own or _pointwise_flop(computation, instruction)
        if own:
            product = _product_type(computation, instruction)
    kind = _kind(one, inner, moved)
    collective = kind == COLLECTIVE
    payload = sum(a.bytes for name in one.operands for a in _array(within, name))
    return Kernel(
        name=one.name,
        kind=kind,
        op_name=_scope(one, inner),
        times=times,
        flop=flop,
        product=product,
        bytes=float(sum(size for _, size in moved)),
        bytes_32=float(sum(size for kind, size in moved if kind == "f32")),
        payload=float(payload) if collective else 0.0,
    )


def _scope(one: Instruction, inner: list[Instruction]) -> str:
    return one.op_name or next((i.op_name for i in reversed(inner) if i.op_name), one.name)


def _with_places(
    program: Program, within: dict[str, Instruction], one: Instruction
) -> Iterator[tuple[dict[str, Instruction], Instruction]]:
    """Yields what a kernel does, each with the computation in which its operands are."""
    if one.opcode != "fusion":
        yield within, one
        return
    for name in one.called:
        computation = program.computations[name]
        for instruction in computation.values():
            yield from _with_places(program, computation, instruction)


def _array(within: dict[str, Instruction], name: str) -> tuple[Array, ...]:
    return within[name].arrays if name in within else ()


def _kind(one: Instruction, inner: list[Instruction], moved: list[tuple[str, int]]) -> str:
    opcode, opcodes = one.opcode, {i.opcode for i in inner}
    if opcode.startswith(_COLLECTIVES):
        return COLLECTIVE
    if opcode == "conditional":
        return CONDITIONAL
    if opcode.startswith(_HOST) or _HOST_CALLS.search(one.target):
        return HOST
    if opcodes & _PRODUCTS or any(_PRODUCT_CALLS.search(i.target) for i in inner):
        return PRODUCT
    if opcodes & _GATHERING:
        return GATHER
    if opcodes & _REDUCING:
        return REDUCE
    if opcodes <= _MOVING | _FREE:
        return MOVE
    wide = sum(size for kind, size in moved if kind == "f32")
    return POINTWISE_32 if 2 * wide > sum(size for _, size in moved) else POINTWISE


# What a kernel reads and writes.


def _moved(
    program: Program, within: dict[str, Instruction], one: Instruction
) -> list[tuple[str, int]]:
    """Returns (type, bytes) of all that a kernel reads and writes; of a slice or gather, only that
    part of the operand, and of an update in place, only the part that is new.
    """
    if one.opcode == "fusion":
        inner = program.computations[one.called[0]]
        parameters = [i for i in inner.values() if i.opcode == "parameter"]
        read = [move for p in parameters for move in _read(inner, p)]
        return read + _written(inner)
    if one.opcode == "conditional":
        return []
    arrays = [_array(within, name) for name in one.operands]
    made = one.arrays
    if one.opcode in ("custom-call", "copy-start", "slice-start"):
        made = made[:1]  # the others are workspace, or the operand once more
    if one.opcode in _PARTS:
        arrays[0] = made
    if one.opcode == "dynamic-update-slice":
        arrays, made = arrays[1:], arrays[1]
    if one.opcode == "scatter":
        arrays, made = arrays[len(made) :], arrays[-1]
    return [(a.type, a.bytes) for group in (*arrays, made) for a in group]


def _read(inner: dict[str, Instruction], source: Instruction) -> list[tuple[str, int]]:
    """Returns what a fusion reads of one of its parameters."""
    whole = [(a.type, a.bytes) for a in source.arrays]
    if len(source.arrays) != 1:
        return whole
    count = _count_read(inner, source)
    part = source.arrays[0]._replace(sizes=(count,), layout="").bytes
    return whole if count >= source.arrays[0].count else [(whole[0][0], min(part, whole[0][1]))]


def _count_read(inner: dict[str, Instruction], source: Instruction) -> int:
    """Counts the numbers of an array that anything inside a fusion looks at."""
    whole, count = source.arrays[0].count, 0
    if next(reversed(inner.values())) == source:  # the result
        return whole
    for user in inner.values():
        if source.name not in user.operands:
            continue
        first = user.operands[0] == source.name and source.name not in user.operands[1:]
        if user.opcode in _THROUGH:
            count += _count_read(inner, user)
        elif user.opcode in _PARTS and first:
            count += user.arrays[0].count
        elif not (user.opcode == "dynamic-update-slice" and first):
            return whole
    return min(count, whole)


def _written(inner: dict[str, Instruction]) -> list[tuple[str, int]]:
    root = next(reversed(inner.values()))
    made = [inner[name] for name in root.operands] if root.opcode == "tuple" else [root]
    found = []
    for one in made:
        while one.opcode == "bitcast" and one.operands[0] in inner:
            one = inner[one.operands[0]]
        if one.opcode == "dynamic-update-slice":
            one = inner[one.operands[1]]
        found += [(a.type, a.bytes) for a in one.arrays]
    return found


# What a kernel computes.


def _product_flop(within: dict[str, Instruction], one: Instruction) -> float:
    """Counts two for each product that is summed; padding counts, zeros between inputs don't."""
    if one.opcode == "dot" or "matmul" in one.target or "gemm" in one.target:
        (left, *_), made = _array(within, one.operands[0]), one.arrays[0]
        axes = re.search(r'lhs_contracting_dim(?:s=\{|ensions":\[)([\d,"]*)[\]}]', one.attributes)
        axes = [int(axis) for axis in re.findall(r"\d+", axes[1] if axes else "")]
        return 2.0 * made.count * math.prod(left.sizes[axis] for axis in axes)
    if one.opcode == "convolution" or "cudnn$conv" in one.target:
        return _convolution_flop(within, one)
    return 0.0


def _convolution_flop(within: dict[str, Instruction], one: Instruction) -> float:
    """Counts those of a convolution, or of cuDNN's gradients of one, from the forward's sizes."""
    left, right, made = (
        _array(within, one.operands[0])[0],
        _array(within, one.operands[1])[0],
        one.arrays[0],
    )
    result, kernel = made, right
    if "BackwardInput" in one.target:
        result = left
    elif "BackwardFilter" in one.target:
        result, kernel = right, made
    labels = re.search(r"dim_labels=\w+_(\w+)->", one.attributes)
    assert labels is not None
    features = kernel.sizes[labels[1].index("o")]
    dilated = re.search(r"lhs_dilate=([\dx]+)", one.attributes)
    zeros = math.prod(int(n) for n in dilated[1].split("x")) if dilated else 1
    groups = re.search(r"batch_group_count=(\d+)", one.attributes)
    zeros *= int(groups[1]) if groups else 1
    return 2.0 * result.count * kernel.count / features / zeros


def _product_type(within: dict[str, Instruction], one: Instruction) -> str:
    """Returns the type that is multiplied; 'f32 exact' where nothing may be rounded."""
    kind = _array(within, one.operands[0])[0].type
    exact = re.search(r'highest|"HIGHEST"', one.attributes)
    return f"{kind} exact" if kind == "f32" and exact else kind


def _pointwise_flop(within: dict[str, Instruction], one: Instruction) -> float:
    """Counts one for each number made, or read by a sum."""
    if one.opcode in _MOVING | _FREE or not one.arrays or one.arrays[0].type[0] not in "fb":
        return 0.0
    if one.opcode in _REDUCING and one.operands:
        size = re.search(r"window=\{size=([\dx]+)", one.attributes)
        if size:
            return one.arrays[0].count * math.prod(int(n) for n in size[1].split("x"))
        return float(sum(a.count for a in _array(within, one.operands[0])))
    if one.opcode in ("custom-call", "conditional") or one.opcode.startswith(_COLLECTIVES):
        return 0.0
    return float(one.arrays[0].count)
