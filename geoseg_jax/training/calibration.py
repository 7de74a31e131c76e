"""A frozen encoder's batch statistics, computed anew on the training pictures before training.

Otherwise it normalises by the statistics that it comes with: those of other pictures, or of
none where its weights are random. Arms then differ in how well old statistics suit new pictures,
which is nothing that an arm has learned. `config.transfer.statistics='calibrated'` takes that away,
for every arm of a study or for none (Li et al., arXiv:1603.04779, adapt networks by it alone).
An encoder that learns has its statistics follow the pictures anyway, and keeps what it came with.

What is computed: of every layer, the mean and the variance of its input over all pixels of all
pictures, where every layer before it normalises by its own. A single batch of all pictures would be
normalised so in training; unlike an average over batches it depends on no batch size and no order.
Layer after layer, each with a pass over the pictures: what comes after a layer waits for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from jax.sharding import Mesh

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.pipeline import Reader
from geoseg_jax.data.source import Source
from geoseg_jax.models.norm import BatchNorm
from geoseg_jax.training import sharding, transfer
from geoseg_jax.training.state import TrainState

PART = "encoder"
# Pictures at most, and their pixels, which stay in memory: 256 of 640x192, 64 of 2048x1024.
PICTURES, PIXELS = 256, 2**27

# (variables, batch with 'image') -> anything; batch norms of PART run on their statistics.
Network = Callable[[Any, Mapping[str, jax.Array]], Any]
Layer = tuple[str, ...]


class Measure(NamedTuple):
    """A pass that computes moments of each layer's input.

    order: the layers as the network runs them; empty before `run` was called once.
    run: (variables, batch) -> layer -> (pixels [B], mean [B, C], sum of squares around it [B, C]),
      each picture for itself; the pixels of a padded one are 0.
    """

    order: list[Layer]
    run: Callable[..., dict[Layer, tuple[jax.Array, jax.Array, jax.Array]]]


def pictures(source: Source, bad_share: float = 0.0) -> Subset:
    """Returns the pictures of a training set that statistics are computed on.

    All, or some of every part where it has more than PICTURES, or than PIXELS allow. With
    config.data.bad_share above 0 the next picture stands in for one that can't be read, as in
    training.
    """
    source = Reader(source, replace=bad_share > 0)
    height, width = source[0]["image"].shape[:2]
    count = max(1, min(len(source), PICTURES, PIXELS // (height * width)))
    return Subset(source, [i * len(source) // count for i in range(count)])


def calibrate_state(
    state: TrainState,
    measure: Measure,
    batches: Iterable[Mapping[str, Any]],
    mesh: Mesh,
    say: Callable[[str], None],
) -> tuple[TrainState, dict[str, int]]:
    """Gives the state the encoder's batch statistics of these pictures; also the manifest's record.

    Args:
      measure, batches: see `calibrate`.
      say: takes lines of progress. An encoder without batch norm is kept; its record is {}.
    """
    if PART not in state.batch_stats:
        say("config.transfer.statistics: this encoder has no batch norm, nothing to calibrate")
        return state, {}
    say("calibrating the encoder's batch norms on the training pictures…")
    stats, count = calibrate(measure, state.variables, batches, mesh)
    record = {"pictures": count, "layers": len(traverse_util.flatten_dict(stats)) // 2}
    say(f"calibrated {record['layers']} batch norms on {count} pictures")
    return transfer.put(state, {"batch_stats": {PART: stats}}), record


def calibrate(
    measure: Measure, variables: Mapping[str, Any], batches: Iterable[Mapping[str, Any]], mesh: Mesh
) -> tuple[dict[str, Any], int]:
    """Returns statistics of the encoder's batch norms on some pictures.

    Args:
      measure: see make_measure.
      variables: the model's, whose encoder has batch norms of models.norm.
      batches: this process's part of each, with 'image' and 'mask', read once and kept.

    Returns:
      The encoder's batch_stats as numpy arrays, and the number of pictures.

    Raises:
      ValueError: where the network doesn't run a layer that has statistics.
    """
    kept = [sharding.to_devices({k: b[k] for k in ("image", "mask")}, mesh) for b in batches]
    stats = traverse_util.flatten_dict(
        jax.tree.map(np.asarray, variables["batch_stats"][PART]), is_leaf=lambda _, v: "mean" in v
    )
    measure.run(_with(variables, stats), kept[0])  # which tells the order
    unseen = ["/".join(layer) for layer in stats if layer not in measure.order]
    if unseen:
        raise ValueError(
            f"config.transfer.statistics='calibrated': the network does not run {unseen[0]}, whose "
            "statistics can't be computed; set it to ''"
        )
    for layer in measure.order:
        current = _with(variables, stats)
        stats[layer] = _pooled([measure.run(current, batch)[layer] for batch in kept])
    count = sum(int(jnp.sum(batch["mask"])) for batch in kept)
    return traverse_util.unflatten_dict(stats), count


def make_measure(network: Network | None, mesh: Mesh) -> Measure:
    """Makes a pass that looks at what goes into the encoder's batch norms.

    Raises:
      ConfigError: where the task has no such network.
    """
    if network is None:
        raise ConfigError(
            "config.transfer.statistics='calibrated': this task has no Task.network to look "
            "through; set it to ''"
        )
    order: list[Layer] = []

    def run(variables: Any, batch: Mapping[str, jax.Array]) -> dict[Layer, Any]:
        moments: dict[Layer, Any] = {}

        def observe(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
            layer = context.module
            path = layer.path if isinstance(layer, BatchNorm) else ()
            if path[:1] == (PART,) and context.method_name == "__call__":
                moments[path[1:]] = _moments(args[0].astype(jnp.float32), batch["mask"])
            return call(*args, **kwargs)

        with nn.intercept_methods(observe):
            network(variables, batch)
        order[:] = moments  # at trace time
        return moments

    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    return Measure(
        order, jax.jit(run, in_shardings=(everywhere, divided), out_shardings=everywhere)
    )


def _moments(x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Computes the moments of [B, H, W, C], picture by picture: see Measure.run."""
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    squares = jnp.sum(jnp.square(x - mean), axis=(1, 2))
    return mask * jnp.float32(x.shape[1] * x.shape[2]), mean[:, 0, 0], squares


def _with(variables: Mapping[str, Any], stats: Mapping[Layer, Any]) -> dict[str, Any]:
    """Returns the variables with these statistics of the encoder."""
    own = {PART: traverse_util.unflatten_dict(dict(stats))}
    return {**variables, "batch_stats": {**variables["batch_stats"], **own}}


def _pooled(parts: Sequence[tuple[jax.Array, jax.Array, jax.Array]]) -> dict[str, np.ndarray]:
    """Computes mean and variance over all pixels from those of each picture, in 64 bits."""
    columns = (np.concatenate([np.asarray(p) for p in c]) for c in zip(*parts, strict=True))
    pixels, means, squares = (column.astype(np.float64) for column in columns)
    there = pixels > 0
    weights = pixels[there, None] / pixels.sum()
    mean = np.sum(weights * means[there], axis=0)
    between = np.sum(weights * np.square(means[there] - mean), axis=0)
    variance = between + np.sum(squares[there], axis=0) / pixels.sum()
    return {"mean": mean.astype(np.float32), "var": variance.astype(np.float32)}
