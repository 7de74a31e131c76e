"""Image classification: the pre-training that all others are compared with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.core.rules import number
from geoseg_jax.core.setting import Flat, Setting
from geoseg_jax.data.source import HasCategories, HasWords, can
from geoseg_jax.models.classification import ClassificationNet
from geoseg_jax.ops import cross_entropy, ranking
from geoseg_jax.tasks import category_pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.jitter import jitter_views
from geoseg_jax.tasks.precision import activations
from geoseg_jax.tasks.settings import (
    ENCODER,
    JITTER,
    check_jitter,
    check_trains_encoder,
    frozen_kwargs,
)

SETTINGS = {
    **ENCODER,
    **JITTER,
    "task.label_smoothing": Setting(number(0.0, 0.99), "share of the target for all classes"),
}
TOP = 5


def make(config: Any, data: Any) -> Task:
    """Makes the task for one configuration; reads config.task, config.model and config.transfer.

    data: its train source has `categories`, the names of the classes, and may have `words`, what
    people call them.

    Raises:
      ValueError: where the data has no categories, or others to evaluate on than to train on.
    """
    names = _categories(data)
    words = data.train.words if can(data.train, HasWords) else names
    return _Classification(config, names, words)


class _Classification(Task):
    """Classification as one configuration asks for it."""

    def __init__(self, config: Any, names: tuple[str, ...], words: tuple[str, ...]):
        self.task, self.words, self.holds = config.task, words, (names, words)
        self.net = ClassificationNet(
            encoder_name=config.model.encoder,
            classes=len(names),
            normalisation=config.model.normalisation,
            dtype=activations(config.model),
        )
        self.frozen_kwargs = frozen_kwargs(config)

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, to_unit_range(batch["image"]), train=False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        images = to_unit_range(batch["image"])
        images = jitter_views(key, batch["id"], images[:, None], self.task.jitter)[:, 0]
        logits, updated = self.net.apply(
            variables, images, train=True, mutable=["batch_stats"], **self.frozen_kwargs
        )
        losses, _ = cross_entropy.cross_entropy(
            logits, batch["category"], smoothing=self.task.label_smoothing
        )
        value = jnp.mean(losses)
        hits = ranking.rank(logits, batch["category"]) == 0
        # Transformers have no statistics.
        stats = updated.get("batch_stats", variables.get("batch_stats", {}))
        accuracy = jnp.mean(hits, dtype=jnp.float32)
        return value, Aux(stats, {"cross_entropy": value, "training_accuracy": accuracy})

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        return judge(self._logits(variables, batch), batch["category"], batch["mask"])

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        strips = jnp.asarray(category_pictures.name_strips(self.words, batch["image"].shape[2]))
        answer = jnp.argmax(self._logits(variables, batch), axis=-1)
        shown = category_pictures.panel(batch["image"], batch["category"], answer, strips)
        return {"input": batch["image"], "answer": shown}

    def _logits(self, variables: Variables, batch: Batch) -> jax.Array:
        return self.net.apply(variables, to_unit_range(batch["image"]), train=False)


def judge(logits: jax.Array, category: jax.Array, mask: jax.Array) -> Sums:
    """Returns sums over the examples whose mask is True.

    Args:
      logits: float [B, C]. category: int32 [B]. mask: bool [B].

    Returns:
      top1, top5: int32, examples whose true class is the answer, or among the first five;
      cross_entropy: float32, nats, without smoothing; hits, counts: int32 [C], right answers and
      examples of each class; images: int32, all examples.
    """
    rank = jnp.where(mask, ranking.rank(logits, category), logits.shape[-1])
    losses, _ = cross_entropy.cross_entropy(logits, category)
    of_class = (category[:, None] == jnp.arange(logits.shape[-1])) & mask[:, None]
    return {
        "top1": jnp.sum(rank == 0, dtype=jnp.int32),
        "top5": jnp.sum(rank < min(TOP, logits.shape[-1]), dtype=jnp.int32),
        "cross_entropy": jnp.sum(jnp.where(mask, losses, 0)),
        "hits": jnp.sum(of_class & (rank == 0)[:, None], axis=0, dtype=jnp.int32),
        "counts": jnp.sum(of_class, axis=0, dtype=jnp.int32),
        "images": jnp.sum(mask, dtype=jnp.int32),
    }


def summarise(sums: dict[str, Any]) -> dict[str, float]:
    """Returns shares of right answers, and what the best answer that ignores the picture scores.

    That one names the classes in the order of how often they occur in the very split that is
    judged, so that no constant prediction can score more; its cross-entropy is the split's entropy.

    Returns:
      top1, top5, cross_entropy, and each with `_constant`; mean_class_accuracy, the mean over the
      classes that occur; eval_images.
    """
    counts, images = np.asarray(sums["counts"], np.float64), sums["images"]
    often = np.sort(counts)[::-1]
    present = counts > 0
    shares = counts[present] / counts.sum()
    recall = np.asarray(sums["hits"], np.float64)[present] / counts[present]
    return {
        "top1": sums["top1"] / images,
        "top5": sums["top5"] / images,
        "mean_class_accuracy": float(recall.mean()),
        "cross_entropy": sums["cross_entropy"] / images,
        "top1_constant": float(often[0] / counts.sum()),
        "top5_constant": float(often[:TOP].sum() / counts.sum()),
        "cross_entropy_constant": float(-np.sum(shares * np.log(shares))),
        "eval_images": images,
    }


def _categories(data: Any) -> tuple[str, ...]:
    """Returns the names of the classes, the same to train and to evaluate on."""
    train, judged = (
        tuple(source.categories) if can(source, HasCategories) else ()
        for source in (data.train, data.eval)
    )
    if not train:
        raise ValueError(
            "config.task.name='classification' needs pictures with categories; set "
            "config.data.name to class_folder, tfds, synthetic_objects or a pack of these"
        )
    if judged != train:
        differ = sorted(set(train).symmetric_difference(judged))[:8]
        raise ValueError(
            f"config.data.eval_split has other classes than config.data.train_split "
            f"({', '.join(differ) or 'in another order'}); choose splits of one data set"
        )
    return train


def check(flat: Flat) -> None:
    """Refuses settings without an effect.

    Raises:
      ConfigError: naming the first.
    """
    check_trains_encoder(flat)
    check_jitter(flat)


SPEC = TaskSpec(make, SETTINGS, check)
