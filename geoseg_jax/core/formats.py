"""Formats numbers as text, once: the answer, the tables, the figures, the page and the log agree.

A value that is missing (None) or not finite is NONE. Metrics are shares of 1, shown in percent;
their differences are in points, which are percent too.
"""

import math
from typing import TypeGuard

NONE = "–"
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def points(value: float | None, sign: bool = False, digits: int = 1) -> str:
    """Formats a share of 1 in points or percent: '3.2' for 0.032.

    With `sign` a typographic + or − stands in front; a difference that rounds to 0 has none.
    """
    if not known(value):
        return NONE
    text = f"{abs(100 * value):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'−' if value < 0 else '+' if sign else ''}{text}"


def interval(low: float | None, high: float | None, sign: bool = True) -> str:
    """Formats an interval in points: '−2.0 to +8.0'; '' where there is none."""
    if not (known(low) and known(high)):
        return ""
    return f"{points(low, sign)} to {points(high, sign)}"


def p_value(p: float | None) -> str:
    """Formats a probability with two significant digits: '0.062', '< 0.001'."""
    if not known(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def equals(p: float) -> str:
    """Formats what follows a p: '= 0.062', '< 0.001'."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def number(value: float | None) -> str:
    """Formats a score with four significant digits."""
    return f"{value:.4g}" if known(value) else NONE


def decimal(value: float | None) -> str:
    """Formats a number with two decimals."""
    return f"{value:.2f}" if known(value) else NONE


def ratio(value: float | None) -> str:
    """Formats a multiple with two significant digits, from 100 on as a whole number."""
    if not known(value):
        return NONE
    return f"{value:.0f}" if value >= 99.5 else f"{value:.2g}"


def count(value: float | None, what: str = "") -> str:
    """Formats a whole number: '12,000'; with `what` '1 seed', '3 seeds'."""
    text = f"{value:,.0f}" if known(value) else NONE
    return f"{text} {what}{'' if value == 1 else 's'}" if what else text


def flop(value: float | None) -> str:
    """Formats floating-point operations with three significant digits: '730 TFLOP'."""
    if not known(value):
        return NONE
    # 999.5 and more are rounded to the next prefix.
    step = int(math.log10(1.0005 * value) // 3) if value >= 1 else 0
    step = min(step, len(_PREFIXES) - 1)
    return f"{value / 1000**step:.3g} {_PREFIXES[step]}FLOP"


def duration(seconds: float | None) -> str:
    """Formats a time: '1 h 05 min', '3 min 20 s' or '12 s'."""
    if not known(seconds):
        return NONE
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


def listed(phrases: list[str]) -> str:
    """Joins phrases: 'a, b and c'."""
    *first, last = phrases
    return f"{', '.join(first)} and {last}" if first else last


def known(value: float | None) -> TypeGuard[float]:
    """Tells whether there is a number."""
    return value is not None and math.isfinite(value)
