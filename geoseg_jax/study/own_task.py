"""How well a pre-training did its own task, beside answers that ignore the picture.

An encoder whose network is no better than a constant has learned nothing that its task asks for;
what its arm is better by must come from elsewhere, as from batch statistics.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from geoseg_jax.analysis.units import mean
from geoseg_jax.core import json_files
from geoseg_jax.study.plan import Pretraining

# The number of eval.json that tells -> its answers that ignore the picture, and whether more is
# better. A run has one of these numbers.
_TOLD = {
    "abs_rel": (("abs_rel_constant",), False),
    "photometric": (("photometric_flat", "photometric_identity"), False),
    "epe": (("epe_constant", "epe_zero"), False),
    "top1": (("top1_constant",), True),
    "contrastive_accuracy": (("contrastive_accuracy_constant",), True),
    "l1": (("l1_constant",), False),
    "mse": (("mse_constant",), False),
}
NAMES = {
    "abs_rel": "AbsRel",
    "photometric": "photometric error",
    "epe": "end-point error in pixels",
    "top1": "top-1 accuracy",
    "contrastive_accuracy": "accuracy among the queue",
    "l1": "L1 error in the holes",
    "mse": "squared error of the hidden patches",
}


def scores(jobs: Iterable[Pretraining]) -> list[dict[str, Any]]:
    """What an arm's pre-trainings scored, for each of its encoder architectures.

    Returns:
      dicts with 'encoder', 'number' (for people), 'score' and 'constant' (of the best answer that
      ignores the picture), means over the runs; 'runs', and 'beaten', how many of them are better
      than that answer. Pre-trainings that aren't done, or have no such number, are left out.
    """
    by_encoder: dict[str, list[tuple[str, float, float, bool]]] = {}
    for job in jobs:
        found = of_run(json_files.read_json(job.workdir / "eval.json") or {})
        if found:
            by_encoder.setdefault(job.encoder, []).append(found)
    return [_together(encoder, found) for encoder, found in by_encoder.items()]


def of_run(numbers: Mapping[str, Any]) -> tuple[str, float, float, bool] | None:
    """(number, score, that of the best constant answer, whether it is beaten) of an eval.json."""
    for name, (rivals, more_is_better) in _TOLD.items():
        others = [numbers[r] for r in rivals if numbers.get(r) is not None]
        if name not in numbers or not others:
            continue
        score = math.nan if numbers[name] is None else float(numbers[name])
        best = max(others) if more_is_better else min(others)
        return name, score, float(best), score > best if more_is_better else score < best
    return None


def _together(encoder: str, found: Sequence[tuple[str, float, float, bool]]) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "number": NAMES[found[0][0]],
        "score": mean(score for _, score, _, _ in found),
        "constant": mean(constant for _, _, constant, _ in found),
        "runs": len(found),
        "beaten": sum(beaten for _, _, _, beaten in found),
    }
