"""Takes weights from an earlier run or a file: by name, strict, with their lineage.

config.init_from names the source, config.transfer.parts what is taken of it, config.transfer.frozen
what stays bitwise as it is, and config.transfer.learning_rate_scale how fast each part learns.
config.transfer.pose_encoder='repeated' starts the encoder of a pose network, which sees two
pictures at once, from the encoder that is taken.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from geoseg_jax import interop
from geoseg_jax.config import settings
from geoseg_jax.training import checkpoints
from geoseg_jax.training.ancestors import Ancestor, read_run
from geoseg_jax.training.checkpoints import CheckpointError
from geoseg_jax.training.optimizers import Optimizer
from geoseg_jax.training.state import TrainState, select, sha256_of

COLLECTIONS = ("params", "batch_stats")
# What of a pose network can be taken by itself.
POSE, POSE_ENCODER = "pose", "pose/encoder"


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns config.transfer with defaults: nothing frozen, all parts learn alike."""
    given = config.get("transfer") or {}
    return {
        "parts": tuple(given.get("parts", ("encoder",))),
        "frozen": tuple(given.get("frozen", ())),
        "freeze": given.get("freeze", "all"),
        "normalisation": given.get("normalisation", "matching"),
        "checkpoint": given.get("checkpoint", "latest"),
        "prefix": given.get("prefix") or "",
        "statistics": given.get("statistics") or "",
        "pose_encoder": given.get("pose_encoder") or "",
        "learning_rate_scale": dict(given.get("learning_rate_scale", {})),
    }


def optimizer_settings(config: ConfigDict, parts: Sequence[str]) -> dict[str, Any]:
    """Returns config.optimizer, with rules for parts that are frozen or have a rate of their own.

    Args:
      parts: those that the model has.

    Raises:
      ConfigError: for a part that the model doesn't have, or that is both frozen and scaled.
    """
    transfer = settings_of(config)
    frozen, scales = transfer["frozen"], transfer["learning_rate_scale"]
    scales = {part: scale for part, scale in scales.items() if scale != 1.0}
    for key, named in (("frozen", frozen), ("learning_rate_scale", scales)):
        for part in named:
            if part not in parts:
                raise settings.ConfigError(
                    f"config.transfer.{key} names the part {part!r}; this model has "
                    f"{', '.join(sorted(parts))}"
                )
    both = sorted(set(frozen) & set(scales))
    if both and transfer["freeze"] == "all":
        raise settings.ConfigError(
            f"config.transfer.learning_rate_scale.{both[0]}={scales[both[0]]} has no effect: "
            f"config.transfer.frozen names {both[0]} too; drop one of them"
        )
    rules = [(f"{part}/.*", scale) for part, scale in scales.items()]
    if transfer["freeze"] == "all":
        rules += [(f"{part}/.*", 0.0) for part in frozen]
    own = config.optimizer.to_dict()
    return own | {"rules": (*rules, *own.get("rules", ()))}


def frozen_leaves(config: ConfigDict, optimizer: Optimizer) -> dict[str, Any]:
    """Makes trees of bools over params and batch_stats: what must stay bitwise as it is.

    What the optimiser leaves alone, and all of the parts that config.transfer.frozen names.
    """
    named = settings_of(config)["frozen"]
    trees = {"params": optimizer.frozen_params, "batch_stats": optimizer.frozen_stats}
    return {
        collection: {
            part: jax.tree.map(lambda stays, part=part: stays or part in named, tree)
            for part, tree in parts.items()
        }
        for collection, parts in trees.items()
    }


def hash_frozen(state: TrainState, config: ConfigDict, optimizer: Optimizer) -> str:
    """Returns the SHA-256 over the parameters and statistics that must not change."""
    chosen = frozen_leaves(config, optimizer)
    return sha256_of({c: select(getattr(state, c), chosen[c]) for c in COLLECTIONS})


def read(source: str, config: ConfigDict) -> Ancestor:
    """Reads what config.init_from names.

    Args:
      source: a workdir, a checkpoint (WORKDIR/checkpoints/STEP), a folder that
        geoseg_jax.interop wrote, a file of weights (see interop.read_weights), or a name such as
        hf:OWNER/NAME (see interop.named).
      config: of whose transfer.checkpoint tells which of a workdir's checkpoints.

    Raises:
      CheckpointError, interop.WeightsError: where there is nothing that can be read.
    """
    which, prefix = (settings_of(config)[key] for key in ("checkpoint", "prefix"))
    if not interop.is_name(source) and not pathlib.Path(source).expanduser().exists():
        raise CheckpointError(f"config.init_from={source}: no such file or folder")
    run = read_run(source, which, f"config.transfer.checkpoint={which!r}")
    if run is not None and prefix:
        raise settings.ConfigError(
            f"config.transfer.prefix={prefix!r} has no effect: config.init_from={source} is a run; "
            "set it to ''"
        )
    if run is not None:
        return run
    weights = interop.read_weights(source, prefix=prefix)
    record = {
        "source": source,
        "kind": weights.kind,
        "encoder": weights.encoder,
        "sha256": weights.sha256,
        "converted_from": weights.source,
        "prefix": weights.prefix,
        "left_out": list(weights.dropped),
        "changed": list(weights.changed),
        "untrained_statistics": weights.untrained,
        "parents": [],
    }
    conventions = {"normalisation": weights.normalisation}
    if weights.kind == "monodepth2":
        conventions["decoder_padding"] = "reflect"
    return Ancestor(weights.variables, weights.encoder, conventions, record)


