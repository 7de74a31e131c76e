"""States what a study found in a few sentences: a verdict, then what it rests on and how sure."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.analysis import statistics
from geoseg_jax.core.formats import count, equals, interval, number, p_value, points

Result = Mapping[str, Any]


def answer(study: Result) -> list[str]:
    """Writes the paragraphs at the top of a report.

    The verdict is on the arm that is ranked first; where that isn't shown to be better than the
    reference and others are, on the best of these. Nothing is claimed beyond what the numbers
    allow: where the permutation test can't reach significance with so few units, that is said, and
    how many it takes.

    Args:
      study: what geoseg_jax.analysis.results.assemble gives, where None stands for no number.

    Returns:
      [of a trial that it is one, verdict, one for each contrast, failures of arms at their own
      task, basis, certainty];
      without anything to compare with the reference [that, contrasts that have runs, progress].
    """
    if not study["standing"]["arms"]:
        known = [_contrast(study, c) for c in study["contrasts"] if c["units"]]
        return [_nothing(study), *known, _progress(study) or "All cells are done."]
    best = _first(study)
    better = [o for o in study["overall"] if o["verdict"] == "better"]
    if better and best not in better:
        best = max(better, key=lambda o: o["difference"])
    paragraphs = [_headline(study, best), *(_contrast(study, c) for c in study["contrasts"])]
    paragraphs += [
        f"{label(study, name)} {text}."
        for name in _named(study, best)
        for text in failures(study, name)
    ]
    if study["trial"]:
        paragraphs.insert(0, "A trial, in which nothing was learned: believe none of its numbers.")
    return [*paragraphs, " ".join(_basis(study, best)), " ".join(_certainty(study, best))]


def label(study: Result, name: str) -> str:
    """Gives the name of an arm that people read."""
    labels = [arm.get("label") for arm in study["arms"] if arm["name"] == name]
    return (labels or [None])[0] or name


def verdict_name(study: Result, verdict: str) -> str:
    """Gives a verdict for people; that of level arms with the bound."""
    if verdict == "level":
        return f"level within ±{points(study['bound'])}"
    return verdict or "no runs"


def in_points(study: Result) -> str:
    """Returns the unit of differences: 'mIoU points'."""
    metric = study["metric"]
    return f"{metric} points" if " " not in metric else f"points of {metric}"


def of_encoders(study: Result, arms: Sequence[str] | None = None) -> str:
    """Names the encoders that a result is limited to; '' where every arm has several.

    A result of one pre-training may be another with a new seed.

    Args:
      arms: those that something is said of, None for all.
    """
    counts = {arm: n for arm, n in study["encoders"].items() if n}
    single = [arm for arm, n in counts.items() if n == 1]
    if single and len(single) == len(counts):
        return "these encoders"
    single = [label(study, arm) for arm in single if arms is None or arm in arms]
    return f"the only encoder of {' and of '.join(single)}" if single else ""


def failures(study: Result, name: str, encoder: str | None = None) -> list[str]:
    """Says where an arm is no better at its own task than a constant prediction.

    Args:
      encoder: an architecture, None for all.

    Returns:
      'did not beat a constant prediction on its own task (AbsRel 0.39, constant 0.31)', one of
      each architecture that failed.
    """
    own = [t for arm in study["arms"] if arm["name"] == name for t in arm.get("own_task") or ()]
    texts = []
    for task in own:
        if task["beaten"] == task["runs"] or encoder not in (None, task["encoder"]):
            continue
        runs = f" in {task['runs'] - task['beaten']} of {task['runs']} runs"
        texts.append(
            f"did not beat a constant prediction on its own task{runs if task['runs'] > 1 else ''} "
            f"({task['number']} {number(task['score'])}, constant {number(task['constant'])})"
        )
    return texts


def _nothing(study: Result) -> str:
    reference = label(study, study["reference"])
    if not study["overall"]:
        return f"There is nothing to compare: {reference} is the only arm in its conditions."
    known = any(c["units"] for c in study["contrasts"])
    nothing = (
        f"No arm can be compared with {reference} yet"
        if known
        else "There is nothing to compare yet"
    )
    return (
        f"{nothing}: no arm has a run in every condition that shares labels and seed with one of "
        f"{reference}."
    )


def _first(study: Result) -> Result:
    """Finds the arm that is furthest ahead, of those that can be ranked."""
    name = study["standing"]["arms"][0]["arm"]
    return next(o for o in study["overall"] if o["arm"] == name)


def _headline(study: Result, best: Result) -> str:
    """Gives the verdict with one number and its interval."""
    name, reference = label(study, best["arm"]), label(study, study["reference"])
    arms = len(study["standing"]["arms"])
    effect = f"{points(best['difference'], True)} {in_points(study)}"
    span = f"on average ({_ci(best)})"
    if arms == 1 or (best["verdict"] == "better" and best != _first(study)):
        return f"{name} {_relation(study, best, reference)}: {effect} {span}."
    of = f"the best of {arms} arms"
    if best["verdict"] in ("better", "level"):
        return f"{name}, {of}, {_relation(study, best, reference)}: {effect} {span}."
    if best["difference"] > 0:
        return f"{name} is {of}: {effect} over {reference} {span}, but not shown to be better."
    worse = "is worse" if best["verdict"] == "worse" else "is not shown to differ"
    ahead = any(o["difference"] > 0 for o in study["overall"] if o["units"])  # one not ranked
    none = "No arm is shown to be better than" if ahead else "No arm beats"
    return f"{none} {reference}. {name}, {of}, {worse}: {effect} {span}."


def _relation(study: Result, result: Result, other: str) -> str:
    """Says how an arm relates to the other by a verdict."""
    return {
        "better": f"is better than {other}",
        "worse": f"is worse than {other}",
        "level": f"is level with {other} within ±{points(study['bound'])} points",
        "not shown": f"is not shown to differ from {other}",
    }[result["verdict"]]


def _contrast(study: Result, result: Result) -> str:
    """Gives the verdict on a contrast."""
    arm, other = label(study, result["arm"]), label(study, result["other"])
    if not result["units"]:
        return f"{arm} and {other} have no pair of runs to compare."
    effect = f"{points(result['difference'], True)} {in_points(study)} on average"
    return f"{arm} {_relation(study, result, other)}: {effect} ({_ci(result)})."


def _named(study: Result, best: Result) -> list[str]:
    """Lists the arms that the paragraphs name."""
    lead = study["standing"]["lead"]
    names = [best["arm"], _first(study)["arm"], *([lead["next"]] if lead else [])]
    names += [study["reference"]]
    return list(
        dict.fromkeys([*names, *(c[k] for c in study["contrasts"] for k in ("arm", "other"))])
    )


def _basis(study: Result, best: Result) -> list[str]:
    """Says what the headline's number is a mean of, and where the arm stands among the others."""
    over = _units(study, best["units"])
    over += f" and {best['conditions']} conditions" if best["conditions"] > 1 else ""
    parts = best["by_training"]
    each = (f"{name.replace('_', '-')} {points(parts[name], True)}" for name in parts)
    over += f" ({', '.join(each)})" if len(parts) > 1 else ""
    texts = [
        f"{label(study, best['arm'])} − {label(study, study['reference'])} is averaged over {over}."
    ]
    if best["pictures_low"] is not None:
        drawn = f"{count(study['resampled']['count'])} test {study['resampled']['what']}"
        span = interval(best["pictures_low"], best["pictures_high"])
        texts += [f"For these runs, resampling the {drawn} gives a 95 % CI of {span}."]
    texts += few_pictures(study)
    if scope := of_encoders(study, [best["arm"], study["reference"]]):
        texts += [f"This holds for {scope}; another pre-training may come out differently."]
    return texts + _ranking(study, best)


