"""What a study found, in two sentences: what, and how sure."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.study import statistics

Found = Mapping[str, Any]


def answer(study: Found) -> list[str]:
    """Two sentences for the top of a report.

    The first tells which arm is best over all conditions, by how much, and how far ahead of the
    next, the second how sure that is. Never more than the numbers allow: where the permutation
    test can't reach significance with so many replicates, whatever came out, the second says so and
    how many it would take.

    Args:
      study: what geoseg_jax.study.results.assemble gives, where None stands for no number.

    Returns:
      [what, how sure].
    """
    standing = study["standing"]
    if not standing["arms"]:
        return [
            f"Nothing can be compared yet: no arm has a run beside one of {_label(study)} with the "
            "same labels and seed in every condition.",
            f"{_sentence(_progress(study) or 'All cells are done')}.",
        ]
    compared = len(standing["arms"]) + len(standing["left_out"])
    best = standing["arms"][0]
    return [_what(study, best), _how_sure(study, best, compared)]


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


def _what(study: Found, best: Found) -> str:
    name, reference, metric = label(study, best["arm"]), _label(study), study["metric"]
    where, arms = _count(best["conditions"], "condition"), len(study["standing"]["arms"])
    left_out = [label(study, other) for other in study["standing"]["left_out"]]
    out = f"; not ranked, for want of runs: {', '.join(left_out)}" if left_out else ""
    rank = f"; its mean is the highest of {'these' if out else 'all'} in {best['best']} of {where}"
    rank = rank if best["conditions"] > 1 else ""
    if best["difference"] > 0:
        by = f"{points(best['difference'])} points of {metric} above {reference}"
        name += f", the best of {arms} arms," if arms > 1 else ""
        return f"{name} lies {by} on average{_interval(best)}{_lead(study)}{rank}{out}."
    none = f"No {'ranked ' if out else ''}arm is"
    by = points(-best["difference"])
    lies = f"lies {by} points of {metric} below" if float(by) else "is level with it"
    return (
        f"{none} better than {reference} on average over {where}; the nearest, {name}, {lies}"
        f"{_interval(best)}{out}."
    )


def _lead(study: Found) -> str:
    """Before the next arm, which a best one among many may well owe to chance."""
    lead = study["standing"]["lead"]
    if lead is None or lead["difference"] is None:
        return ""
    text = f" and {points(lead['difference'])} above the next, {label(study, lead['next'])}"
    return f"{text} ({_span(lead)})"


def _how_sure(study: Found, best: Found, comparisons: int) -> str:
    """By the p corrected for all arms, which pays for choosing the best one afterwards."""
    units, level, reference = best["units"], 1 - statistics.LEVEL, study["reference"]
    runs, arms = _count(units, study["unit"]), _count(comparisons, "arm")
    if units == 0:
        text = "nothing is known of chance"
    elif best["p_corrected"] <= level:
        p = _equals(best["p_corrected"])
        of = "the choice of labels" if study["unit"] == "subset" else "seeds"
        text = f"chance in {of} hardly does this: p {p} in the permutation test over {runs}, "
        text += f"corrected for {arms}; each arm was pre-trained but once"
    elif comparisons * best["p_smallest"] <= level:
        p = _equals(best["p_corrected"])
        text = f"it may be chance: p {p} in the permutation test over {runs}, corrected for {arms}"
    else:
        needed = f"{statistics.pairs_needed(comparisons)} {study['unit']}s"
        text = f"{runs} can't settle whether that is chance: the permutation test, which assumes "
        text += f"but symmetric noise, gives p = {best['p_smallest']:.2g} at least with so few and "
        text += f"needs {needed} for significance after correction for {arms}"
        text += " (the interval assumes normal noise)" if units > 1 else ""
    notes = [text, _progress(study), *_warned(study, [best["arm"], reference])]
    notes += [f"mind that {study['caution']}"] if study["caution"] else []
    return f"{_sentence('; '.join(filter(None, notes)))}."


def _warned(study: Found, arms: Sequence[str]) -> list[str]:
    """What one must mind of the arms' numbers: of each the first thing that was not said yet."""
    said, known = [], set()
    for arm in arms:
        found = {g["warning"]: None for g in study["groups"] if g["arm"] == arm and g["warning"]}
        new = [warning for warning in found if warning not in known]
        known |= set(found)
        more = " (and more, see the table)" if len(new) > 1 else ""
        said += [f"mind that {label(study, arm)}: {new[0]}{more}"] if new else []
    return said


def _interval(best: Found) -> str:
    """In brackets, with the parts of a mean over frozen and fine-tuned runs, which hides them."""
    said = _span(best)
    parts = best["by_training"]
    if len(parts) > 1:
        said += "; " + ", ".join(f"{t.replace('_', '-')} {points(parts[t], True)}" for t in parts)
    return f" ({said})"


def _span(found: Found) -> str:
    """The interval of a difference."""
    if found["difference_low"] is None:
        return "one replicate, no interval"
    low, high = points(found["difference_low"], True), points(found["difference_high"], True)
    crosses = found["difference_low"] <= 0 <= found["difference_high"]
    return f"95 % interval {low} to {high}{', which holds 0' if crosses else ''}"


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
