"""Semantic segmentation from labelled pictures: what pre-trained encoders are judged by."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from geoseg_jax import scores
from geoseg_jax.models import resnet
from geoseg_jax.models.segmentation import SegmentationNet
from geoseg_jax.ops import confusion, cross_entropy, sampling
from geoseg_jax.tasks import label_pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, Variables
from geoseg_jax.tasks.inference import class_scores
from geoseg_jax.tasks.jitter import jitter_views


def make(config: Any, data: Any) -> Task:
    """The task for one configuration; reads config.task, config.model and config.transfer.

    data: its train source has `table`, the label table (see data.labels.LabelTable).
    """
    task, table = config.task, data.train.table
    classes = len(table.classes)
    net = _network(config.model, classes)
    # Frozen parts run on their running statistics, in training as in evaluation.
    parts, freeze = (config.transfer[key] for key in ("frozen", "freeze"))
    still = {"frozen" if freeze == "all" else "fixed_statistics": tuple(parts)}
    # An output for pixels of no class, which the loss never asks for: the paper's 34 have one.
    unlabelled = table.classes.index("unlabeled") if "unlabeled" in table.classes else None
    weights = class_weights(task.class_weights, table.classes, data.train)

    def seen(pictures_01: jax.Array) -> jax.Array:
        """What the network is given; encoders normalise inside."""
        return resnet.normalise(pictures_01) if task.normalise_twice else pictures_01

    def init(key: jax.Array, batch: Batch) -> Variables:
        return net.init(key, _unit(batch["image"]), train=False)

    def loss(variables: Variables, key: jax.Array, batch: Batch) -> tuple[jax.Array, Aux]:
        images = jitter_views(key, batch["id"], _unit(batch["image"])[:, None], task.jitter)[:, 0]
        logits, updated = net.apply(
            variables, seen(images), train=True, mutable=["batch_stats"], **still
        )
        label = batch["label"]
        logits = sampling.resize_bilinear(logits, *label.shape[1:])
        losses, valid = cross_entropy.cross_entropy(logits, label, smoothing=task.label_smoothing)
        each = valid if weights is None else cross_entropy.class_weights_of(label, weights)
        value = cross_entropy.weighted_mean(losses, each.astype(jnp.float32))
        hits = (jnp.argmax(logits, axis=-1) == label) & valid
        accuracy = jnp.sum(hits) / jnp.maximum(jnp.sum(valid), 1)
        # A model without statistics of its own (a probe on frozen stages) keeps those it has.
        stats = updated.get("batch_stats", variables.get("batch_stats", {}))
        return value, Aux(stats, {"cross_entropy": value, "training_accuracy": accuracy})

    def predicted(variables: Variables, batch: Batch) -> jax.Array:
        """Train ids, int32 [B, L_H, L_W], at the size of the labels."""
        images = seen(_unit(batch["image"]))
        maps = class_scores(
            lambda x: net.apply(variables, x, train=False),
            images,
            flip=task.eval.flip,
            window=tuple(task.eval.window),
        )
        maps = sampling.resize_each(maps, batch["label_size"], *batch["label"].shape[1:])
        return jnp.argmax(maps, axis=-1).astype(jnp.int32)

    def evaluate(variables: Variables, batch: Batch) -> Sums:
        mask = batch["mask"]
        label = jnp.where(mask[:, None, None], batch["label"], cross_entropy.IGNORE)
        size = jnp.where(mask[:, None], batch["label_size"], 0)
        matrices = confusion.confusion_and_ignored(
            predicted(variables, batch), label, size, classes
        )
        sums: Sums = {
            "confusion": jnp.sum(matrices[:, :classes], axis=0),
            "images": jnp.sum(mask, dtype=jnp.int32),
        }
        if table.paper_classes:
            sums |= confusion.paper_sums(matrices, mask, table.paper_classes, unlabelled)
        return sums

    def summarise(sums: dict[str, Any]) -> dict[str, float]:
        return scores.summarise(sums, table) | {"eval_images": sums["images"]}

    def visualise(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        answer = predicted(variables, batch)
        return label_pictures.panels(batch, answer, table)

    def predict(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        return {"label": predicted(variables, batch).astype(jnp.uint8)}

    return Task(init, loss, evaluate, summarise, visualise, predict)


def _network(model: Any, classes: int) -> SegmentationNet:
    return SegmentationNet(
        encoder_name=model.encoder,
        classes=classes,
        decoder_name=model.decoder,
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        dpt_features=model.get("dpt_features", SegmentationNet.dpt_features),
        output_stride=model.output_stride,
        probe_stages=tuple(model.probe_stages),
        normalisation=model.normalisation,
        dtype=jnp.dtype(model.compute_dtype),
    )


def _unit(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 255


def class_weights(setting: Any, classes: tuple[str, ...], source: Any) -> np.ndarray | None:
    """Weights of the classes in the loss, float32 [C], or None for equal ones.

    Args:
      setting: config.task.class_weights: (), one number a class, ('median_frequency',): the
        median of the classes' frequencies over the class's own, a class's frequency being its share
        of the pixels of those pictures that show it (Eigen and Fergus, ICCV 2015, section 6.3.2),
        or ('root_median_frequency',): the square roots of these.
      classes: their names.
      source: the training set, for the last two.

    Raises:
      ValueError: for another count of numbers.
    """
    if list(setting) in (["median_frequency"], ["root_median_frequency"]):
        frequency = class_frequencies(source, len(classes))
        present = frequency > 0
        weights = np.zeros(len(classes), np.float32)
        weights[present] = np.median(frequency[present]) / frequency[present]
        return weights if setting[0] == "median_frequency" else np.sqrt(weights)
    if not len(setting):
        return None
    if len(setting) != len(classes):
        raise ValueError(
            f"config.task.class_weights has {len(setting)} numbers; the classes are "
            f"{len(classes)}: {', '.join(classes)}"
        )
    return np.asarray(setting, np.float32)


def class_frequencies(source: Any, classes: int) -> np.ndarray:
    """Share of each class in the labelled pixels of those pictures that show it, float64 [C].

    Reads every label once, and none of the pictures. 0 for a class that no picture shows.
    """
    pixels, labelled = np.zeros(classes), np.zeros(classes)
    logging.info("config.task.class_weights: counting the classes of %d pictures", len(source))
    for index in range(len(source)):
        counts = np.bincount(source.label(index).ravel(), minlength=256)[:classes]
        pixels += counts
        labelled += np.where(counts > 0, counts.sum(), 0)
    return pixels / np.maximum(labelled, 1)
