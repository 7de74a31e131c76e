"""What a study found, in two sentences: what, and how sure."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.study import statistics

Found = Mapping[str, Any]


def answer(study: Found) -> list[str]:
    """Two sentences for the top of a report.

    The first tells which arm is best over all conditions and by how much, the second how sure that
    is. Never more than the numbers allow: where the permutation test can't reach significance with
    so many replicates, whatever came out, the second says so and how many it would take.

    Args:
      study: what geoseg_jax.study.results.assemble gives, where None stands for no number.

    Returns:
      [what, how sure].
    """
    compared = [o for o in study["overall"] if o["difference"] is not None]
    full = [o for o in compared if o["conditions"] == max(c["conditions"] for c in compared)]
    if not full:
        return [
            f"Nothing can be compared yet: no arm has a run beside one of {_label(study)} with the "
            "same labels and seed in every condition.",
            f"{_sentence(_progress(study) or 'All cells are done')}.",
        ]
    best = max(full, key=lambda o: o["difference"])
    return [_what(study, best, len(full)), _how_sure(study, best, len(compared))]


def label(study: Found, name: str) -> str:
    """What people read for an arm."""
    found = [arm.get("label") for arm in study["arms"] if arm["name"] == name]
    return (found or [None])[0] or name


def points(value: float | None, sign: bool = False) -> str:
    """A fraction of 1 in points, as 3.2 for 0.032; '–' where there is none.

    With sign a typographic + or − stands in front; a difference that rounds to 0 has none.
    """
    if value is None:
        return "–"
    text = f"{abs(100 * value):.1f}"
    if float(text) == 0:
        return text
    return f"{'−' if value < 0 else '+' if sign else ''}{text}"


def probability(p: float | None) -> str:
    """p for people: two digits that count, '–' where there is none."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _what(study: Found, best: Found, arms: int) -> str:
    name, reference, metric = label(study, best["arm"]), _label(study), study["metric"]
    where = _count(best["conditions"], "condition")
    rank = f"; its mean is the highest of all in {best['best']} of {where}"
    rank = rank if best["conditions"] > 1 else ""
    if best["difference"] > 0:
        by = f"{points(best['difference'])} points of {metric} above {reference}"
        name += f", the best of {arms} arms," if arms > 1 else ""
        return f"{name} lies {by} on average{_interval(best)}{rank}."
    by = f"{points(-best['difference'])} points of {metric} below"
    return (
        f"No arm is better than {reference} on average over {where}; the nearest, {name}, lies {by}"
        f"{_interval(best)}."
    )


def _how_sure(study: Found, best: Found, comparisons: int) -> str:
    """By the p corrected for all arms, which pays for choosing the best one afterwards."""
    units, level = best["units"], 1 - statistics.LEVEL
    runs, arms = _count(units, study["unit"]), _count(comparisons, "arm")
    if units == 0:
        text = "nothing is known of chance"
    elif best["p_corrected"] <= level:
        p = _equals(best["p_corrected"])
        text = f"chance alone hardly does this: p {p} in the permutation test over {runs}, "
        text += f"corrected for {arms}"
    elif comparisons * best["p_smallest"] <= level:
        p = _equals(best["p_corrected"])
        text = f"it may be chance: p {p} in the permutation test over {runs}, corrected for {arms}"
    else:
        needed = f"{statistics.pairs_needed(comparisons)} {study['unit']}s"
        text = f"{runs} can't settle whether that is chance: the permutation test, which assumes "
        text += (
            f"nothing of the noise, gives p = {best['p_smallest']:.2g} at least with so few and "
        )
        text += f"needs {needed} for significance after correction for {arms}"
        text += " (the interval assumes normal noise)" if units > 1 else ""
    warnings = [g["warning"] for g in study["groups"] if g["arm"] == best["arm"] and g["warning"]]
    notes = [text, _progress(study)]
    if warnings:
        more = " (and more, see the table)" if len(set(warnings)) > 1 else ""
        notes.append(f"mind that {label(study, best['arm'])}: {warnings[0]}{more}")
    return f"{_sentence('; '.join(filter(None, notes)))}."


def _interval(best: Found) -> str:
    """In brackets, with the parts of a mean over frozen and fine-tuned runs, which hides them."""
    if best["difference_low"] is None:
        said = "one replicate, no interval"
    else:
        low, high = points(best["difference_low"], True), points(best["difference_high"], True)
        crosses = best["difference_low"] <= 0 <= best["difference_high"]
        said = f"95 % interval {low} to {high}{', which holds 0' if crosses else ''}"
    parts = best["by_training"]
    if len(parts) > 1:
        said += "; " + ", ".join(f"{t.replace('_', '-')} {points(parts[t], True)}" for t in parts)
    return f" ({said})"


def _progress(study: Found) -> str:
    """'' where all cells are done."""
    rows: Sequence[Found] = study["rows"]
    counts = {s: sum(row["status"] == s for row in rows) for s in ("failed", "missing")}
    left = " and ".join(f"{n} {status}" for status, n in counts.items() if n)
    return f"of {_count(len(rows), 'cell')} {left}" if left else ""


def _label(study: Found) -> str:
    return label(study, study["reference"])


def _equals(p: float) -> str:
    return probability(p) if p < 0.001 else f"= {probability(p)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
