"""Reads a program's text in XLA's form (HLO) and counts what its instructions compute and move.

The text is that of `jax.stages.Compiled.as_text()`, where each instruction of the entry is a
kernel, or that of a program before any compiler saw it, where each is one operation.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

# Bits a number of each type takes.
BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128, "token": 0, "opaque": 0}
# A type, its sizes, and maybe its layout: order of axes from the innermost, tiles, memory.
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([0-9,<=]*)\](?:\{([0-9,]*)(:[^}]*)?\})?")
_LINE = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (.*)$")
_CALLED = re.compile(
    r"\b(?:calls|to_apply|condition|body|branch_computations|called_computations)="
)
_NAME = re.compile(r"%?([A-Za-z_][\w.-]*)")


class Array(NamedTuple):
    """An array as the program lays it out."""

    type: str
    sizes: tuple[int, ...]
    layout: str = ""  # 'order of axes:tiles'

    @property
    def count(self) -> int:
        """Returns how many numbers it has."""
        return math.prod(self.sizes)

    @property
    def bytes(self) -> int:
        """Returns what it takes in the device's main memory, padding to the layout's tile included.

        A TPU stores tiles, T(8,128): an innermost axis of 3 takes 128. Memory other than the
        default, S(1), lies on the chip, and costs no traffic to the main memory.
        """
        order, _, rest = self.layout.partition(":")
        if re.search(r"S\(\d", rest):
            return 0
        sizes = list(self.sizes)
        tile = re.match(r"T\(([\d,]+)\)", rest)
        if tile and sizes:
            axes = [int(axis) for axis in order.split(",")]
            lengths = [int(length) for length in tile[1].split(",")]
            for axis, length in zip(axes, reversed(lengths), strict=False):
                sizes[axis] = -(-sizes[axis] // length) * length
        return math.prod(sizes) * _bits(self.type) // 8


class Instruction(NamedTuple):
    """An instruction: what it makes, of what."""

    name: str
    opcode: str
    arrays: tuple[Array, ...]  # what it makes; several where that is a tuple
    operands: tuple[str, ...]
    attributes: str  # the rest of the line
    called: tuple[str, ...]  # computations

    @property
    def op_name(self) -> str:
        """Returns the scope in the traced program, 'jit(step)/decoder/add'."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1] if found else ""

    @property
    def target(self) -> str:
        """Returns whose code a custom call runs."""
        found = re.search(r'custom_call_target="([^"]*)"', self.attributes)
        return found[1] if found else ""


class Program(NamedTuple):
    """The computations of a program by name: each one's instructions, by name, in order."""

    computations: dict[str, dict[str, Instruction]]
    entry: str

    def inside(self, instruction: Instruction) -> Iterator[Instruction]:
        """Yields an instruction, or of a fusion or call all that it does, nested ones too."""
        if instruction.opcode not in ("fusion", "call", "async-start"):
            yield instruction
            return
        for name in instruction.called:
            for inner in self.computations[name].values():
                yield from self.inside(inner)


def _bits(kind: str) -> int:
    return BITS[kind] if kind in BITS else int(re.sub(r"^[a-z]+(\d+).*$", r"\1", kind))


def parse(text: str) -> Program:
    """Reads a program.

    Raises:
      ValueError: where there is no entry, or a line is no instruction.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if not line or line.startswith(("HloModule", "//")):
            continue
        if not line.startswith((" ", "}")) and line.endswith("{"):
            name = _NAME.match(line.removeprefix("ENTRY "))
            assert name is not None
            current = computations.setdefault(name[1], {})
            entry = name[1] if line.startswith("ENTRY ") else entry
        elif line.startswith("}"):
            current = None
        elif current is not None:
            made = _instruction(line)
            current[made.name] = made
    if not entry:
        raise ValueError("the text has no line 'ENTRY ... {': it is no program in HLO")
    return Program(computations, entry)


def _instruction(line: str) -> Instruction:
    found = _LINE.match(line)
    if not found:
        raise ValueError(f"no instruction of HLO: {line.strip()[:100]!r}")
    name, rest = found.groups()
    end = _closing(rest, 0) if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:end], rest[end:].lstrip()
    opcode, _, _ = rest.partition("(")
    end = _closing(rest, len(opcode))
    inside, attributes = rest[len(opcode) + 1 : end - 1], rest[end:]
    literal = opcode in ("parameter", "constant")
    operands = () if literal else _operands(inside)
    called = tuple(
        name
        for start in _CALLED.finditer(attributes)
        for name in _names_after(attributes[start.end() :])
    )
    rest = f"literal={inside}{attributes}" if literal else attributes
    return Instruction(name, opcode, _arrays(shape), operands, rest, called)


def _closing(text: str, start: int) -> int:
    """Returns the place after the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    raise ValueError(f"a bracket is not closed: {text[start : start + 60]!r}")


def _operands(text: str) -> tuple[str, ...]:
    """Reads '%a, %b', or with shapes and without signs 'f32[2]{0} a, b'."""
    text = _ARRAY.sub("", re.sub(r"/\*.*?\*/", "", text))
    return tuple(_NAME.findall(text))


def _names_after(text: str) -> list[str]:
    """Reads '%name' or '{%a, %b}' at the start of the text."""
    return _NAME.findall(text[: text.index("}")] if text.startswith("{") else text.split(",")[0])


def _arrays(text: str) -> tuple[Array, ...]:
    return tuple(
        Array(
            kind,
            tuple(int(n.lstrip("<=")) for n in sizes.split(",") if n),
            (order or "") + (rest or ""),
        )
        for kind, sizes, order, rest in _ARRAY.findall(text)
    )
