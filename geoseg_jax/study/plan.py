"""Plans what a study trains: every pre-training once, a cell for each combination of factors.

A cell is one segmentation run. Its factors name it: arm, labels, training (fine_tuned or frozen),
decoder, resolution, encoder, subset, seed and pretraining_seed. Cells of one arm, encoder and
pre-training seed share a pre-training; replicates have one each, unless a study says otherwise: one
encoder an arm is a sample of one, however often it is fine-tuned. Where no list says which labelled
pictures judge, each replicate is judged on a fold of its own, the same for all arms.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict

from geoseg_jax.analysis.units import CONDITION, FACTORS, REPLICATE
from geoseg_jax.config import files as config_files
from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.study.check import check, expand
from geoseg_jax.study.recipes import Recipe, share
from geoseg_jax.tasks.precision import AUTO


class Pretraining(NamedTuple):
    """One arm's training of one encoder from one seed."""

    id: str
    arm: str
    encoder: str
    seed: int  # of initialisation, data order and augmentation
    argument: str  # FILE.py:OPTIONS
    recipe: Recipe
    workdir: pathlib.Path

    @property
    def config(self) -> ConfigDict:
        """Its config, another copy each time: see `changed`."""
        return self.recipe.config()

    def changed(self, changes: Mapping[str, Any]) -> "Pretraining":
        """Sets settings, by keys with dots that the config has."""
        return self._replace(recipe=self.recipe.changed(changes))


class Cell(NamedTuple):
    """One segmentation run."""

    id: str
    factors: dict[str, Any]  # by FACTORS
    argument: str
    recipe: Recipe
    workdir: pathlib.Path
    pretraining: str  # its id; '' for random weights or weights from a file

    @property
    def config(self) -> ConfigDict:
        """Its config, another copy each time: see `changed`."""
        return self.recipe.config()

    def changed(self, changes: Mapping[str, Any]) -> "Cell":
        """Sets settings, by keys with dots that the config has."""
        return self._replace(recipe=self.recipe.changed(changes))


J = TypeVar("J", Pretraining, Cell)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is to be trained; a pre-training comes after the one that it starts from."""

    pretrainings: Sequence[Pretraining]
    cells: Sequence[Cell]

    @functools.cached_property
    def _by_folder(self) -> dict[str, Pretraining]:
        return {str(job.workdir): job for job in self.pretrainings}

    def start(self, job: Pretraining | Cell) -> Pretraining | None:
        """Finds the pre-training that the job starts from, where it is one of this plan."""
        return self._by_folder.get(str(job.recipe.get("init_from") or ""))

    def chain(self, job: Pretraining) -> list[Pretraining]:
        """Lists the pre-training and what it starts from, the first first."""
        before = self.start(job)
        return [*(self.chain(before) if before else []), job]

    def alone(self, job: Pretraining | Cell) -> "Plan":
        """Leaves of the plan that job, and what it starts from."""
        if isinstance(job, Pretraining):
            return Plan(self.chain(job), [])
        before = self.start(job)
        return Plan(self.chain(before) if before else [], [job])


def make_plan(
    study: Mapping[str, Any],
    workdir: pathlib.Path,
    rates: Mapping[str, float] | None = None,
) -> Plan:
    """Makes the plan; steps of pre-trainings are those of their configs (see budget.py).

    Args:
      study: its config as plain data.
      workdir: of the study.
      rates: learning rates by `rate_of` of a job, in place of those of the configs (see sweep.py).

    Raises:
      ConfigError, ValueError, OSError: for what a config file refuses.
    """
    study = expand(study)
    check(study)
    pretrainings = _pretrainings(study, workdir)
    cells = _cells(study, workdir)
    _check_distinct(cells)
    if rates:
        pretrainings = [_at_its_rate(job, rates) for job in pretrainings]
        cells = [_at_its_rate(job, rates) for job in cells]
    return Plan(pretrainings, cells)


def _pretrainings(study: Mapping[str, Any], workdir: pathlib.Path) -> list[Pretraining]:
    """Plans seed by seed: the first replicate of every arm is there before the second of any."""
    arms = [arm for arm in arms_of(study).values() if arm.get("config")]
    seeds = list(dict.fromkeys(seed for *_, seed in replicates(study)))
    by_encoder = [
        _of_one_encoder(study, arm, encoder, seeds, workdir)
        for arm, encoder in itertools.product(arms, study["factors"]["encoder"])
    ]
    made = [job for jobs in zip(*by_encoder, strict=True) for job in jobs]
    known = {key for jobs in by_encoder for key in jobs[0].recipe.flat}
    for key in settings.flatten(study.get("pretraining", {})):
        if made and key not in known and not config_files.may_have(key):
            raise ConfigError(
                f"config.pretraining: no pre-training has the setting {key!r}"
                f"{did_you_mean(key, known)}"
            )
    return made


def _cells(study: Mapping[str, Any], workdir: pathlib.Path) -> list[Cell]:
    """Plans arm by arm last: what is done of a study that isn't finished can be compared."""
    arms, cells = arms_of(study), []
    for others in itertools.product(*(study["factors"][name] for name in CONDITION)):
        by_arm = [_of_one_condition(study, arm, others, workdir) for arm in arms.values()]
        cells += [cell for alike in zip(*by_arm, strict=True) for cell in alike]
    return cells