def take(ancestor: Ancestor, abstract_state: TrainState, config: ConfigDict) -> dict[str, Any]:
    """Returns the parts that config.transfer asks for, each array found with its shape.

    Args:
      abstract_state: the shapes of this model's state.

    Returns:
      {'params': {part: ...}, 'batch_stats': {part: ...}} of numpy arrays; POSE_ENCODER is there as
      a part too where config.transfer.pose_encoder asks for it.

    Raises:
      CheckpointError: where an array is missing, superfluous or of another shape, with both sides.
    """
    parts, source = settings_of(config)["parts"], config.init_from
    _check_conventions(ancestor, parts, config)
    taken: dict[str, Any] = {}
    for part in parts:
        there = {c: ancestor.variables.get(c, {}).get(part, {}) for c in COLLECTIONS}
        here = {c: getattr(abstract_state, c).get(part, {}) for c in COLLECTIONS}
        for side, tree, whole in (
            ("the source", there, ancestor.variables["params"]),
            ("this model", here, abstract_state.params),
        ):
            if not tree["params"]:
                raise CheckpointError(
                    f"config.init_from={source}: {side} has no part {part!r}, only "
                    f"{', '.join(sorted(whole))}; change config.transfer.parts={parts}"
                )
        own = config.get("model", {}).get("encoder", "")
        checkpoints.compare_shapes(
            _structs(there),
            _structs(here),
            f"config.init_from={source}: its {part} ({_describe(ancestor.encoder, there)})",
            f"here it is {_describe(own, here)}; set config.model to what the source was trained "
            "with, or take other weights",
        )
        for collection in COLLECTIONS:
            if there[collection]:
                taken.setdefault(collection, {})[part] = there[collection]
    if settings_of(config)["pose_encoder"]:
        repeated = _encoder_of_pairs(taken, abstract_state, f"config.init_from={source}")
        for collection, tree in repeated.items():
            taken[collection][POSE_ENCODER] = tree
    return taken


def _encoder_of_pairs(
    taken: Mapping[str, Any], abstract_state: TrainState, what: str
) -> dict[str, dict[str, Any]]:
    """Returns the encoder that was taken, as the pose network's encoder of two stacked pictures.

    The kernel that sees the pictures is repeated for the second one and halved, all else is copied:
    a pair of equal pictures has the features of that picture. So monodepth2's public code starts
    its pose network (resnet_encoder.py; Godard et al., ICCV 2019).

    Raises:
      CheckpointError: where the pose network has no such encoder.
    """
    own = {c: taken[c]["encoder"] for c in COLLECTIONS if "encoder" in taken.get(c, {})}
    here = {c: getattr(abstract_state, c).get(POSE, {}).get("encoder", {}) for c in own}
    wanted = _structs(here)

    def fit(path: Any, array: np.ndarray) -> np.ndarray:
        place = wanted.get(_name(path), array)
        twice = array.ndim > 1 and place.shape[-2:-1] == (2 * array.shape[-2],)
        return np.concatenate([array, array], axis=-2) / 2 if twice else array

    repeated = jax.tree_util.tree_map_with_path(fit, own)
    checkpoints.compare_shapes(
        _structs(repeated),
        wanted,
        f"{what}: its encoder, repeated for config.transfer.pose_encoder,",
        "set config.model.pose_encoder to config.model.encoder, or config.transfer.pose_encoder "
        "to ''",
    )
    return repeated


def _check_conventions(ancestor: Ancestor, parts: Sequence[str], config: ConfigDict) -> None:
    """Raises CheckpointError where this model would use the weights in another way."""
    model, may_differ = config.get("model", {}), settings_of(config)["normalisation"] == "any"
    for part, key, usual in (
        ("encoder", "normalisation", "imagenet"),
        ("pose", "normalisation", "imagenet"),
        ("decoder", "decoder_padding", None),
    ):
        there, here = ancestor.conventions.get(key), model.get(key, usual)
        if key == "normalisation" and may_differ:
            continue
        if part in parts and there is not None and there != here:
            raise CheckpointError(
                f"config.init_from={config.init_from}: its {part} was trained with {key} "
                f"{there!r}, but config.model.{key}={here!r}; set "
                f"config.model.{key}={there!r}"
            )


