"""Compares nested mappings, such as configs, as JSON would hold them."""

from collections.abc import Mapping
from typing import Any


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings: {'train.steps': 100, ...}; tuples become lists, as in JSON."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) or hasattr(value, "to_dict"):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = as_json(value)
    return flat


def as_json(value: Any) -> Any:
    """Turns tuples into lists, at any depth."""
    return [as_json(v) for v in value] if isinstance(value, tuple | list) else value


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Finds keys whose values differ -> (old, new), with None for a key that one side lacks.

    A setting that is off counts as lacking, so that a run begun before it existed can continue.
    """
    before, after = flatten(old), flatten(new)
    pairs = {k: (before.get(k), after.get(k)) for k in sorted(before.keys() | after.keys())}

    def off(value: Any) -> bool:
        return is_off(value) or value == ""

    return {k: (a, b) for k, (a, b) in pairs.items() if a != b and not (off(a) and off(b))}


def is_off(value: Any) -> bool:
    """Tells whether a value is None or an empty sequence, by which a setting asks for nothing."""
    return value is None or (isinstance(value, list | tuple) and not value)