def _at_its_rate(job: J, rates: Mapping[str, float]) -> J:
    rate = rates.get(rate_of(job))
    return job if rate is None else job.changed({"optimizer.learning_rate": rate})


def rate_of(job: Pretraining | Cell) -> str:
    """Names what a learning rate is chosen for: an arm's encoder, or its segmentation."""
    if isinstance(job, Pretraining):
        return f"pretraining/{job.arm}/{job.encoder}"
    kept = ("arm", "training", "encoder", "decoder", "resolution")
    return "/".join(str(job.factors[name]) for name in kept)


def _check_distinct(cells: list[Cell]) -> None:
    """Raises ConfigError for cells that would be the same run, and no replicates of each other."""
    rest: dict[Any, str] = {}
    seen: dict[tuple, Cell] = {}
    for cell in cells:
        shared, own = cell.recipe
        if (key := (shared, *own)) not in rest:
            others = {k: v for k, v in shared.flat.items() if k not in own}
            rest[key] = json.dumps(others, sort_keys=True)
        settled = json.dumps([cell.factors["arm"], dict(own)], sort_keys=True)
        first = seen.setdefault((rest[key], settled), cell)
        if first is not cell:
            unlike = [f for f in FACTORS if cell.factors[f] != first.factors[f]]
            raise ConfigError(
                f"{cell.id} and {first.id} are the same run: {', '.join(unlike)} has no effect "
                "there (random weights have no pre-training, all labels no subsets; auto stands "
                "for one of the decoders)"
            )


