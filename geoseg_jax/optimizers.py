"""Optimisers on optax: a schedule, clipping, and rules that scale or freeze parameters by name."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from geoseg_jax.layer_decay import layer_multipliers
from geoseg_jax.settings import ConfigError

# A ViT's vectors that are added to tokens or stand for them: several, but no layer's weights.
EMBEDDINGS = ("pos_embed", "cls_token", "reg_token", "mask_token")

Schedule = Callable[[jax.Array | int], jax.Array]


class Optimizer(NamedTuple):
    """What the training step needs to turn gradients into new parameters."""

    transform: optax.GradientTransformation
    schedule: Schedule  # steps done -> learning rate of the next step, before the multipliers
    frozen_params: Any  # the tree of params with True where nothing is updated
    frozen_stats: Any  # the same for batch_stats


def paths(tree: Any) -> Any:
    """The tree with every leaf replaced by its '/'-joined path, as in 'encoder/conv1/kernel'."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "/".join(str(getattr(p, "key", getattr(p, "name", p))) for p in path), tree
    )


def make_schedule(config: Mapping[str, Any], steps: int) -> Schedule:
    """The learning rate as a function of the steps done, in [0, steps).

    Args:
      config: config.optimizer. learning_rate, the peak; schedule 'constant', 'cosine' (to zero at
        `steps`), 'poly' (peak (1 - t / steps)^power, as DeepLab, arXiv:1706.05587, section 4.1) or
        'step' (times decay_factor from decay_at * steps on); warmup_steps, over which the rate
        rises linearly, reaching the peak with the last of them.
      steps: length of the training.
    """
    peak, kind = config["learning_rate"], config.get("schedule", "constant")
    warmup = config.get("warmup_steps", 0)
    if kind == "constant":
        after = optax.constant_schedule(peak)
    elif kind == "cosine":
        after = optax.cosine_decay_schedule(peak, max(1, steps - warmup))
    elif kind == "poly":
        power = config.get("power", 0.9)
        after = optax.polynomial_schedule(peak, 0.0, power, max(1, steps - warmup))
    elif kind == "step":
        boundary = round(config.get("decay_at", 0.75) * steps)
        factor = config.get("decay_factor", 0.1)
        # Counted from the start of the training, warm-up included.
        after = lambda count: jnp.where(count + warmup >= boundary, peak * factor, peak)  # noqa: E731
    else:
        raise ConfigError(
            f"config.optimizer.schedule={kind!r} must be 'constant', 'cosine', 'poly' or 'step'"
        )

    def schedule(count: jax.Array | int) -> jax.Array:
        rising = peak * (count + 1) / max(1, warmup)
        later = after(jnp.maximum(count - warmup, 0))
        return jnp.asarray(jnp.where(count < warmup, rising, later), jnp.float32)

    return schedule


def multipliers(rules: Sequence[tuple[str, float]], params: Any) -> Any:
    """Learning rate multiplier of every parameter: that of the first rule that matches, else 1.

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
                f"{', ...' if len(matched) > 3 else ''}; put the more special rule first"
            )
        for name in matched:
            chosen.setdefault(name, float(multiplier))
    return jax.tree.map(lambda name: chosen.get(name, 1.0), paths(params))


def _nearest(pattern: str, names: Sequence[str]) -> list[str]:
    """Up to three paths, or folders of paths followed by '/.*', that look most like the pattern."""
    folders = {
        "/".join(n.split("/")[:k]) + "/.*" for n in names for k in range(1, n.count("/") + 1)
    }
    candidates = sorted(folders | set(names))
    return difflib.get_close_matches(pattern, candidates, n=3, cutoff=0.3) or candidates[:3]


def _frozen_stats(params: Any, batch_stats: Any, rules: Sequence[tuple[str, float]]) -> Any:
    """True for statistics whose module has only frozen parameters.

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
    schedule = make_schedule(config, steps)
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
    parts += [optax.scale_by_learning_rate(schedule)]
    labels = jax.tree.map(lambda m: "trained" if m else "frozen", scale)
    transform = optax.chain(
        optax.partition({"trained": optax.chain(*parts), "frozen": optax.set_to_zero()}, labels),
        _scale_each(scale),
    )
    return Optimizer(
        transform=transform,
        schedule=schedule,
        frozen_params=jax.tree.map(lambda m: m == 0.0, scale),
        frozen_stats=_frozen_stats(params, batch_stats, rules),
    )


def _decays(parameter: Any, name: str) -> bool:
    """Whether weight decay holds for it. A masked-out (frozen) leaf has no dimensions."""
    return np.ndim(parameter) > 1 and name.rpartition("/")[2] not in EMBEDDINGS


def _accumulate() -> optax.GradientTransformation:
    """The sum of all gradients so far, as a loop gets that never sets them back to zero.

    A fault of the public code of Lao et al. (ECCV 2024), for reproducing its numbers alone.
    """

    def update(updates: Any, total: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        total = jax.tree.map(jnp.add, total, updates)
        return total, total

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def _scale_each(scale: Any) -> optax.GradientTransformation:
    """Multiplies every update by its own factor."""
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda u, m: u if m == 1.0 else u * m, updates, scale)
    )
