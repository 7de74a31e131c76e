"""What a study found, in a few sentences: a verdict, then what lies behind it, and how sure."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import statistics

Found = Mapping[str, Any]


def answer(study: Found) -> list[str]:
    """Sentences for the top of a report.

    First the verdict on the best arm, with one number, that of the table of arms; where the first
    arm isn't shown to be better than the reference and others are, on the best of these. Then one
    on each contrast, and which of the arms named failed at their own task. Then the arm's interval,
    how far ahead of the next it is, and on which units arms were ranked where some lack runs; then
    how sure that is. Never more than the numbers allow: where the permutation test can't reach
    significance with so few units, that is said, and how many it takes.

    Args:
      study: what geoseg_jax.analysis.results.assemble gives, where None stands for no number.

    Returns:
      [verdict, one for each contrast, ..., what, how sure]; without anything to compare [that,
      progress].
    """
    standing = study["standing"]
    if not standing["arms"]:
        return [_nothing(study), f"{_sentence(_progress(study) or 'All cells are done')}."]
    best = _first(study)
    better = [o for o in study["overall"] if o["verdict"] == "better"]
    if better and best not in better:
        best = max(better, key=lambda o: o["difference"])
    said = [_headline(study, best), *(_contrast(study, c) for c in study["contrasts"])]
    said += _failed(study, _named(study, best))
    return [*said, _what(study, best), _how_sure(study, best)]


def _nothing(study: Found) -> str:
    if not study["overall"]:
        return f"Nothing can be compared: {_label(study)} is the only arm in its conditions."
    return (
        f"Nothing can be compared yet: no arm has a run beside one of {_label(study)} with the "
        "same labels and seed in every condition."
    )


def _first(study: Found) -> Found:
    """The arm that is furthest ahead, of those that can be ranked."""
    name = study["standing"]["arms"][0]["arm"]
    return next(o for o in study["overall"] if o["arm"] == name)


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


def verdict_name(study: Found, verdict: str) -> str:
    """A verdict for people: 'level within ±1.0 points' tells the bound."""
    if verdict == "level":
        return f"level within ±{points(study['bound'])}"
    return verdict or "no runs"


def of_encoders(study: Found, arms: Sequence[str] | None = None) -> str:
    """'of these encoders' where a study has but one of each arm; else '', or which arms have one.

    A result of one pre-training is that of the pre-training, and may be another with a new seed.

    Args:
      arms: those that something is said of, None for all.
    """
    counts = {arm: n for arm, n in study["encoders"].items() if n}
    single = [arm for arm, n in counts.items() if n == 1]
    if single and len(single) == len(counts):
        return "of these encoders"
    single = [arm for arm in single if arms is None or arm in arms]
    if not single:
        return ""
    names = " and ".join(label(study, arm) for arm in single)
    return (
        f"of the one encoder of {names}" if len(single) == 1 else f"of one encoder each of {names}"
    )


def _headline(study: Found, best: Found) -> str:
    """One verdict and one number."""
    name, reference, metric = label(study, best["arm"]), _label(study), study["metric"]
    alone = sum(o["units"] > 0 for o in study["overall"]) == 1
    scope = of_encoders(study, [best["arm"], study["reference"]])
    number = f"{points(best['difference'], True)} points of {metric}"
    number += f" ({scope})" if scope else ""
    if alone or best["verdict"] in ("better", "level"):
        first = "" if alone or best["verdict"] == "better" else "The best arm is level: "
        return f"{first}{name} {_stands(study, best)} {reference}: {number}."
    if best["verdict"] == "worse":
        return f"No arm is better than {reference}; the nearest, {name}, is worse: {number}."
    ahead = "the first" if best["difference"] > 0 else "the nearest"
    return f"No arm is shown to be better than {reference}; {ahead} is {name}: {number}."


def _stands(study: Found, found: Found) -> str:
    """What follows the first arm's name in a verdict, before the second's."""
    return {
        "better": "is better than",
        "worse": "is worse than",
        "level": f"is level within ±{points(study['bound'])} with",
        "not shown": "is not shown to differ from",
    }[found["verdict"]]


def _what(study: Found, best: Found) -> str:
    """The interval of the headline's number, and where the arm stands among the others."""
    over = _units(study, best["units"])
    over += f" and {best['conditions']} conditions" if best["conditions"] > 1 else ""
    if best["difference_low"] is None:
        text = f"There is no interval over {over}{_by_training(best)}"
    else:
        text = f"The 95 % interval over {over} is {_ends(best)}{_by_training(best)}"
    if best["pictures_low"] is not None:
        drawn = f"{study['resampled']['count']} {study['resampled']['what']}"
        text += f"; that over test pictures ({drawn} drawn anew, the same runs) is "
        text += _ends(best, "pictures")
    return f"{text}.{_rank(study, best)}"