def _structs(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Sequence[Any]) -> str:
    return "/".join(str(getattr(p, "key", p)) for p in path)


def _describe(encoder: str, tree: Any) -> str:
    return f"{encoder or 'unknown'}, {len(jax.tree.leaves(tree))} arrays"


def put(state: TrainState, taken: Mapping[str, Any]) -> TrainState:
    """Returns the state with the taken arrays in place of its own, on the same devices."""

    def place(new: np.ndarray, old: jax.Array) -> jax.Array:
        return jax.make_array_from_callback(old.shape, old.sharding, lambda index: new[index])

    replaced = {collection: dict(getattr(state, collection)) for collection in COLLECTIONS}
    for collection, parts in taken.items():
        for name, tree in parts.items():
            part, _, inner = name.partition("/")
            old = replaced[collection][part]
            if inner:
                replaced[collection][part] = {**old, inner: jax.tree.map(place, tree, old[inner])}
            else:
                replaced[collection][part] = jax.tree.map(place, tree, old)
    return state.replace(**replaced)


def parts_sha256(params: Any, batch_stats: Any) -> dict[str, str]:
    """Returns a hash of every part, parameters and statistics together."""
    return {
        part: sha256_of({"params": tree, "batch_stats": batch_stats.get(part, {})})
        for part, tree in params.items()
    }


def lineage(ancestor: Ancestor, taken: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the ancestor's entry for the manifest: origin, what was taken, its own parents."""
    return ancestor.record | {"taken": parts_sha256(taken["params"], taken.get("batch_stats", {}))}


def describe(
    state: TrainState,
    parents: Sequence[Mapping[str, Any]],
    config: ConfigDict,
    optimizer: Optimizer,
) -> str:
    """Describes each part of the model in a table: size, how it learns, where it comes from."""
    origin = {part: parent for parent in parents for part in parent["taken"]}
    lines = []
    for part, tree in state.params.items():
        count = sum(leaf.size for leaf in jax.tree.leaves(tree))
        start = "initialised"
        if part in origin:
            parent = origin[part]
            start = f"from {parent['source']} (sha256 {parent['taken'][part][:12]})"
        elif part == POSE and POSE_ENCODER in origin:
            start = f"its encoder as that of {origin[POSE_ENCODER]['source']}, for two pictures"
        how = _how_it_learns(part, optimizer, settings_of(config))
        if part == "encoder" and part in origin and how.startswith("learning"):
            # Set by a config's init= for transformers, and not where --config.init_from is given.
            how += f", layer decay {config.optimizer.get('layer_decay', 1.0):g}"
        lines.append(f"  {part:<8} {count:>12,} parameters  {how:<20} {start}")
    for parent in parents:
        if parent.get("untrained_statistics"):
            lines.append(f"  WARNING: {parent['source']}: {parent['untrained_statistics']}")
    return "\n".join(lines)


def _how_it_learns(part: str, optimizer: Optimizer, transfer: Mapping[str, Any]) -> str:
    frozen = jax.tree.leaves(optimizer.frozen_params[part])
    if all(frozen) and part in transfer["frozen"]:
        return "frozen"
    if any(frozen):
        # By config.optimizer.rules: such a part still normalises by the batch.
        return "frozen by rules" if all(frozen) else "partly frozen"
    if part in transfer["frozen"]:
        return "fixed statistics"
    return f"learning rate x {transfer['learning_rate_scale'].get(part, 1.0):g}"


def count_frozen(state: TrainState, config: ConfigDict, optimizer: Optimizer) -> int:
    """Counts the parameters that must not change."""
    frozen = frozen_leaves(config, optimizer)["params"]
    sizes = jax.tree.map(lambda stays, leaf: leaf.size if stays else 0, frozen, state.params)
    return sum(jax.tree.leaves(sizes))


def write_lineage(parents: Sequence[Mapping[str, Any]]) -> str:
    """Writes the chain in one line, oldest first: 'torchvision resnet18 -> flow -> this run'."""

    def chain(record: Mapping[str, Any]) -> list[str]:
        before = [name for parent in record["parents"] for name in chain(parent)]
        # A file of weights that a run was exported to stands for the run.
        task = record.get("task") or (record.get("converted_from") or {}).get("task")
        return [*before, task or f"{record['kind']} {record['encoder']}".strip()]

    return " -> ".join([name for record in parents for name in chain(record)] + ["this run"])
