"""JSON files, written whole or not at all, and read with their keys and types checked."""

import datetime
import json
import math
import pathlib
import types
import typing
from collections.abc import Mapping
from typing import Any, NoReturn

from geoseg_jax.core import atomic

# Key -> its type: `int`, `list[str]`, `dict[str, float]`. What may be None, as `str | None`, may
# also be missing, and so may a list of objects, [Keys]. A key may have dots, 'data.train.size'; '*'
# stands for every key of the file. A float may be written as an integer.
Keys = Mapping[str, Any]
_WORDS = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "null",
}


class FileError(ValueError):
    """A file that isn't what it must be; the message names the file, the key and the remedy."""


def write_json(path: str | pathlib.Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    atomic.write_text(path, text + "\n")


def read_json(
    path: str | pathlib.Path, kind: str, keys: Keys, remedy: str = "put the original back"
) -> dict[str, Any] | None:
    """Reads a file that holds one JSON object.

    Args:
      kind: what it is to be, for an error: 'the manifest of a run'.
      keys: those that the caller needs, with their types; others are passed on unchecked.
      remedy: what to do about a damaged file.

    Returns:
      Its content, or None where there is no file.

    Raises:
      FileError: it can't be read, is no JSON object, or lacks a key or has one of another type.
    """
    path = pathlib.Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileError(f"{path}: {kind} can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is damaged: {kind} is UTF-8 text; {remedy}") from error
    try:
        content = _parse(text)
        check_keys(content, keys)
    except ValueError as error:
        raise FileError(f"{path} is damaged: {kind} {error}; {remedy}") from error
    return content


def read_json_lines(path: str | pathlib.Path, kind: str, keys: Keys) -> list[dict[str, Any]]:
    """Reads a file of one JSON object a line; [] where there is no file.

    What was killed while writing leaves a last line without an end, which is passed over.

    Raises:
      FileError: as read_json, with the number of the line.
    """
    path = pathlib.Path(path)
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FileError(f"{path}: {kind} can't be read ({error.strerror})") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_parse(line.decode("utf-8")))
            check_keys(entries[-1], keys)
        except ValueError as error:
            reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise FileError(
                f"{path} is damaged: line {number} of {kind} {reason}; put the original back, or "
                "remove that line"
            ) from error
    return entries


def check_keys(content: Mapping[str, Any], keys: Keys) -> None:
    """Raises ValueError for the first key that is missing or of another type than asked for."""
    for key, wanted in keys.items():
        if key == "*":
            check_keys(content, dict.fromkeys(content, wanted))
            continue
        value = _find(content, key)
        if value is None and not _fits(None, wanted):
            raise ValueError(f"lacks {key!r}")
        if not _fits(value, wanted):
            shown = json.dumps(value)
            shown = shown if len(shown) < 60 else f"{shown[:57]}..."
            raise ValueError(f"has {key!r} = {shown}, which is not {_words(wanted)}")


def _find(content: Mapping[str, Any], key: str) -> Any:
    """Looks a key up, which may have dots of its own or lead into objects; None where missing."""
    if key in content:
        return content[key]
    value: Any = content
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _parse(text: str) -> dict[str, Any]:
    """Parses one JSON object. Raises ValueError for anything else, with what is wrong."""
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        what = "is not JSON" if text.strip() else "is empty"
        raise ValueError(f"{what} (line {error.lineno}: {error.msg})") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("is no JSON object")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"has the value {name}, which JSON doesn't know")


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        entries = [] if value is None else value
        objects = isinstance(entries, list) and all(isinstance(v, dict) for v in entries)
        for entry in entries if objects else ():
            check_keys(entry, wanted[0])
        return objects
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, inner[1]) for v in value.values())
    if wanted in (int, float):
        numbers = int if wanted is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _words(wanted: Any) -> str:
    if isinstance(wanted, list):
        return "a list of objects"
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:
        return " or ".join(map(_words, inner))
    if origin in (list, dict):
        return f"{_WORDS[origin]}, each entry {_words(inner[-1])}"
    return _WORDS[wanted]


def plain(value: Any) -> Any:
    """Converts to what JSON has: numbers that aren't finite to None, tuples to lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy's
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def now() -> str:
    """Returns the time in UTC, to the second, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
