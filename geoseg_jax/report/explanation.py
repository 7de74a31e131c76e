"""Explains how to read the tables, and by what rules verdicts and multiples are shown."""

from geoseg_jax.analysis import statistics
from geoseg_jax.analysis.answer import label, of_encoders
from geoseg_jax.analysis.components import PICTURES
from geoseg_jax.analysis.units import REPLICATE
from geoseg_jax.core.formats import NONE, count, listed, p_value, points, ratio
from geoseg_jax.report.naming import Study
from geoseg_jax.report.notes import Group


def explanation(study: Study) -> str:
    """Explains intervals, tests and their limits, below the tables."""
    pairs = [group["pair_units"] for group in study["groups"] if group["n_pairs"]]
    if not pairs:
        return "No arm can be compared with the reference: no pair of runs is complete."
    single, most = len(pairs), max(pairs)
    texts = [
        f"Intervals are 95 % confidence intervals (Student's t) over "
        f"{count(most, 'paired difference')}, one for each {study['replicate_unit']}"
        f"{_unit(study)}, and assume normal noise{_bootstrap(most)}.",
        f"They hold for {listed(_scope(study))}{_pictures(study)}.",
        _spread(study),
        of_sources(study),
        "1 in 20 such intervals misses the true value by chance"
        + (f" (about {single / 20:.0f} of the {single} here)" if single >= 10 else "")
        + "; that of the best arm does so more often, since it is picked afterwards.",
        f"p is from the {_test(most)} of paired differences, with Holm's correction for the "
        f"{count(single, 'single comparison')}.",
        rule(study),
        _smallest(single, most),
        _ratios(study),
        _frozen(study),
        f"Note on all arms: {study['caution']}." if study.get("caution") else "",
        f"Budget: {study['budget']}." if study.get("budget") else "",
    ]
    return " ".join(filter(None, texts))


def rule(study: Study) -> str:
    """Says by what rule each verdict is found."""
    family = "all arms (of a contrast, for all contrasts)" if study["contrasts"] else "all arms"
    text = f"A verdict is better or worse where p, corrected for {family}, is at most 0.05"
    if study["bound"]:
        text += (
            f"; level where two one-sided t tests, with Holm's correction, show a difference "
            f"within ±{points(study['bound'])} points, the bound set beforehand, whatever p is"
        )
    return f"{text}; otherwise “not shown”."


def of_sources(study: Study) -> str:
    """Explains the table of where runs scatter from; '' without it."""
    if not study["components"]:
        return ""
    varied = [s for s in REPLICATE if any(part[s] for part in study["components"])]
    names = {"subset": "subset of labels", "seed": "seed", "pretraining_seed": "pre-training"}
    met = " and every ".join(names[s] for s in varied[1:])
    text = (
        f"Every {names[varied[0]]} met every {met}, so that the scatter of runs can be parted into "
        "what each does and what they do together (balanced analysis of variance). With few values "
        "of each the intervals are wide; a 0.0 without one is too small to tell."
    )
    if any(part[PICTURES] for part in study["components"]):
        drawn = study["resampled"]["what"]
        text += f" Other test {drawn} are no part of it: all runs are judged on the same."
    return text


def steps_needed(study: Study) -> str:
    """Says which arms are shown to need more or fewer steps than the reference."""
    if not study["steps"]:
        return ""
    shown = [need for need in study["steps"] if need["shown"]]
    reference, both = label(study, study["reference"]), f"the {study['metric']} that both reach"
    if not shown:
        return f"No arm is shown to need more or fewer steps than {reference} to {both}."
    each = [f"{label(study, need['arm'])} {multiple(need)}" for need in shown]
    return f"Steps to {both}, as a multiple of {reference}'s over all conditions: {listed(each)}."


def multiple(need: Group | None) -> str:
    """Formats a multiple: '0.5 × (0.3 to 0.8)'; 'not shown (...)' unless 1 is excluded."""
    if not need or need["ratio"] is None:
        return NONE
    text = f"{need['sign']}{ratio(need['ratio'])} ×"
    if need["ratio_low"] is not None:
        text += f" ({ratio(need['ratio_low'])} to {ratio(need['ratio_high'])})"
    return text if need["shown"] else f"not shown ({text})"


def _unit(study: Study) -> str:
    """Explains a unit whose name doesn't tell."""
    return {
        "replicate": " (its own subset of labels, seed and pre-training)",
        "block": " (all runs that are linked by a shared subset of labels or pre-training)",
    }.get(study["replicate_unit"], "")


def _bootstrap(pairs: int) -> str:
    if pairs < statistics.BOOTSTRAP_PAIRS:
        return " (too few pairs for a bootstrap)"
    return "; the studentised bootstrap beside them does not"