def _rank(study: Found, best: Found) -> str:
    """How far before the next arm, which a best one among many may well owe to chance."""
    first, ranked = _first(study), study["standing"]["arms"][0]
    name, text = label(study, first["arm"]), ""
    lead, arms = study["standing"]["lead"], len(study["standing"]["arms"])
    if first["arm"] != best["arm"]:
        text = f" {name} is ranked first, at {points(first['difference'], True)}"
        text += f" ({_span(first)}), but {_stands(study, first)} {_label(study)}."
    elif lead is not None and lead["difference"] is not None:
        following, behind = label(study, lead["next"]), points(lead["difference"])
        text = f" The next of {arms} arms, {following}, is {behind} points behind ({_span(lead)})"
        if best["conditions"] > 1:
            where = _count(best["conditions"], "condition")
            text += f"; {name} has the highest mean in {ranked['best']} of {where}"
        text += "."
    if any(o["units"] != ranked["units"] for o in study["overall"]):
        text += f" Arms are ranked on the {_units(study, ranked['units'])} that all of them have, "
        text += f"where {name} is at {points(ranked['difference'], True)}; every number is of all "
        text += "that its arm has."
    left_out = [label(study, other) for other in study["standing"]["left_out"]]
    return text + (f" Not ranked, for want of runs: {', '.join(left_out)}." if left_out else "")


def _how_sure(study: Found, best: Found) -> str:
    """By the p corrected for all arms, which pays for choosing the best one afterwards."""
    units, level, reference = best["units"], 1 - statistics.LEVEL, study["reference"]
    comparisons = sum(o["units"] > 0 for o in study["overall"])
    runs, arms = _units(study, units), _count(comparisons, "arm")
    p = _equals(best["p_corrected"]) if best["p_corrected"] is not None else ""
    if best["verdict"] == "level":
        text = f"two one-sided t tests over {runs}, which assume normal noise, give p "
        text += f"{_equals(best['level_p_corrected'])} for a difference beyond the bound, "
        text += f"corrected for {arms}{_one_each(study, best)}"
    elif best["p_corrected"] <= level:
        text = f"chance in {_chance(study)} hardly does this: p {p} in the permutation test over "
        text += f"{runs}, corrected for {arms}{_one_each(study, best)}"
    elif comparisons * best["p_smallest"] <= level:
        text = f"it may be chance: p {p} in the permutation test over {runs}, corrected for {arms}"
    else:
        needed = f"{statistics.pairs_needed(comparisons)} {study['unit']}s"
        text = f"{runs} can't settle whether that is chance: the permutation test, which assumes "
        text += f"only symmetric noise, gives p = {best['p_smallest']:.2g} at least with so few "
        text += f"and needs {needed} for significance after correction for {arms}"
        text += " (the interval assumes normal noise)" if units > 1 else ""
    notes = [text, _progress(study), *_warned(study, [best["arm"], reference])]
    notes += [f"mind that {study['caution']}"] if study["caution"] else []
    return f"{_sentence('; '.join(filter(None, notes)))}."


