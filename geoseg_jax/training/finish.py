"""Writes what a run leaves: manifest.json as it starts; eval.json and the rest when it is done."""

import math
from typing import Any

from geoseg_jax.config import settings
from geoseg_jax.core import formats, json_files
from geoseg_jax.data.provenance import leakage
from geoseg_jax.training import judged, manifest, sharding, transfer, writers
from geoseg_jax.training.monitor import TrainingError
from geoseg_jax.training.optimizers import Optimizer
from geoseg_jax.training.progress import Progress
from geoseg_jax.training.setup import Origin, Run
from geoseg_jax.training.sharding import say
from geoseg_jax.training.state import Status, sha256_of


def check_frozen(run: Run, origin: Origin, optimizer: Optimizer, status: Status) -> bool:
    """Tells whether what was to be frozen is bitwise what it was.

    Raises:
      TrainingError: it has changed, although config.transfer.freeze='all'.
    """
    now = transfer.hash_frozen(status.state, run.config, optimizer)
    unchanged = now == origin.frozen_sha256
    if not unchanged and transfer.settings_of(run.config)["freeze"] == "all":
        raise TrainingError(
            f"step {status.step}: frozen parameters or statistics have changed, which is a fault "
            "of the program; nothing was saved after the last checkpoint"
        )
    return unchanged


def write_begun(run: Run, origin: Origin, status: Status, started: str) -> None:
    """Writes the manifest of a run that is not finished, on the first process."""
    if sharding.is_first_process():
        record = _record(run, origin, started) | {"step": status.step, "finished": None}
        json_files.write_json(run.workdir / "manifest.json", record)


def _record(run: Run, origin: Origin, started: str) -> dict[str, Any]:
    """Returns what is known of a run from its start on."""
    return {
        "config": settings.plain(run.config),
        "data": run.data_record,
        **origin._asdict(),
        "started": started,
        **manifest.describe_machine(),
    }


def write_results(
    run: Run,
    origin: Origin,
    optimizer: Optimizer,
    status: Status,
    progress: Progress,
    watch: leakage.Watch | None,
    started: str,
    frozen_unchanged: bool,
) -> dict[str, Any]:
    """Writes eval.json, then the whole manifest: where it says when it was finished, all is there.

    Args:
      status: after the last step, with its evaluation.
      watch: of the leakage, on the first process.
      started: when the run was started, see json_files.now.

    Returns:
      What eval.json holds.
    """
    shared, files = watch.finish() if watch else ({}, {})
    results = dict(status.evaluation or {}) | {
        "bad_frames": progress.bad_frames,
        "frozen_unchanged": frozen_unchanged,
        "frozen_parameters": transfer.count_frozen(status.state, run.config, optimizer),
    }
    if status.best:
        metric = run.config.train.get("best_metric", "")
        results |= {"best_step": status.best["step"], f"best_{metric}": status.best["value"]}
    results |= shared | _few_pictures(run, results)
    record = {
        "data": run.data_record | files,
        "step": status.step,
        "parameters_sha256": sha256_of(status.state.params),
        "parts_sha256": transfer.parts_sha256(status.state.params, status.state.batch_stats),
        "finished": json_files.now(),
        "seconds": round(progress.seconds(), 1),
    }
    if sharding.is_first_process():
        json_files.write_json(run.workdir / "eval.json", writers.finite(results))
        json_files.write_json(run.workdir / "manifest.json", _record(run, origin, started) | record)
    say(f"finished in {formats.duration(record['seconds'])}; results: {run.workdir}/eval.json")
    return results


def _few_pictures(run: Run, results: dict[str, Any]) -> dict[str, float]:
    """Says, in the log and in eval.json, where few pictures have judged a segmentation."""
    if "miou" not in results or not sharding.is_first_process():
        return {}
    miou = math.nan if results["miou"] is None else results["miou"]
    found = judged.few(run.workdir, miou)
    if found:
        say(judged.warn_of_few(found, miou, getattr(run.data.eval, "folds", 0)))
    return found
