"""MoCo v2: two views of a picture shall be near each other and far from other pictures'.

He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning",
CVPR 2020 (arXiv:1911.05722); Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive
Learning" (arXiv:2003.04297): perceptron, blur, cosine.

Why batch normalisation comes in groups. The statistics of a batch are a signature of the pictures
in it. A query and its key come from the same batch, the negatives in the queue from earlier ones;
were query and key normalised by the statistics of the same pictures, the network could tell the
right answer by the signature alone, and would learn nothing else (MoCo, section 3.3). PyTorch's
statistics are those of one GPU's share of the batch, and MoCo shuffles the keys among the GPUs, so
that a key is normalised beside other pictures than its query. Under jit a batch sharded over
devices is one array, and a plain batch normalisation takes the statistics of the whole of it, for
queries and keys the same pictures in whatever order: shuffling would change nothing. So the encoder
normalises in `norm_groups` blocks of consecutive examples (norm.BatchNorm), which stand for MoCo's
eight GPUs however many devices there are, and the keys are computed in an order drawn anew for each
step and brought back into the batch's. What is drawn depends on the step alone: one device and many
compute the same. An encoder with layer norm has no such statistics, and nothing to shuffle.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.core.rules import POSITIVE, SHARE, span, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.models import is_vit
from geoseg_jax.models.moco import MocoNet
from geoseg_jax.ops import contrastive
from geoseg_jax.tasks import pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.contrastive_views import change_views
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.precision import activations
from geoseg_jax.tasks.settings import ENCODER, JITTER, check_jitter, check_trains_all

SETTINGS = {
    **ENCODER,
    **JITTER,
    "task.queue": Setting(whole(1), "negatives in the queue"),
    "task.momentum": Setting(SHARE, "momentum of the encoder that makes the keys"),
    "task.temperature": Setting(POSITIVE, "temperature of the similarities"),
    "task.features": Setting(whole(2), "length of a query"),
    "task.norm_groups": Setting(whole(1), "groups of a batch, each with its own batch statistics"),
    "task.grey_probability": Setting(SHARE, "probability that a view is grey"),
    "task.blur_probability": Setting(SHARE, "probability that a view is blurred"),
    "task.blur_sigma": Setting(span(POSITIVE), "smallest and largest sigma of the blur, pixels"),
}
# What follows the encoder instead of being learned: in batch_stats under this name.
MOMENTUM = "momentum"
_EVAL_KEY = 0  # evaluation changes the same picture in the same way, every time


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task and config.model.

    A batch's second view is sources[:, 0] (config.data.crop_views = 2).
    """
    del data  # every batch carries all that this task needs
    return _Moco(config)


