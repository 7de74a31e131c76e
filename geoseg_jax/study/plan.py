"""What a study trains: every pre-training once, and a cell for each combination of the factors.

A cell is one segmentation run. Its factors name it: arm, labels, training (fine_tuned or frozen),
decoder, resolution, encoder, subset, seed and pretraining_seed. Cells of one arm, encoder and
pre-training seed share a pre-training; replicates have one each, unless a study says otherwise: one
encoder an arm is a sample of one, however often it is fine-tuned.
"""

import hashlib
import itertools
import json
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from geoseg_jax.analysis.units import CONDITION, FACTORS
from geoseg_jax.config import files as config_files
from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import starts
from geoseg_jax.study.check import check


class Pretraining(NamedTuple):
    """One arm's training of one encoder from one seed."""

    id: str
    arm: str
    encoder: str
    seed: int  # of initialisation, data order and augmentation
    argument: str  # FILE.py:OPTIONS
    config: ConfigDict
    workdir: pathlib.Path


class Cell(NamedTuple):
    """One segmentation run."""

    id: str
    factors: dict[str, Any]  # by FACTORS
    argument: str
    config: ConfigDict
    workdir: pathlib.Path
    pretraining: str  # its id; '' for random weights or weights from a file


class Plan(NamedTuple):
    """All that is to be trained; a pre-training comes after the one that it starts from."""

    pretrainings: list[Pretraining]
    cells: list[Cell]

    def start(self, job: Pretraining | Cell) -> Pretraining | None:
        """The pre-training that the job starts from, where it is one of this plan."""
        folder = str(job.config.get("init_from") or "")
        return next((p for p in self.pretrainings if str(p.workdir) == folder), None)

    def chain(self, job: Pretraining) -> list[Pretraining]:
        """The pre-training and what it starts from, the first first."""
        before = self.start(job)
        return [*(self.chain(before) if before else []), job]


def make_plan(
    study: Mapping[str, Any],
    workdir: pathlib.Path,
    rates: Mapping[str, float] | None = None,
) -> Plan:
    """The plan; steps of pre-trainings are those of their configs (see budget.py).

    Args:
      study: its config as plain data.
      workdir: of the study.
      rates: learning rates by `rate_of` of a job, in place of those of the configs (see sweep.py).

    Raises:
      ConfigError, ValueError, OSError: for what a config file refuses.
    """
    study = starts.expand(study)
    check(study)
    arms = arms_of(study)
    encoders = study["factors"]["encoder"]
    # Seed by seed: the first replicate of every arm is there before the second of any.
    seeds = dict.fromkeys(pretraining_seed for *_, pretraining_seed in replicates(study))
    pretrainings = [
        _pretraining(study, arm, encoder, seed, workdir)
        for seed, arm, encoder in itertools.product(seeds, arms.values(), encoders)
        if arm.get("config")
    ]
    # Arm by arm last: what is done of a study that isn't finished can be compared.
    values = [*(study["factors"][name] for name in CONDITION), replicates(study), arms]
    cells = []
    for *others, replicate, arm in itertools.product(*values):
        factors = dict(zip(FACTORS, (arm, *others, *replicate), strict=True))
        cells.append(_cell(study, arms[arm], factors, workdir))
    _check_distinct(cells)
    for job in (*pretrainings, *cells):
        job.config.optimizer.learning_rate = (rates or {}).get(
            rate_of(job), job.config.optimizer.learning_rate
        )
    return Plan(pretrainings, cells)


def rate_of(job: Pretraining | Cell) -> str:
    """What a learning rate is chosen for: an arm's encoder, or its training for segmentation."""
    if isinstance(job, Pretraining):
        return f"pretraining/{job.arm}/{job.encoder}"
    kept = ("arm", "training", "encoder", "decoder", "resolution")
    return "/".join(str(job.factors[name]) for name in kept)


def _check_distinct(cells: list[Cell]) -> None:
    """Raises ConfigError for cells that would be the same run, and no replicates of each other."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        text = json.dumps([cell.factors["arm"], settings.plain(cell.config)], sort_keys=True)
        first = seen.setdefault(text, cell)
        if first is not cell:
            unlike = [f for f in FACTORS if cell.factors[f] != first.factors[f]]
            raise ConfigError(
                f"{cell.id} and {first.id} are the same run: {', '.join(unlike)} makes no "
                "difference there (all labels have no subsets; auto is one of the decoders)"
            )


def arms_of(study: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The arms by name, less those that config.without names."""
    return {a["name"]: a for a in study["arms"] if a["name"] not in study.get("without", ())}


def _root(study: Mapping[str, Any], name: str, who: str) -> str:
    """Where the data called `name` lies.

    Raises:
      ConfigError: where nobody has said so.
    """
    roots = study.get("roots", {})
    if not roots.get(name):
        raise ConfigError(
            f"{who} needs config.roots.{name}; say where it lies, --config.roots.{name}=PATH"
            + (", or leave the arm out, --config.without" if who.startswith("arm") else "")
        )
    return roots[name]