def few_pictures(study: Result) -> list[str]:
    """Warns where so few pictures judge that they say little of others."""
    drawn = study["resampled"]
    if not drawn or drawn["pictures"] >= statistics.FEW_PICTURES:
        return []
    each = ", over all replicates" if drawn["pooled"] else ""
    return [
        f"Only {count(drawn['pictures'], 'labelled picture')} judge{each}: other pictures may well "
        "give another order; more labels are worth more than more runs."
    ]


def _ranking(study: Result, best: Result) -> list[str]:
    """Says how far the next arm is behind: a best of many may well owe its place to chance."""
    first, ranked, lead = _first(study), study["standing"]["arms"][0], study["standing"]["lead"]
    name, reference, texts = label(study, first["arm"]), label(study, study["reference"]), []
    if first["arm"] != best["arm"]:
        effect = f"{points(first['difference'], True)} ({_ci(first)})"
        texts += [f"{name} ranks first at {effect}, but {_relation(study, first, reference)}."]
    elif lead is not None and lead["difference"] is not None:
        behind = f"{points(lead['difference'])} points behind ({_ci(lead)})"
        texts += [f"{label(study, lead['next'])} is next, {behind}."]
        if best["conditions"] > 1:
            where = f"{ranked['best']} of {count(best['conditions'], 'condition')}"
            texts += [f"{name} has the highest mean in {where}."]
    names = {of["arm"] for of in study["standing"]["arms"]}
    if any(o["units"] != ranked["units"] for o in study["overall"] if o["arm"] in names):
        texts += [
            f"Arms are ranked on the {_units(study, ranked['units'])} that all of them have, where "
            f"{name} is at {points(ranked['difference'], True)}; all other numbers use all that "
            "an arm has."
        ]
    left_out = [label(study, other) for other in study["standing"]["left_out"]]
    return texts + ([f"Not ranked, as runs are missing: {', '.join(left_out)}."] * bool(left_out))


