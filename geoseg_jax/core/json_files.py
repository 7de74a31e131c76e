"""JSON files, written whole or not at all."""

import datetime
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from geoseg_jax.core import atomic


def write_json(path: str | pathlib.Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
    atomic.write_text(path, text + "\n")


def read_json(path: str | pathlib.Path) -> dict[str, Any] | None:
    """Returns the file's content, or None where there is no file."""
    path = pathlib.Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


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
