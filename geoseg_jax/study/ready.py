"""Checks that every job can open what it needs, before the first is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.factory import make_data
from geoseg_jax.data.source import DataError, Source
from geoseg_jax.study import budget, records
from geoseg_jax.study.plan import Cell, Plan
from geoseg_jax.study.recipes import Recipe
from geoseg_jax.study.run import Job
from geoseg_jax.training import transfer


def check(jobs: Sequence[Job], made: Plan, study: Mapping[str, Any]) -> None:
    """Opens the data of those jobs that aren't done, and weights from elsewhere, each once.

    Labels are not read, and made-up worlds not rendered: both take their time.

    Raises:
      ConfigError: for the first job that would fail for want of them.
    """
    own = {str(job.workdir) for job in made.pretrainings}
    data, weights = set(), dict.fromkeys(own, "")
    for job in jobs:
        if records.read(job.workdir):
            continue
        start = str(job.recipe.get("init_from") or "")
        try:
            if job.recipe.get("data.root") and (key := _data(job.recipe)) not in data:
                found = make_data(budget.smallest(job.config), check_labels=False)
                _check_sweep(found.eval, study)
                data.add(key)
            if start and start not in weights:
                weights[start] = transfer.read(start, job.config).encoder
            if start:
                _check_encoder(weights[start], start, job)
        except (DataError, ValueError, OSError) as error:
            said = _in_words_of_the_study(str(error), job, study)
            raise ConfigError(f"{job.id} can't start: {said}{_remedy(job, study)}") from error


def _check_encoder(there: str, start: str, job: Job) -> None:
    """Refuses weights of another encoder than the job's.

    Raises:
      ConfigError: naming both.
    """
    own, parts = job.recipe.get("model.encoder"), job.recipe.get("transfer.parts", ("encoder",))
    if there and own and there != own and "encoder" in parts:
        raise ConfigError(
            f"{start} has weights of {there}, and here the encoder is {own}; take weights of "
            f"{own}, or --config.factors.encoder=\"('{there}',)\""
        )


def _check_sweep(judged: Source, study: Mapping[str, Any]) -> None:
    """Refuses to choose learning rates on labels that score the result, as all folds together do.

    Raises:
      ConfigError: with the remedy.
    """
    if (study.get("sweep") or {}).get("learning_rate") and getattr(judged, "folds", 0):
        raise ConfigError(
            "config.sweep.learning_rate would be chosen on labels that score the result, as each "
            "labelled picture judges in one replicate; list those that judge in val.txt, or set it "
            "to ()"
        )


def _data(recipe: Recipe) -> str:
    """Names what is opened; subsets of as many labels are taken to be there alike."""
    data = {k: v for k, v in recipe.flat.items() if k.startswith("data.")}
    return repr(sorted((data | {"data.subset": None}).items(), key=str))


def _in_words_of_the_study(text: str, job: Job, study: Mapping[str, Any]) -> str:
    """Names settings of a job as those of the study that they come from."""
    arms = {arm["name"]: arm for arm in study["arms"]}
    owner = study["target"] if isinstance(job, Cell) else arms[job.arm]
    for key, told in (("root", f"roots.{owner.get('root')}"), ("labels", "factors.labels")):
        text = text.replace(f"config.data.{key}=", f"config.{told}=")
    return text


def _remedy(job: Job, study: Mapping[str, Any]) -> str:
    """Says how to leave out the arm that lacks something, and those that start from it."""
    arm = job.factors["arm"] if isinstance(job, Cell) else job.arm
    own = not isinstance(job, Cell) or (job.recipe.get("init_from") and not job.pretraining)
    if not own or arm == study["reference"]:
        return ""
    without = [*study.get("without", ()), arm]
    without += [a["name"] for a in study["arms"] if a.get("start") in without]
    return f'. To leave it out: --config.without="{tuple(dict.fromkeys(without))}"'