def _certainty(study: Result, best: Result) -> list[str]:
    """Says how sure the verdict is, by the p that pays for choosing the best arm afterwards."""
    units, arms = _units(study, best["units"]), sum(o["units"] > 0 for o in study["overall"])
    test = f"(permutation test over {units}, corrected for {count(arms, 'arm')})"
    if best["verdict"] == "level":
        p = equals(best["level_p_corrected"])
        texts = [
            f"A difference beyond the bound is rejected with p {p} (two one-sided t tests over "
            f"{units}, corrected for {count(arms, 'arm')}; they assume normal noise)."
        ]
    elif statistics.significant(best["p_corrected"]):
        texts = [f"That difference is significant: p {equals(best['p_corrected'])} {test}."]
    elif statistics.significant(arms * best["p_smallest"]):
        texts = [f"That difference may be chance: p {equals(best['p_corrected'])} {test}."]
    else:
        family = f" to compare {arms} arms" if arms > 1 else ""
        texts = [
            f"With {units} the exact permutation test cannot go below p = "
            f"{p_value(best['p_smallest'])}; {statistics.pairs_needed(arms)} would be needed"
            f"{family}."
        ]
        texts += ["The CI assumes normal noise."] if best["units"] > 1 else []
    texts += [_progress(study), *_warnings(study, [best["arm"], study["reference"]])]
    texts += [f"Note on all arms: {study['caution']}."] if study["caution"] else []
    return [text for text in texts if text]


def _warnings(study: Result, arms: Sequence[str]) -> list[str]:
    """Gives of each arm the first warning that has not been given yet."""
    texts, known = [], set()
    for arm in arms:
        own = {g["warning"]: None for g in study["groups"] if g["arm"] == arm and g["warning"]}
        new = [warning for warning in own if warning not in known]
        known |= set(own)
        more = " (more in the table)" if len(new) > 1 else ""
        texts += [f"Note on {label(study, arm)}: {new[0]}{more}."] if new else []
    return texts


def _ci(result: Result) -> str:
    """Gives the interval of a difference, and whether it includes 0."""
    low, high = result["difference_low"], result["difference_high"]
    if low is None:
        return "one replicate, no CI"
    return f"95 % CI {interval(low, high)}{', includes 0' if low <= 0 <= high else ''}"


def _progress(study: Result) -> str:
    """Counts the cells without a result; '' where all are done."""
    statuses = [row["status"] for row in study["rows"]]
    failed, missing = statuses.count("failed"), statuses.count("missing")
    left = [(failed, "failed")] if failed else []
    left += [(missing, "is missing" if missing == 1 else "are missing")] if missing else []
    texts = [f"{n} {what}" for n, what in left]
    texts[:1] = [f"{n} of {count(len(statuses), 'cell')} {what}" for n, what in left[:1]]
    return f"{' and '.join(texts)}." if texts else ""


def _units(study: Result, n: int) -> str:
    return count(n, study["replicate_unit"])