def arms_of(study: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Lists the arms by name, without those that config.without names."""
    return {a["name"]: a for a in study["arms"] if a["name"] not in study.get("without", ())}


def _root(study: Mapping[str, Any], name: str, who: str) -> str:
    """Finds where the data called `name` lies.

    Raises:
      ConfigError: where nobody has said so.
    """
    roots = study.get("roots", {})
    if not roots.get(name):
        raise ConfigError(
            f"{who} needs config.roots.{name}: set --config.roots.{name}=PATH"
            + (", or leave the arm out with --config.without" if who.startswith("arm") else "")
        )
    return roots[name]


def replicates(study: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Lists subset, seed and pre-training seed of every replicate.

    With config.factors.replicate=(0, 1, ...) subset 0, seed 0 and pre-training seed 0, then 1, 1
    and 1, and so on, which varies all three for the cost of varying one. Beside it
    config.factors.pretraining_seed may hold one seed, of the one encoder that all replicates of an
    arm then share, or a seed for each replicate.

    Without config.factors.replicate: every combination of config.factors.subset, seed and
    pretraining_seed ((0,) if not given). Several of each tell apart what each of the three does
    (see analysis/components.py).
    """
    factors = study["factors"]
    if "replicate" in factors:
        runs = factors["replicate"]
        seeds = factors.get("pretraining_seed", runs)
        seeds = list(seeds) * (len(runs) if len(seeds) == 1 else 1)
        return [(k, k, seed) for k, seed in zip(runs, seeds, strict=True)]
    encoders = factors.get("pretraining_seed", (0,))
    return list(itertools.product(factors["subset"], factors["seed"], encoders))


def first_replicate(study: Mapping[str, Any]) -> dict[str, int]:
    """Gives the factors of the replicate that stands for the others where pictures are shown."""
    return dict(zip(REPLICATE, replicates(study)[0], strict=True))


def _name(arm: str, encoder: str, seed: int) -> str:
    """Names a pre-training's folder, without seed 0, as when there was no other."""
    return f"{arm}-{encoder}" + (f"-seed{seed}" if seed else "")


def _of_one_encoder(study, arm, encoder, seeds, workdir) -> list[Pretraining]:
    """Plans an arm's pre-trainings of an encoder, one for each seed."""

    def start(seed: int) -> str:
        return str(_start(study, arm, encoder, seed, workdir))

    def argument(seed: int) -> str:
        options = f"{encoder},init={_path(start(seed), what)}" if start(seed) else encoder
        return _with_options(arm["config"], options)

    what, folder = f"arm {arm['name']!r}", workdir / "pretraining"
    recipes = share(
        lambda seed: _pretraining_config(study, arm, argument(seed), seed),
        seeds,
        lambda seed: {"seed": seed, "init_from": start(seed)},
    )
    names = [_name(arm["name"], encoder, seed) for seed in seeds]
    return [
        Pretraining(name, arm["name"], encoder, seed, argument(seed), recipe, folder / name)
        for name, seed, recipe in zip(names, seeds, recipes, strict=True)
    ]


def _pretraining_config(study, arm, argument, seed) -> ConfigDict:
    what = f"arm {arm['name']!r}"
    config = config_files.load(argument)
    known = settings.flatten(config)
    # What is said of all pre-trainings holds for those that have such a setting.
    shared = settings.flatten(study.get("pretraining", {}))
    config_files.change_all(
        config, {k: v for k, v in shared.items() if k in known or config_files.may_have(k)}, what
    )
    config_files.change_all(config, arm.get("set", {}), what)
    for key in ("root", "eval_root"):
        if arm.get(key):
            config.data[key] = _root(study, arm[key], what)
    if config.seed:
        raise ConfigError(
            f"{what} has a seed of its own, {config.seed}; set config.factors.pretraining_seed "
            "instead, which is the same for all arms"
        )
    config.seed = seed
    _same_type(config)
    return config


def _same_type(config: ConfigDict) -> None:
    """In place: float32 where the type of activations is left to the device, as there are several.

    A study whose machines all have bfloat16 says so in config.pretraining and config.target.set.
    """
    if config.get("model", {}).get("compute_dtype") == AUTO:
        config.model.compute_dtype = "float32"


def _start(study, arm, encoder, seed, workdir) -> pathlib.Path | str:
    """Finds what a pre-training starts from: another arm's with the same seed, a file, or ''."""
    if not arm.get("start"):
        return ""
    other = arms_of(study)[arm["start"]]
    if other.get("config"):
        return workdir / "pretraining" / _name(other["name"], encoder, seed)
    return _weights(study, other)


def _path(path: pathlib.Path | str, what: str) -> str:
    """Writes a path as an option behind a config's colon.

    Raises:
      ConfigError: for one with a comma.
    """
    if "," in str(path):
        raise ConfigError(f"{what}: {path} has a comma, which separates options; rename it")
    return str(path)


def _of_one_condition(study, arm, others, workdir) -> list[Cell]:
    """Plans an arm's cells of a condition, one for each replicate."""
    runs = replicates(study)
    factors = [dict(zip(FACTORS, (arm["name"], *others, *run), strict=True)) for run in runs]
    options = [_options(study, arm, of, workdir) for of in factors]
    written = [",".join(f"{k}={v}" for k, v in of.items() if v != "") for of in options]
    arguments = [_with_options(study["target"]["config"], text) for text in written]
    numbers, folds = range(len(runs)), [_fold(study, subset) for subset, *_ in runs]

    def own(number: int) -> dict[str, Any]:
        of = options[number]
        alone = {"seed": of["seed"], "data.subset": of["subset"], "init_from": of["init"]}
        return alone | {f"data.{key}": value for key, value in folds[number].items()}

    def make(number: int) -> ConfigDict:
        return _cell_config(study, arm, arguments[number], folds[number])

    recipes = share(make, numbers, own)
    folder, cells = workdir / "cells", []
    for of, argument, recipe in zip(factors, arguments, recipes, strict=True):
        name = cell_id(of)
        cells.append(Cell(name, of, argument, recipe, folder / name, _pretraining_of(arm, of)))
    return cells


def _pretraining_of(arm, factors) -> str:
    if not arm.get("config"):
        return ""
    return _name(arm["name"], factors["encoder"], factors["pretraining_seed"])


def _options(study, arm, factors, workdir) -> dict[str, Any]:
    """Gives the options of a cell's config; what has the value '' is left out."""
    pretraining = _pretraining_of(arm, factors)
    start = f"{workdir}/pretraining/{pretraining}" if pretraining else _weights(study, arm)
    options = {
        **{name: factors[name] for name in ("labels", "seed", "encoder", "decoder")},
        # All labels have no subsets; there, replicates differ in the seed.
        "subset": factors["subset"] if factors["labels"] else -1,
        "frozen": factors["training"] == "frozen",
        "init": _path(start, f"arm {arm['name']!r}"),
    }
    return options | ({"resolution": factors["resolution"]} if factors["resolution"] else {})


def _fold(study: Mapping[str, Any], subset: int) -> dict[str, int]:
    """Chooses which fold of the labelled pictures judges a replicate, where no list says who does.

    There are as many folds as replicates, unless config.target.set says otherwise: so each picture
    judges once. {} where config.factors has no replicates, or a single one.
    """
    subsets = list(study["factors"].get("replicate", ()))
    said = settings.flatten(study["target"].get("set", {})).get("data.folds")
    folds = said or len(subsets)
    return {"folds": folds, "fold": subsets.index(subset) % folds} if len(subsets) > 1 else {}


def _cell_config(study, arm, argument, fold) -> ConfigDict:
    config = config_files.load(argument)
    config_files.change_all(config, study["target"].get("set", {}), "config.target.set")
    config_files.change_all(config, arm.get("target", {}), f"target of arm {arm['name']!r}")
    _same_type(config)
    # Config files set a warm-up for the steps of their own; cells may have far fewer.
    if "warmup_steps" in config.optimizer:
        most = config.train.steps // 4
        config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, most)
    if "folds" in config.data:
        config.data.update(fold)
    if study["target"].get("root"):
        config.data.root = _root(study, study["target"]["root"], "config.target")
    return config


