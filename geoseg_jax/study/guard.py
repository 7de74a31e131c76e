"""The guard: cells may differ in the declared factors and in nothing else.

A comparison of arms is worth nothing where one arm also had other augmentation, more steps or
another metric (as happened: see presets/segmentation.paper_code). Every setting of a cell belongs
to a factor or must be the same in all cells; and within a condition, that is at equal factors but
for arm, subset and seed, only what these three mean may differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from geoseg_jax import settings
from geoseg_jax.settings import ConfigError

# A factor -> the settings through which it acts.
SETTINGS = {
    "arm": ("init_from",),
    "labels": ("data.labels",),
    "training": ("transfer.frozen",),
    "decoder": ("model.decoder", "model.dpt_features", "transfer.frozen"),
    "resolution": ("data.height", "data.width", "data.crop"),
    # A transformer is trained by another optimiser: presets/encoders.suit_vit.
    "encoder": (
        *("model.encoder", "model.dpt_features", "model.decoder", "optimizer.name"),
        *("optimizer.learning_rate", "optimizer.weight_decay", "optimizer.schedule"),
        *("optimizer.clip_norm", "optimizer.warmup_steps"),
    ),
    "subset": ("data.subset",),
    "seed": ("seed",),
}
# Factors whose values are compared or averaged over within a condition.
WITHIN = ("arm", "subset", "seed")
# Where a cell's data lies and how often it reports changes none of its numbers.
IRRELEVANT = (
    *("data.root", "data.eval_root", "data.cache_dir", "data.workers", "train.log_every"),
    *("train.checkpoint_every", "train.pictures_every", "train.profile_at"),
)


class Difference(NamedTuple):
    """A setting that no declared factor explains."""

    cell: str
    other: str  # the cell that it was held against
    key: str
    value: Any
    expected: Any


class UnfairError(ConfigError):
    """Cells that must not be compared; `differences` says why."""

    def __init__(self, found: Sequence[Difference]) -> None:
        self.differences = tuple(found)
        super().__init__(
            f"{len({d.cell for d in found})} cells differ from the others in settings that are no "
            "factor of the study; make them equal, or compare them in a study of their own"
        )


def differences(
    cells: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    declared: Sequence[str] = (),
) -> list[Difference]:
    """What sets cells apart beside the factors.

    Args:
      cells: (id, factors, config) of each.
      declared: further settings that arms may differ in, which the report then tells.

    Returns:
      Nothing where the comparison is fair; else the differences, each cell against the first of
      the study or of its condition.
    """
    found: list[Difference] = []
    all_keys = {key for keys in SETTINGS.values() for key in keys} | set(declared)
    within = {key for name in WITHIN for key in SETTINGS[name]} | set(declared)
    firsts: dict[Any, tuple[str, dict[str, Any]]] = {}
    for name, factors, config in cells:
        flat = _relevant(config)
        condition = tuple(sorted((k, str(v)) for k, v in factors.items() if k not in WITHIN))
        for group, excused in ((None, all_keys), (condition, within)):
            other, expected = firsts.setdefault(group, (name, flat))
            for key in sorted(set(flat) | set(expected)):
                pair = flat.get(key), expected.get(key)
                difference = Difference(name, other, key, *pair)
                if key not in excused and pair[0] != pair[1] and difference not in found:
                    found.append(difference)
    return found


def _relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The flat config, without what changes no number."""
    return {k: v for k, v in settings.flatten(config).items() if k not in IRRELEVANT}


def table(found: Sequence[Difference]) -> str:
    """The differences for a terminal."""
    rows = [("cell", "setting", "here", "there", "which is")]
    rows += [(d.cell, f"config.{d.key}", str(d.value), str(d.expected), d.other) for d in found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def refuse(
    cells: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    declared: Sequence[str] = (),
) -> None:
    """Raises UnfairError where cells differ in what is not declared; arguments as above."""
    found = differences(cells, declared)
    if found:
        raise UnfairError(found)
