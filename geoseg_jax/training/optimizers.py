"""Optimisers on optax: a schedule, clipping, and rules that scale or freeze parameters by name."""

import difflib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training.layer_decay import layer_multipliers

# A ViT's vectors that are added to tokens or stand for them: several, but no layer's weights.
EMBEDDINGS = ("pos_embed", "cls_token", "reg_token", "mask_token")

Numbers = dict[str, Any]  # scalars, float32 or int32


class Schedule(NamedTuple):
    """A learning rate as a function of the steps done.

    The numbers of a schedule are apart from its form: a compiled step takes them as an argument, so
    that runs of another length or rate share its program. optax's own schedules hold them as
    constants, and refuse traced ones.
    """

    form: Callable[[Numbers, jax.Array | int], jax.Array]  # (numbers, steps done) -> float32
    numbers: Numbers

    def __call__(self, count: jax.Array | int) -> jax.Array:
        """Returns the rate of the step that follows `count` steps, before the multipliers."""
        return self.form(self.numbers, count)


class Optimizer(NamedTuple):
    """An optimiser, as the training step needs it to turn gradients into new parameters.

    transform.update takes the learning rate of the step as the keyword `rate`.
    """

    transform: optax.GradientTransformationExtraArgs
    schedule: Schedule
    frozen_params: Any  # the tree of params with True where nothing is updated
    frozen_stats: Any  # the same for batch_stats


