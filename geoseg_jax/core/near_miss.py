"""Suggests the closest known name."""

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters of what may be a name; to compare a file's content takes for ever


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """Returns '; did you mean NAME?' for the nearest of the names, or '' where none is near."""
    if len(str(value)) > _LONGEST:
        return ""
    near = difflib.get_close_matches(str(value), list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