class _Moco(Task):
    """Momentum contrast as one configuration asks for it."""

    holds = ()

    def __init__(self, config: Any):
        self.task, self.net = config.task, _network(config.model, config.task)

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        key_net, key_queue = jax.random.split(key)
        variables = self.net.init(key_net, to_unit_range(batch["image"]), train=False)
        stats = variables.get("batch_stats", {})
        noise = jax.random.normal(key_queue, (self.task.queue, self.task.features))
        momentum = {
            "params": variables["params"],
            "batch_stats": stats,
            "queue": contrastive.unit_length(noise),
            "started": jnp.zeros((), jnp.float32),
        }
        return {"params": variables["params"], "batch_stats": {**stats, MOMENTUM: momentum}}

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        key_query, key_key, key_order = jax.random.split(key, 3)
        learned, behind = _split(variables)
        behind = follow(behind, learned, self.task.momentum)
        views = change_views(key_query, batch["id"], to_unit_range(batch["image"]), self.task)
        query, updated = self.net.apply(learned, views, train=True, mutable=["batch_stats"])
        keys, stats = self._keys(behind, key_key, key_order, batch)
        result = self._contrast(query, keys, behind)
        value = jnp.mean(result.loss)
        behind |= {"batch_stats": stats, "queue": contrastive.enqueue(behind["queue"], keys)}
        terms = {
            "info_nce": value,
            "training_accuracy": jnp.mean(result.hit, dtype=jnp.float32),
            "similarity": jnp.mean(result.similarity),
        }
        return value, Aux({**updated.get("batch_stats", {}), MOMENTUM: behind}, terms)

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        learned, behind = _split(variables)
        query_views, key_views = self._views(batch)
        query = self.net.apply(learned, query_views, train=False)
        keys = self.net.apply(_variables_of(behind), key_views, train=False)
        result = self._contrast(query, keys, behind)
        return judge(result, query, batch["mask"], self.task.queue)

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        query, key = self._views(batch)
        del variables
        return {
            "first window": batch["image"],
            "query": pictures.to_uint8(query),
            "second window": batch["sources"][:, 0],
            "key": pictures.to_uint8(key),
        }

    def _keys(
        self, behind: dict[str, Any], key_key: jax.Array, key_order: jax.Array, batch: Batch
    ) -> tuple[jax.Array, Any]:
        """Computes keys [B, C] in another order than the batch's and brings them back into it.

        And the batch statistics of the momentum encoder after them.
        """
        # As they come from the pipeline, in bytes, views are cheapest to send between devices.
        order = jax.random.permutation(key_order, len(batch["id"]))
        ids = jnp.take(batch["id"], order, axis=0)
        views = to_unit_range(jnp.take(batch["sources"][:, 0], order, axis=0))
        views = change_views(key_key, ids, views, self.task)
        keys, updated = self.net.apply(
            _variables_of(behind), views, train=True, mutable=["batch_stats"]
        )
        keys = jax.lax.stop_gradient(jnp.take(keys, jnp.argsort(order), axis=0))
        return keys, updated.get("batch_stats", {})

    def _contrast(
        self, query: jax.Array, keys: jax.Array, behind: dict[str, Any]
    ) -> contrastive.Contrast:
        temperature = self.task.temperature
        return contrastive.info_nce(query, keys, behind["queue"], temperature=temperature)

    def _views(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Returns both views as evaluation sees them."""
        keys = jax.random.split(jax.random.key(_EVAL_KEY))
        views = batch["image"], batch["sources"][:, 0]
        return tuple(
            change_views(key, batch["id"], to_unit_range(view), self.task)
            for key, view in zip(keys, views, strict=True)
        )


def _network(model: Any, task: Any) -> MocoNet:
    return MocoNet(
        encoder_name=model.encoder,
        features=task.features,
        norm_groups=task.norm_groups,
        normalisation=model.normalisation,
        dtype=activations(model),
    )


def _split(variables: Variables) -> tuple[Variables, dict[str, Any]]:
    """Returns the network that learns, and what follows it."""
    stats = dict(variables["batch_stats"])
    behind = stats.pop(MOMENTUM)
    return {"params": variables["params"], "batch_stats": stats}, dict(behind)


def _variables_of(behind: dict[str, Any]) -> Variables:
    """Returns the momentum encoder's variables."""
    return {"params": behind["params"], "batch_stats": behind["batch_stats"]}


def follow(behind: dict[str, Any], learned: Variables, momentum: float) -> dict[str, Any]:
    """Moves the momentum encoder: m theta_k + (1 - m) theta_q (MoCo, eq. 2); no gradient.

    Its first step takes all of the network that learns, its statistics too: they start equal, even
    where that network's weights were put there after `init`, from an earlier run or a file.

    Args:
      behind: params, batch_stats, queue and started (0 before the first step, then 1).
      learned: the network that learns, before this step's gradient.
      momentum: m.
    """
    keep = jnp.where(behind["started"] > 0, momentum, 0.0)
    params = jax.lax.stop_gradient(learned["params"])
    mixed = jax.tree.map(lambda k, q: keep * k + (1 - keep) * q, behind["params"], params)
    stats = jax.tree.map(
        lambda k, q: jnp.where(behind["started"] > 0, k, q),
        behind["batch_stats"],
        learned["batch_stats"],
    )
    started = jnp.ones_like(behind["started"])
    return {**behind, "params": mixed, "batch_stats": stats, "started": started}


def judge(result: contrastive.Contrast, query: jax.Array, mask: jax.Array, queue: int) -> Sums:
    """Returns sums over the pictures whose mask is True.

    Args:
      result: of the held-out pairs against the queue, which holds pictures of the training.
      query: [B, C] of unit length. mask: bool [B].
      queue: number of negatives.

    Returns:
      contrastive_accuracy, info_nce and similarity of the pairs, contrastive_accuracy_constant
      (any of the K + 1 is as likely, for a network that answers the same to everything), query,
      the sum of the vectors [C], and images, the number of pictures.
    """

    def total(per_image: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(mask, per_image.astype(jnp.float32), 0))

    images = jnp.sum(mask, dtype=jnp.int32)
    return {
        "contrastive_accuracy": total(result.hit),
        "contrastive_accuracy_constant": images / (queue + 1.0),
        "info_nce": total(result.loss),
        "info_nce_constant": images * jnp.log(queue + 1.0),
        "similarity": total(result.similarity),
        "query": jnp.sum(jnp.where(mask[:, None], query, 0), axis=0),
        "images": images,
    }


def summarise(sums: dict[str, Any]) -> dict[str, float]:
    """Returns means over pictures, and `collapse`, the length of the mean query.

    That is 1 where all pictures have one answer, whatever the loss says, and about
    1 / sqrt(pictures) where answers lie evenly on the sphere.
    """
    images = sums["images"]
    means = {k: float(v / images) for k, v in sums.items() if k not in ("images", "query")}
    mean_query = np.asarray(sums["query"]) / images
    return means | {"collapse": float(np.linalg.norm(mean_query)), "eval_images": images}


def check(flat: Flat) -> None:
    """Refuses anything but two windows of a picture, and groups and a queue that suit the batch.

    Raises:
      ConfigError: naming the first.
    """
    check_trains_all(flat)
    check_jitter(flat)
    batch, groups = flat["train.batch_size"], flat["task.norm_groups"]
    uneven = batch % groups > 0 or batch // groups < 2
    refuse(
        flat,
        (
            "data.crop_views",
            "data.name" in flat and flat.get("data.crop_views") != 2,
            "must be 2: config.task.name='moco' compares two windows of a picture; set "
            "config.data.crop_area too",
        ),
        (
            "train.micro_batches",
            flat.get("train.micro_batches", 1) > 1,
            "moves the queue and the second encoder several times a step; set it to 1, and "
            "config.train.batch_size to what fits",
        ),
        (
            "task.norm_groups",
            uneven and not is_vit(flat["model.encoder"]),
            f"must divide config.train.batch_size={batch} into groups of at least 2, each "
            "normalised by its own statistics",
        ),
        (
            "task.queue",
            flat["task.queue"] < batch,
            f"must hold at least one batch, config.train.batch_size={batch}",
        ),
    )


SPEC = TaskSpec(make, SETTINGS, check)
