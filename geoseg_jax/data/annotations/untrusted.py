"""JSON of strangers: read whole, and asked for values of the right kind, or told in one line."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from geoseg_jax.data.source import BadRecord, DataError

_MOST_BYTES = 2 << 30
_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def read(path: pathlib.Path) -> Any:
    """Returns what a JSON file holds.

    Raises DataError where it can't be read, is no JSON, is nested too deeply, or over 2 GiB.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise DataError(f"{path}: {size} bytes of JSON are more than 2 GiB; export in parts")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})") from error
    except RecursionError as error:
        raise DataError(f"{path}: is nested too deeply for an export; get it again") from error
    except ValueError as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: is no JSON ({reason}); export it again") from error


def get(record: Any, key: str, kind: type, where: str, default: Any = None) -> Any:
    """Returns record[key], of that kind; `default` where the key isn't there or is null.

    kind: dict, list, str or int. Without a default the key must be there. Raises BadRecord, which
    names `where`, the key and what stands there.
    """
    if not isinstance(record, Mapping):
        raise BadRecord(f"{where}: {_short(record)} is no object with {key!r}; export it again")
    value = record.get(key)
    if value is None and default is not None:
        return default
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadRecord(f"{where}: {key!r} must be {_KINDS[kind]}, it is {_short(value)}")
    return value


def points(value: Any, where: str) -> np.ndarray:
    """Returns pairs [[x, y], ...], or numbers [x, y, x, y, ...], as [N, 2].

    Raises BadRecord for anything else, and for numbers that aren't finite or are beyond 10^7.
    """
    try:
        array = np.array(value, np.float64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRecord(f"{where}: {_short(value)} are no points (x, y)") from error
    if not np.isfinite(array).all() or np.abs(array).max(initial=0) > 1e7:
        raise BadRecord(f"{where}: {_short(value)} holds a point that lies nowhere")
    return array


def polygon(value: Any, where: str) -> np.ndarray:
    """Returns `points` of three corners or more. Raises BadRecord."""
    corners = points(value, where)
    if len(corners) < 3:
        raise BadRecord(
            f"{where}: a polygon of {len(corners)} points; correct it in the tool that drew it"
        )
    return corners


def side(record: Any, key: str, where: str) -> int | None:
    """Returns a picture's height or width, None where it isn't given. Raises BadRecord."""
    value = get(record, key, int, where, default=0)
    if value < 0:
        raise BadRecord(f"{where}: {key!r} must be a picture's side, it is {value}")
    return value or None


def _short(value: Any) -> str:
    """The beginning of what stands there; values may be as large as the file, or very deep."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
