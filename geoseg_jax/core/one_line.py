"""Messages as one line, whatever a file brings into them."""

_LONGEST = 900  # characters; what names the file is at the beginning, the remedy at the end
_CUT = " [...] "


def one_line(text: str) -> str:
    """Returns the text in one line that a terminal can show, its middle left out if it is long."""
    line = _cut(" ".join(text.split()))
    return _cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def named(error: Exception) -> str:
    """Returns an error's kind and message in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _cut(line: str) -> str:
    half = (_LONGEST - len(_CUT)) // 2
    return line if len(line) <= _LONGEST else line[:half] + _CUT + line[-half:]
