"""Messages as one line, whatever a file brings into them."""

_LONGEST = 900  # characters; what names the file is at the beginning, the remedy at the end
_CUT = " [...] "


def one_line(text: str) -> str:
    """Returns the text in one line that a terminal can show, its middle left out if it is long."""
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        half = (_LONGEST - len(_CUT)) // 2
        line = line[:half] + _CUT + line[-half:]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
