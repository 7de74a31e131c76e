"""Reads pickles without executing anything: a machine of our own that knows data alone.

Python's unpickler imports and calls whatever a file asks for. This one walks through the file's
instructions (as pickletools lists them) and builds numbers, strings, lists, tuples and dicts; what
a file calls by name is looked up in the caller's table and refused where it isn't there. Settings
of a training script (a path, a NumPy number) are passed over: an `Unread` takes their place.
Nothing is ever imported, and no attribute is ever set.

Time and memory grow with the length of a pickle and no faster: the count of instructions is
limited, and keys of dicts are text or integers, since to hash tuples within tuples, which a few
bytes can nest without end, takes for ever or overflows the stack.
"""

import pickletools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, NamedTuple

from geoseg_jax.interop.errors import WeightsError


class Symbol(NamedTuple):
    """A name that a pickle mentions, as in 'torch.FloatStorage': a name and nothing more."""

    name: str


class Unread(NamedTuple):
    """The place of an object that holds no weights, by the name of its class; it keeps nothing."""

    name: str


class Damaged(ValueError):
    """A pickle that breaks off or makes no sense."""


# Called with the arguments that a pickle gives.
Calls = Mapping[str, Callable[..., Any]]

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_MARK = object()
# Some 40 instructions a tensor: enough for 6,500 of them, an optimizer's included.
LONGEST = 1 << 18
_LONGEST_NAME = 200  # characters of the name of a function or class


def unpickle(
    file: BinaryIO,
    calls: Calls,
    symbols: Callable[[str], bool],
    persistent: Callable[[Any], Any] | None = None,
    passed_over: Callable[[str], bool] = lambda _: False,
) -> Any:
    """Reads the next object of a file, which is left behind its last byte.

    Args:
      file: with read and readline; the pickle starts where it stands.
      calls: name -> what stands in for the function or class of that name.
      symbols: whether a name that isn't called is known; it becomes a Symbol.
      persistent: what an identifier of something outside the pickle stands for.
      passed_over: whether what the class or function of that name would make holds no weights; it
        becomes an Unread.

    Raises:
      WeightsError: for a name that is none of these, and for anything else that data doesn't need:
        keys that are neither text nor integers, more than LONGEST instructions; nothing has been
        executed.
      Damaged: where the pickle is cut off or malformed.
    """
    machine = _Machine(calls, symbols, persistent, passed_over)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count >= LONGEST:
                raise WeightsError(
                    f"holds more than {LONGEST} objects beside its numbers: save the state dict "
                    "alone"
                )
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise Damaged(str(error)) from error
    raise Damaged("no end")


class _Machine:
    def __init__(
        self, calls: Calls, symbols: Callable[[str], bool], persistent, passed_over
    ) -> None:
        self.calls, self.symbols, self.persistent = calls, symbols, persistent
        self.passed_over = passed_over
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Runs one instruction."""
        stack = self.stack
        if name in ("PROTO", "FRAME"):
            return
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._global(name, argument)
        elif name in ("REDUCE", "NEWOBJ"):
            arguments = stack.pop()
            stack.append(self._call(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # a state that would be set as attributes; tensors and dicts need none
        elif name in ("PERSID", "BINPERSID"):
            self._persistent(argument if name == "PERSID" else stack.pop())
        elif name.endswith(("PUT", "GET")) or name == "MEMOIZE":
            self._remember(name, argument)
        else:
            self._collect(name)

    def _global(self, opcode: str, argument: Any) -> None:
        if opcode == "GLOBAL":
            module, _, name = argument.partition(" ")
        else:
            name, module = self.stack.pop(), self.stack.pop()
        for part in (module, name):
            if not isinstance(part, str) or len(part) > _LONGEST_NAME:
                raise Damaged("a name that is none")
        full = f"{module}.{name}"
        if full not in self.calls and not self.symbols(full) and not self.passed_over(full):
            raise WeightsError(
                f"asks for {full!r}, which holds no numbers; only tensors in plain containers are "
                "read, and nothing was executed: save the state dict alone"
            )
        self.stack.append(Symbol(full))

    def _call(self, function: Any, arguments: Any) -> Any:
        if isinstance(function, Symbol) and self.passed_over(function.name):
            return Unread(function.name)
        if not isinstance(function, Symbol) or function.name not in self.calls:
            name = function.name if isinstance(function, Symbol) else type(function).__name__
            raise WeightsError(
                f"wants {name!r} to be called, which is refused; nothing was executed: save the "
                "state dict alone"
            )
        return self.calls[function.name](*arguments)

    def _persistent(self, identifier: Any) -> None:
        if self.persistent is None:
            raise Damaged("it refers to something outside")
        self.stack.append(self.persistent(identifier))

    def _remember(self, name: str, argument: Any) -> None:
        if name.endswith("GET"):
            self.stack.append(self.memo[argument])
        else:
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]

    def _collect(self, name: str) -> None:
        stack = self.stack
        if name == "MARK":
            stack.append(_MARK)
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name == "LIST":
            stack.append(self._since_mark())
        elif name == "DICT":
            stack.append(_pairs(self._since_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._since_mark()
            if not isinstance(stack[-1], Unread):
                _expect(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._since_mark()
            if not isinstance(stack[-1], Unread):
                _expect(stack[-1], dict).update(_pairs(items))
        else:
            raise WeightsError(f"uses the pickle instruction {name}, which tensors don't need")

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise Damaged("a mark is missing")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict_of(zip(items[::2], items[1::2], strict=True))


def dict_of(pairs: Iterable[Any]) -> dict[Any, Any]:
    """Returns a dict of pairs of key and value.

    Raises:
      WeightsError: for a key that is neither text nor an integer: it may be nested without end.
    """
    made = {}
    for key, value in pairs:
        made[as_key(key)] = value
    return made


def as_key(key: Any) -> str | int:
    """Returns a key that can be hashed and shown. Raises WeightsError for any other."""
    if not isinstance(key, str | int):
        raise WeightsError(
            f"has a {type(key).__name__.lower()} as a key, where text or an integer belongs: save "
            "the state dict alone"
        )
    return key


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise Damaged(f"a {kind.__name__} expected, not a {type(value).__name__}")
    return value