def _chance(study: Found) -> str:
    """What varies between units."""
    return {
        "seed": "seeds",
        "subset": "the choice of labels",
        "pre-training": "pre-training",
    }.get(study["unit"], "labels, seeds and pre-training")


def _one_each(study: Found, best: Found) -> str:
    scope = of_encoders(study, [best["arm"], study["reference"]])
    return f"; it speaks {scope}, and says nothing of another pre-training" if scope else ""


def _contrast(study: Found, found: Found) -> str:
    """'Depth is better than Classification: +3.1 points of mIoU.'"""
    names = label(study, found["arm"]), label(study, found["other"])
    if not found["units"]:
        return f"{names[0]} and {names[1]} have no pair of runs to compare."
    number = f"{points(found['difference'], True)} points of {study['metric']}"
    return f"{names[0]} {_stands(study, found)} {names[1]}: {number}."


def _named(study: Found, best: Found) -> list[str]:
    """The arms that the sentences name."""
    lead = study["standing"]["lead"]
    names = [best["arm"], _first(study)["arm"], *([lead["next"]] if lead else [])]
    names += [study["reference"]]
    return list(
        dict.fromkeys([*names, *(c[k] for c in study["contrasts"] for k in ("arm", "other"))])
    )


def _failed(study: Found, names: Sequence[str]) -> list[str]:
    """One sentence for each of the arms that is no better at its own task than a constant."""
    return [
        f"Mind that {label(study, name)} {text}."
        for name in names
        for text in failures(study, name)
    ]


def failures(study: Found, name: str, encoder: str | None = None) -> list[str]:
    """'did not beat the constant answer of its own task (AbsRel 0.39, constant 0.31)', if so.

    Args:
      encoder: an architecture, None for all.
    """
    own = [t for arm in study["arms"] if arm["name"] == name for t in arm.get("own_task") or ()]
    texts = []
    for told in own:
        if told["beaten"] == told["runs"] or encoder not in (None, told["encoder"]):
            continue
        of = (
            ""
            if told["runs"] == 1
            else f" in {told['runs'] - told['beaten']} of {told['runs']} runs"
        )
        score, constant = (short_number(told[key]) for key in ("score", "constant"))
        texts.append(
            f"did not beat the constant answer of its own task{of} "
            f"({told['number']} {score}, constant {constant})"
        )
    return texts


def short_number(value: float | None) -> str:
    """Four digits that count; '–' where there is none."""
    return "–" if value is None else f"{value:.4g}"


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


def _by_training(best: Found) -> str:
    """The parts of a mean over frozen and fine-tuned runs, which hides them."""
    parts = best["by_training"]
    each = (f"{name.replace('_', '-')} {points(parts[name], True)}" for name in parts)
    return f" ({', '.join(each)})" if len(parts) > 1 else ""


def _span(found: Found) -> str:
    """The interval of a difference."""
    if found["difference_low"] is None:
        return "one replicate, no interval"
    crosses = found["difference_low"] <= 0 <= found["difference_high"]
    return f"95 % interval {_ends(found)}{', which holds 0' if crosses else ''}"


def _ends(found: Found, name: str = "difference") -> str:
    return " to ".join(points(found[f"{name}_{end}"], True) for end in ("low", "high"))


def _progress(study: Found) -> str:
    """'' where all cells are done."""
    rows: Sequence[Found] = study["rows"]
    failed, missing = (sum(r["status"] == s for r in rows) for s in ("failed", "missing"))
    left = [f"{failed} failed"] if failed else []
    left += [f"{missing} {'is' if missing == 1 else 'are'} missing"] if missing else []
    return f"of {_count(len(rows), 'cell')} {' and '.join(left)}" if left else ""


def _label(study: Found) -> str:
    return label(study, study["reference"])


def _units(study: Found, number: int) -> str:
    return _count(number, study["unit"])


def _equals(p: float) -> str:
    return probability(p) if p < 0.001 else f"= {probability(p)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