def paths(tree: Any) -> Any:
    """Replaces every leaf by its '/'-joined path, as in 'encoder/conv1/kernel'."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "/".join(str(getattr(p, "key", getattr(p, "name", p))) for p in path), tree
    )


def make_schedule(config: Mapping[str, Any], steps: int) -> Schedule:
    """Returns the learning rate as a function of the steps done, in [0, steps).

    Args:
      config: config.optimizer. learning_rate, the peak; schedule 'constant', 'cosine' (to zero at
        `steps`), 'poly' (peak (1 - t / steps)^power, as DeepLab, arXiv:1706.05587, section 4.1) or
        'step' (times decay_factor from decay_at * steps on); warmup_steps, over which the rate
        rises linearly, reaching the peak with the last of them.
      steps: length of the training.
    """
    kind = config.get("schedule", "constant")
    if kind not in _FORMS:
        raise ConfigError(
            f"config.optimizer.schedule={kind!r} must be 'constant', 'cosine', 'poly' or 'step'"
        )
    peak, warmup = config["learning_rate"], config.get("warmup_steps", 0)
    numbers = {"peak": np.float32(peak), "warmup": np.int32(warmup), "steps": np.int32(steps)}
    if kind in ("cosine", "poly"):
        numbers["length"] = np.int32(max(1, steps - warmup))
    if kind == "poly":
        numbers["power"] = np.float32(config.get("power", 0.9))
    if kind == "step":
        numbers["boundary"] = np.int32(round(config.get("decay_at", 0.75) * steps))
        numbers["lower"] = np.float32(peak * config.get("decay_factor", 0.1))
    return Schedule(functools.partial(_after_warmup, _FORMS[kind]), numbers)


def share_done(numbers: Numbers, count: jax.Array | int) -> jax.Array:
    """Returns the share of the training that `count` steps are, float32 in [0, 1]."""
    return jnp.asarray(count, jnp.float32) / numbers["steps"]


def _after_warmup(
    form: Callable[[Numbers, jax.Array], jax.Array], numbers: Numbers, count: jax.Array | int
) -> jax.Array:
    peak, warmup = numbers["peak"], numbers["warmup"]
    rising = peak * (count + 1) / jnp.maximum(warmup, 1)
    later = form(numbers, jnp.maximum(count - warmup, 0))
    return jnp.asarray(jnp.where(count < warmup, rising, later), jnp.float32)


def _cosine(numbers: Numbers, count: jax.Array) -> jax.Array:
    done = jnp.minimum(count, numbers["length"])
    return numbers["peak"] * (0.5 * (1 + jnp.cos(jnp.pi * done / numbers["length"])))


def _poly(numbers: Numbers, count: jax.Array) -> jax.Array:
    left = 1 - jnp.minimum(count, numbers["length"]) / numbers["length"]
    return numbers["peak"] * left ** numbers["power"]


def _step(numbers: Numbers, count: jax.Array) -> jax.Array:
    # Counted from the start of the training, warm-up included.
    falls = count + numbers["warmup"] >= numbers["boundary"]
    return jnp.where(falls, numbers["lower"], numbers["peak"])


# (numbers, steps done after the warm-up) -> learning rate.
_FORMS = {
    "constant": lambda numbers, count: numbers["peak"],
    "cosine": _cosine,
    "poly": _poly,
    "step": _step,
}


def multipliers(rules: Sequence[tuple[str, float]], params: Any) -> Any:
    """Chooses every parameter's multiplier: that of the first rule that matches, else 1.

    Args:
      rules: (regular expression, multiplier) pairs; the expression must match the whole path.
      params: tree of parameters (or of their shapes).

    Raises:
      ConfigError: a rule that isn't a regular expression, that matches no parameter, or whose
        parameters are all taken by earlier rules; with the nearest names.
    """
    names = jax.tree.leaves(paths(params))
    chosen: dict[str, float] = {}
    for pattern, multiplier in rules:
        what = f"config.optimizer.rules: {pattern!r}"
        try:
            matched = [name for name in names if re.fullmatch(pattern, name)]
        except re.error as error:
            raise ConfigError(f"{what} is not a regular expression: {error}") from error
        if not matched:
            raise ConfigError(
                f"{what} matches no parameter; the whole path must match, and the nearest are "
                f"{', '.join(_nearest(pattern, names))}"
            )
        if all(name in chosen for name in matched):
            raise ConfigError(
                f"{what} is never reached: earlier rules take {', '.join(matched[:3])}"
                f"{', ...' if len(matched) > 3 else ''}; put the more specific rule first"
            )
        for name in matched:
            chosen.setdefault(name, float(multiplier))
    return jax.tree.map(lambda name: chosen.get(name, 1.0), paths(params))


def _nearest(pattern: str, names: Sequence[str]) -> list[str]:
    """Finds up to three paths, or folders followed by '/.*', that look most like the pattern."""
    folders = {
        "/".join(n.split("/")[:k]) + "/.*" for n in names for k in range(1, n.count("/") + 1)
    }
    candidates = sorted(folders | set(names))
    return difflib.get_close_matches(pattern, candidates, n=3, cutoff=0.3) or candidates[:3]


def _frozen_stats(params: Any, batch_stats: Any, rules: Sequence[tuple[str, float]]) -> Any:
    """Marks statistics whose module has only frozen parameters.

    A normalisation without parameters of its own follows the rules by its own path.
    """
    scale = dict(
        zip(
            jax.tree.leaves(paths(params)),
            jax.tree.leaves(multipliers(rules, params)),
            strict=True,
        )
    )

    def is_frozen(name: str) -> bool:
        module = name.rpartition("/")[0]
        siblings = [value == 0.0 for n, value in scale.items() if n.rpartition("/")[0] == module]
        if siblings:
            return all(siblings)
        first = next((m for pattern, m in rules if re.fullmatch(pattern, name)), 1.0)
        return first == 0.0

    return jax.tree.map(is_frozen, paths(batch_stats))


def make_optimizer(
    config: Mapping[str, Any], steps: int, params: Any, batch_stats: Any
) -> Optimizer:
    """Builds the optimiser of a run.

    Weight decay (adamw: decoupled; sgd: added to the gradient) spares vectors and scalars, that is
    biases and normalisation, and EMBEDDINGS. Clipping is by the global norm of the gradients of
    what is trained. layer_decay: see layer_decay.py; it comes on top of the rules. Frozen
    parameters have no optimiser state. accumulate_gradients: see _accumulate.

    Args:
      config: config.optimizer.
      steps: length of the training, for the schedule.
      params, batch_stats: trees of arrays or of their shapes.

    Raises:
      ConfigError: for a bad rule or name.
    """
    rules = tuple(config.get("rules", ()))
    scale = multipliers(rules, params)
    layers = layer_multipliers(jax.tree.leaves(paths(params)), config.get("layer_decay", 1.0))
    scale = jax.tree.map(lambda m, name: m * layers[name], scale, paths(params))
    decay = config.get("weight_decay", 0.0)
    matrices = lambda tree: jax.tree.map(_decays, tree, paths(tree))  # noqa: E731
    parts = [_accumulate()] if config.get("accumulate_gradients") else []
    parts += [optax.clip_by_global_norm(config["clip_norm"])] if config.get("clip_norm") else []
    if config["name"] == "sgd":
        parts += [optax.add_decayed_weights(decay, matrices)] if decay else []
        momentum = config.get("momentum", 0.9)
        parts += [optax.trace(momentum)] if momentum else []
    elif config["name"] in ("adam", "adamw"):
        parts += [optax.scale_by_adam(b2=config.get("adam_b2", 0.999))]
        parts += [optax.add_decayed_weights(decay, matrices)] if decay else []
    else:
        raise ConfigError(
            f"config.optimizer.name={config['name']!r} must be 'adam', 'adamw' or 'sgd'"
        )
    parts += [_descend()]
    labels = jax.tree.map(lambda m: "trained" if m else "frozen", scale)
    transform = optax.chain(
        optax.partition({"trained": optax.chain(*parts), "frozen": optax.set_to_zero()}, labels),
        _scale_each(scale),
    )
    return Optimizer(
        transform=transform,
        schedule=make_schedule(config, steps),
        frozen_params=jax.tree.map(lambda m: m == 0.0, scale),
        frozen_stats=_frozen_stats(params, batch_stats, rules),
    )


def _decays(parameter: Any, name: str) -> bool:
    """Tells whether weight decay applies. A masked-out (frozen) leaf has no dimensions."""
    return np.ndim(parameter) > 1 and name.rpartition("/")[2] not in EMBEDDINGS


def _accumulate() -> optax.GradientTransformation:
    """Returns the sum of all gradients so far, as a loop gets that never sets them back to zero.

    A fault of the public code of Lao et al. (ECCV 2024), for reproducing its numbers alone.
    """

    def update(updates: Any, total: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        total = jax.tree.map(jnp.add, total, updates)
        return total, total

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def _descend() -> optax.GradientTransformationExtraArgs:
    """Multiplies every update by minus `rate`, a keyword of update."""

    def update(
        updates: Any, state: optax.EmptyState, params: Any = None, *, rate: jax.Array, **others: Any
    ) -> tuple[Any, optax.EmptyState]:
        del params, others
        return jax.tree.map(lambda u: jnp.asarray(-rate, u.dtype) * u, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def _scale_each(scale: Any) -> optax.GradientTransformation:
    """Multiplies every update by its own factor."""
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda u, m: u if m == 1.0 else u * m, updates, scale)
    )