def _spread(study: Study) -> str:
    """Says by how much runs differ that should not, in all arms alike and in each alone."""
    shared, own = (study["spread"][part] for part in ("shared", "own"))
    if shared is None or own is None or study["components"]:  # which say more
        return ""
    return (
        f"Runs of one condition scatter by {points(shared)} points (standard deviation, all "
        "conditions together) in all arms alike, by subset and seed, which pairs remove, and by "
        f"{points(own)} in each arm alone, by its encoders and by chance."
    )


def _scope(study: Study) -> list[str]:
    """Lists what varies between units, which an interval can tell of, and what is the same."""
    subsets = {row["subset"] for row in study["rows"]}
    folds = study["resampled"] and study["resampled"]["pooled"]
    parts = ["this one subset of labels"]
    if study["crossed"]:
        parts = ["these subsets of labels and these seeds, which all pre-trainings share"]
    elif len(subsets) > 1:
        parts = ["subsets of labels drawn like these"]
        if 0 in study["factors"]["labels"] and not folds:
            parts[0] += " (with all labels: chance in training)"
        runs = {(row["subset"], row["seed"]) for row in study["rows"]}
        if study["replicate_unit"] == "subset" and len(runs) > len(subsets):
            parts.append("these seeds, which all subsets share")
    judged = "these labelled pictures" if folds else "these test pictures"
    return [*parts, of_encoders(study) or "other pre-trainings like these", judged]


def _drawn(study: Study) -> str:
    """Counts what was resampled: '12 recordings (pictures where unknown)'."""
    what, _, more = study["resampled"]["what"].partition(" ")
    counted = count(study["resampled"]["count"], what.removesuffix("s"))
    return f"{counted} {more}".strip()


def _pictures(study: Study) -> str:
    """Mentions the interval over pictures that stands beside those over runs."""
    if not study["resampled"]:
        return ""
    drawn = _drawn(study)
    text = f"; the interval over {drawn} beside them covers other test pictures, for these runs"
    if study["resampled"]["count"] < statistics.DRAWN_LEAST:
        text = f"; the test pictures are of {drawn}, too few for an interval over others"
    if study["resampled"]["pooled"]:
        text += (
            ". Each replicate is judged on a fold of the labelled pictures, and may train on those "
            "that judge others: so replicates aren't quite independent, their intervals are "
            "somewhat narrow and their p somewhat small (Bengio, Grandvalet, JMLR 2004); the "
            "interval over pictures is of all folds together"
        )
    return text


def _test(pairs: int) -> str:
    """Says how many patterns of signs are tried."""
    if pairs <= statistics.EXACT_PAIRS:
        return "exact permutation test on the signs"
    return f"permutation test on {count(statistics.RESAMPLES)} random patterns of the signs"


def _smallest(comparisons: int, pairs: int) -> str:
    """Says where the test cannot be significant, and how many pairs it would take."""
    smallest = statistics.smallest_p(pairs)
    if statistics.significant(comparisons * smallest):
        return ""
    return (
        f"With {count(pairs, 'pair')} the test cannot go below p = {p_value(smallest)} before the "
        "correction, so no single comparison can be significant; that would take "
        f"{statistics.pairs_needed(comparisons)} pairs."
    )


def _ratios(study: Study) -> str:
    """Says by what rule a multiple of labels or steps is shown, and of what none can be."""
    single = [group["steps"] for group in study["groups"] if group["steps"]]
    kinds = {"labels": study["efficiency"], "steps over all conditions": study["steps"]}
    kinds["steps in each condition"] = single
    if not any(kinds.values()):
        return ""
    steps = bool(study["steps"] or single)
    told = " or ".join(["labels"] * bool(study["efficiency"]) + ["steps"] * steps)
    text = (
        f"Multiples of {told} are shown where p, corrected for all of their kind, is at most 0.05 "
        "and the interval excludes 1."
    )
    few = [what for what, needs in kinds.items() if needs and not _can_be_shown(needs)]
    return text + (f" With so few pairs none can be shown for {listed(few)}." if few else "")


def _can_be_shown(needs: list[Group]) -> bool:
    """Tells whether one of these multiples can be shown, however they come out."""
    made = [need["units"] for need in needs if need["units"]]  # which alone are corrected for
    return bool(made) and statistics.significant(len(made) * statistics.smallest_p(max(made)))


def _frozen(study: Study) -> str:
    """Says what data the batch statistics of frozen encoders are from."""
    own = [a.get("config") for a in study["arms"] if a["name"] == study["reference"]]
    factors = study["factors"]
    with_statistics = not all(str(e).startswith("vit") for e in factors["encoder"])
    if "frozen" not in factors["training"] or not with_statistics:
        return ""
    if study["calibrated"]:
        return "In every arm, a frozen encoder has the batch statistics of the labelled pictures."
    if own != ["random weights"]:
        return ""
    return (
        f"The frozen encoder of {label(study, study['reference'])} has the batch statistics of no "
        "data, so part of another arm's lead may be due to statistics alone; "
        "config.target.set.transfer.statistics='calibrated' gives every arm those of the labelled "
        "pictures."
    )
