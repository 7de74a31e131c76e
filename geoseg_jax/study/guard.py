"""Guards that cells differ in the declared factors and in nothing else.

A comparison of arms is worth nothing where one arm also had other augmentation, more steps or
another metric (as happened: see presets/segmentation.paper_code). A setting that factors act
through is the same in all cells in which these factors are; every other is the same in all cells.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax.config import table
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core.formats import count
from geoseg_jax.core.nested import is_off

# A transformer that learns is trained by another optimiser: presets/encoders.suit_vit.
_RECIPE = tuple(
    f"optimizer.{name}"
    for name in ("name", "learning_rate", "weight_decay", "schedule", "clip_norm", "warmup_steps")
)
# A factor -> the settings through which it acts.
SETTINGS = {
    "arm": ("init_from",),
    # All labels have no subsets; a batch may hold no more pictures than there are labels.
    "labels": ("data.labels", "data.subset", "train.batch_size"),
    "training": ("transfer.frozen", *_RECIPE),
    "decoder": ("model.decoder", "model.dpt_features", "transfer.frozen"),
    "resolution": ("data.height", "data.width", "data.crop"),
    "encoder": ("init_from", "model.encoder", "model.dpt_features", "model.decoder", *_RECIPE),
    # Without a list of pictures to judge on, each replicate is judged on a fold of its own.
    "subset": ("data.subset", "data.fold"),
    "seed": ("seed",),
    "pretraining_seed": ("init_from",),
}
RATE = "optimizer.learning_rate"
# Where a cell's data lies and how often it reports changes none of its numbers.
IRRELEVANT = table.keys(lambda setting: not setting.numbers)


class Difference(NamedTuple):
    """A setting that no declared factor explains."""

    cell: str
    other: str  # the cell that it was held against
    key: str  # of a setting, or what else in words
    value: Any
    expected: Any


class UnfairError(ConfigError):
    """Cells that must not be compared; `differences` says why."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            "settings that are not factors of the study differ in "
            f"{count(len({d.cell for d in differences}), 'cell')}; make them equal, or compare "
            "those cells in another study"
        )


def differences(
    cells: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    declared: Sequence[str] = (),
) -> list[Difference]:
    """Finds what sets cells apart beside the factors.

    Args:
      cells: (id, factors, settings by keys with dots, those alone that are `relevant`) of each.
      declared: further settings that arms may differ in, which the report then tells.

    Returns:
      Nothing where the comparison is fair; else the differences, each cell against the first of
      those that should be alike.
    """
    groups = _groups({key for _, _, flat in cells for key in flat}, declared)
    unexplained = []
    firsts: dict[Any, tuple[str, Any]] = {}
    for name, factors, flat in cells:
        found = []
        for owners, keys in groups.items():
            values = [flat.get(key) for key in keys]
            alike = (owners, *(str(factors[factor]) for factor in owners))
            other, expected = firsts.setdefault(alike, (name, values))
            if values != expected:
                triples = zip(keys, values, expected, strict=True)
                found += [Difference(name, other, *t) for t in triples if t[1] != t[2]]
        unexplained += sorted(found, key=lambda difference: difference.key)
    return unexplained


def _groups(keys: Iterable[str], declared: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """Groups settings by the factors that act through them."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key in sorted(keys):
        owners = [factor for factor, owned in SETTINGS.items() if key in owned]
        owners += ["arm"] if key in declared else []
        if key == RATE and key in declared:  # as where a sweep has chosen it for each of these
            owners += ["training", "encoder", "decoder", "resolution"]
        groups.setdefault(tuple(owners), []).append(key)
    return groups


def relevant(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Leaves out of settings by keys with dots what changes no number and what is off."""
    return {k: v for k, v in flat.items() if k not in IRRELEVANT and not is_off(v)}


def with_own(flat: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Puts a job's own settings in place of those among relevant ones."""
    made = {**flat, **own}
    for key in own.keys() - relevant(own).keys():
        del made[key]
    return made


def table(unexplained: Sequence[Difference]) -> str:
    """Writes the differences as a table for a terminal."""
    rows = [("cell", "setting", "its value", "value in", "the other")]
    rows += [(d.cell, _name(d.key), str(d.value), str(d.expected), d.other) for d in unexplained]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _name(key: str) -> str:
    """Names a setting as a user writes it; what isn't a setting keeps its words."""
    return key if " " in key else f"config.{key}"