def _weights(study: Mapping[str, Any], arm: Mapping[str, Any]) -> str:
    """Finds the file of an arm's weights: a path, or the name of one among the roots."""
    weights = arm.get("weights", "")
    if weights in study.get("roots", {}):
        return _root(study, weights, f"arm {arm['name']!r}")
    return weights


def cell_id(factors: Mapping[str, Any]) -> str:
    """Names a cell's folder: readable, and the same on every machine."""
    readable = "-".join(
        (
            *(str(factors[name]) for name in ("arm", "training")),
            f"labels{factors['labels']}" if factors["labels"] else "all",
            f"subset{factors['subset']}",
            f"seed{factors['seed']}",
        )
    )
    if factors["pretraining_seed"]:  # without 0, as when there was no other
        readable += f"-pretraining{factors['pretraining_seed']}"
    others = [str(factors[name]) for name in ("decoder", "resolution", "encoder")]
    return f"{readable}-{hashlib.sha256(json.dumps(others).encode()).hexdigest()[:6]}"


def _with_options(argument: str, options: str) -> str:
    file, _, given = argument.partition(":")
    return f"{file}:{','.join(filter(None, (given, options)))}"


def command(module: str, argument: str, config: ConfigDict, workdir: pathlib.Path) -> str:
    """Writes the shell command that trains this: what differs from the file as flags."""
    base = settings.flatten(config_files.load(argument))
    changed = {k: v for k, v in settings.flatten(config).items() if base.get(k) != v}
    flags = [f"--config={argument}", f"--workdir={workdir}"]
    flags += [f"--config.{key}={_written(value)}" for key, value in changed.items()]
    return shlex.join(["python", "-m", module, *flags])


def _written(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, list) else str(value)