def replicates(study: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Subset, seed and pre-training seed of every replicate.

    With config.factors.replicate=(0, 1, ...) subset 0, seed 0 and pre-training seed 0, then 1, 1
    and 1, and so on, which varies all three at the cost of one; else every combination of
    config.factors.subset and seed. config.factors.pretraining_seed says otherwise: one value, of
    which there is one encoder an arm (the default beside subset and seed), or one for each
    replicate.
    """
    factors = study["factors"]
    if "replicate" in factors:
        runs = factors["replicate"]
        seeds = factors.get("pretraining_seed", runs)
        seeds = list(seeds) * (len(runs) if len(seeds) == 1 else 1)
        return [(k, k, seed) for k, seed in zip(runs, seeds, strict=True)]
    (seed,) = factors.get("pretraining_seed", (0,))
    return [(*pair, seed) for pair in itertools.product(factors["subset"], factors["seed"])]


def first_replicate(study: Mapping[str, Any]) -> dict[str, int]:
    """The factors of the replicate that stands for the others where pictures are shown."""
    return dict(zip(("subset", "seed", "pretraining_seed"), replicates(study)[0], strict=True))


def _name(arm: str, encoder: str, seed: int) -> str:
    """A pre-training's folder. Seed 0 is not told: so those were called that had no other."""
    return f"{arm}-{encoder}" + (f"-seed{seed}" if seed else "")


def _pretraining(study, arm, encoder, seed, workdir) -> Pretraining:
    name = _name(arm["name"], encoder, seed)
    what = f"arm {arm['name']!r}"
    start = _start(study, arm, encoder, seed, workdir)
    options = f"{encoder},init={_path(start, what)}" if start else encoder
    argument = _with_options(arm["config"], options)
    config = config_files.load(argument)
    known = settings.flatten(config)
    # What is said of all pre-trainings holds for those that have such a setting.
    shared = settings.flatten(study.get("pretraining", {}))
    config_files.change_all(config, {k: v for k, v in shared.items() if k in known}, what)
    config_files.change_all(config, arm.get("set", {}), what)
    for key in ("root", "eval_root"):
        if arm.get(key):
            config.data[key] = _root(study, arm[key], what)
    if config.seed:
        raise ConfigError(
            f"{what} has a seed of its own, {config.seed}; say it by "
            "config.factors.pretraining_seed, so that all arms have the same"
        )
    config.seed = seed
    workdir = workdir / "pretraining" / name
    return Pretraining(name, arm["name"], encoder, seed, argument, config, workdir)


def _start(study, arm, encoder, seed, workdir) -> pathlib.Path | str:
    """What a pre-training starts from: that of another arm with the same seed, a file, or ''."""
    if not arm.get("start"):
        return ""
    other = arms_of(study)[arm["start"]]
    if other.get("config"):
        return workdir / "pretraining" / _name(other["name"], encoder, seed)
    return _weights(study, other)


def _path(path: pathlib.Path | str, what: str) -> str:
    """A path as an option behind a config's colon can hold it.

    Raises:
      ConfigError: for one with a comma.
    """
    if "," in str(path):
        raise ConfigError(f"{what}: {path} has a comma, which options are parted by; rename it")
    return str(path)


def _cell(study, arm, factors, workdir) -> Cell:
    trained = arm["name"], factors["encoder"], factors["pretraining_seed"]
    pretraining = _name(*trained) if arm.get("config") else ""
    start = str(workdir / "pretraining" / pretraining) if pretraining else _weights(study, arm)
    options = {
        **{name: factors[name] for name in ("labels", "seed", "encoder", "decoder")},
        # All labels have no subsets; there, replicates differ in the seed.
        "subset": factors["subset"] if factors["labels"] else -1,
        "frozen": factors["training"] == "frozen",
        "init": _path(start, f"arm {arm['name']!r}"),
    }
    if factors["resolution"]:
        options["resolution"] = factors["resolution"]
    written = ",".join(f"{k}={v}" for k, v in options.items() if v != "")
    argument = _with_options(study["target"]["config"], written)
    config = config_files.load(argument)
    config_files.change_all(config, study["target"].get("set", {}), "config.target.set")
    config_files.change_all(config, arm.get("target", {}), f"target of arm {arm['name']!r}")
    # Config files set a warm-up for the steps of their own; cells may have far fewer.
    if "warmup_steps" in config.optimizer:
        most = config.train.steps // 4
        config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, most)
    if study["target"].get("root"):
        config.data.root = _root(study, study["target"]["root"], "config.target")
    name = cell_id(factors)
    return Cell(name, factors, argument, config, workdir / "cells" / name, pretraining)


def _weights(study: Mapping[str, Any], arm: Mapping[str, Any]) -> str:
    """The file of an arm's weights: a path, or the name of one among the roots."""
    weights = arm.get("weights", "")
    if weights in study.get("roots", {}):
        return _root(study, weights, f"arm {arm['name']!r}")
    return weights


def cell_id(factors: Mapping[str, Any]) -> str:
    """A cell's folder: readable, and the same on every machine."""
    readable = "-".join(
        (
            *(str(factors[name]) for name in ("arm", "training")),
            f"labels{factors['labels']}",
            f"subset{factors['subset']}",
            f"seed{factors['seed']}",
        )
    )
    if factors["pretraining_seed"]:  # 0 is not told: so cells were called that had no other
        readable += f"-pretraining{factors['pretraining_seed']}"
    others = [str(factors[name]) for name in ("decoder", "resolution", "encoder")]
    return f"{readable}-{hashlib.sha256(json.dumps(others).encode()).hexdigest()[:6]}"


def _with_options(argument: str, options: str) -> str:
    file, _, given = argument.partition(":")
    return f"{file}:{','.join(filter(None, (given, options)))}"


def command(module: str, argument: str, config: ConfigDict, workdir: pathlib.Path) -> str:
    """The command that trains exactly this, for a shell: what differs from the file as flags."""
    base = settings.flatten(config_files.load(argument))
    changed = {k: v for k, v in settings.flatten(config).items() if base.get(k) != v}
    flags = [f"--config={argument}", f"--workdir={workdir}"]
    flags += [f"--config.{key}={_written(value)}" for key, value in changed.items()]
    return shlex.join(["python", "-m", module, *flags])


def _written(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, list) else str(value)
