"""Semantic segmentation from labelled pictures: what pre-trained encoders are judged by."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from geoseg_jax.core import rules
from geoseg_jax.core.rules import choice, each, flag, number, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.models import deeplab, is_vit, resnet
from geoseg_jax.models.segmentation import DECODERS, SegmentationNet
from geoseg_jax.ops import confusion, cross_entropy, sampling
from geoseg_jax.scoring import scores
from geoseg_jax.tasks import label_pictures
from geoseg_jax.tasks.base import EACH, Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.inference import class_scores
from geoseg_jax.tasks.jitter import jitter_views
from geoseg_jax.tasks.precision import activations
from geoseg_jax.tasks.settings import (
    DECODER,
    ENCODER,
    JITTER,
    check_decoder,
    check_jitter,
    frozen_kwargs,
    optional,
)

_USUAL = deeplab.Variant()
# Runs of old lack what is optional.
SETTINGS = {
    **ENCODER,
    **DECODER,
    "model.decoder": Setting(choice(*DECODERS), "decoder from the encoder's stages to classes"),
    **JITTER,
    "task.label_smoothing": Setting(number(0.0, 0.99), "share of the target for all classes"),
    "task.class_weights": Setting(rules.class_weights, "class weights, or how to compute them"),
    "task.normalise_twice": Setting(flag, "normalise pictures twice, a fault of the paper's code"),
    "task.eval.flip": Setting(flag, "average with the mirror image's prediction"),
    "task.eval.window": Setting(each(whole(32)), "size of a sliding window, pixels; () for none"),
    "model.output_stride": Setting(choice(8, 16), "stride of deeplabv3's last stage"),
    "model.probe_stages": Setting(each(choice(2, 4, 8, 16, 32), 1), "strides that linear reads"),
    **optional(
        {
            "model.dpt_features": DECODER["model.dpt_features"],
            "model.norm_momentum": Setting(
                number(0.0, 1.0, open_below=True), "momentum of the encoder's batch statistics"
            ),
            "model.deeplab.convolution": Setting(flag, "see models/deeplab.Variant"),
            "model.deeplab.align_corners": Setting(flag, "how deeplabv3 up-samples"),
            "model.deeplab.init": Setting(
                choice(*deeplab.KERNEL_INITS), "initialisation of kernels"
            ),
            "model.deeplab.norm_momentum": Setting(
                number(0.0, 1.0, open_below=True), "momentum of deeplabv3's batch statistics"
            ),
        }
    ),
}


def make(config: Any, data: Any) -> Task:
    """Makes the task for one configuration; reads config.task, config.model and config.transfer.

    data: its train source has `table`, the label table (see data.labels.LabelTable).
    """
    return _Segmentation(config, data.train)


class _Segmentation(Task):
    """Segmentation as one configuration asks for it."""

    def __init__(self, config: Any, source: Any):
        self.task, self.table = config.task, source.table
        classes = source.table.classes
        self.net = _network(config.model, len(classes))
        self.frozen_kwargs = frozen_kwargs(config)
        # An output for pixels of no class, which the loss never asks for: the paper's 34 have one.
        self.unlabelled = classes.index("unlabeled") if "unlabeled" in classes else None
        weights = class_weights(self.task.class_weights, classes, source)
        self.constants = None if weights is None else {"class_weights": weights}
        self.holds = (repr(self.table), weights is not None)

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, to_unit_range(batch["image"]), train=False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        task, label = self.task, batch["label"]
        constants = variables.get("constants", self.constants) or {}
        variables = {name: variables[name] for name in variables if name != "constants"}
        images = jitter_views(
            key, batch["id"], to_unit_range(batch["image"])[:, None], task.jitter
        )[:, 0]
        logits, updated = self.net.apply(
            variables, self._seen(images), train=True, mutable=["batch_stats"], **self.frozen_kwargs
        )
        logits = sampling.resize_bilinear(logits, *label.shape[1:])
        value = cross_entropy.mean(
            *cross_entropy.cross_entropy(
                logits,
                label,
                smoothing=task.label_smoothing,
                class_weights=constants.get("class_weights"),
            )
        )
        known = label < len(self.table.classes)
        hits = jnp.argmax(logits, axis=-1) == label  # never of an ignored pixel
        accuracy = jnp.sum(hits) / jnp.maximum(jnp.sum(known), 1)
        # A model without statistics of its own (a probe on frozen stages) keeps those it has.
        stats = updated.get("batch_stats", variables.get("batch_stats", {}))
        return value, Aux(stats, {"cross_entropy": value, "training_accuracy": accuracy})

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        mask, table, classes = batch["mask"], self.table, len(self.table.classes)
        label = jnp.where(mask[:, None, None], batch["label"], cross_entropy.IGNORE)
        size = jnp.where(mask[:, None], batch["label_size"], 0)
        answer = self._answer(variables, batch)
        matrices = confusion.confusion_and_ignored(answer, label, size, classes)
        sums: Sums = {
            "confusion": jnp.sum(matrices[:, :classes], axis=0),
            "images": jnp.sum(mask, dtype=jnp.int32),
            # Of every picture by itself, padding marked: geoseg_jax.training.judged keeps them.
            f"{EACH}confusion": matrices[:, :classes],
            f"{EACH}id": jnp.where(mask, batch["id"], -1),
        }
        if table.paper_classes:
            sums |= confusion.paper_sums(matrices, mask, table.paper_classes, self.unlabelled)
        return sums

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return scores.summarise(sums, self.table) | {"eval_images": sums["images"]}

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        return label_pictures.panels(batch, self._answer(variables, batch), self.table)

    def predict(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        return {"label": self._answer(variables, batch).astype(jnp.uint8)}

    def network(self, variables: Variables, batch: Batch) -> jax.Array:
        return self.net.apply(variables, self._seen(to_unit_range(batch["image"])), train=False)

    def _answer(self, variables: Variables, batch: Batch) -> jax.Array:
        """Returns train ids, int32 [B, L_H, L_W], at the size of the labels."""
        maps = class_scores(
            lambda x: self.net.apply(variables, x, train=False),
            self._seen(to_unit_range(batch["image"])),
            flip=self.task.eval.flip,
            window=tuple(self.task.eval.window),
        )
        maps = sampling.resize_each(maps, batch["label_size"], *batch["label"].shape[1:])
        return jnp.argmax(maps, axis=-1).astype(jnp.int32)

    def _seen(self, images: jax.Array) -> jax.Array:
        """Prepares pictures in [0, 1] for the network; encoders normalise inside."""
        return resnet.normalise(images) if self.task.normalise_twice else images


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
        norm_momentum=model.get("norm_momentum", SegmentationNet.norm_momentum),
        variant=deeplab.Variant(**model.get("deeplab", {})),
        dtype=activations(model),
    )


def class_weights(setting: Any, classes: tuple[str, ...], source: Any) -> np.ndarray | None:
    """Returns weights of the classes in the loss, float32 [C], or None for equal ones.

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
    """Counts each class's share of the labelled pixels of pictures that show it, float64 [C].

    Reads every label once, and none of the pictures. 0 for a class that no picture shows.
    """
    pixels, labelled = np.zeros(classes), np.zeros(classes)
    logging.info("config.task.class_weights: counting the classes of %d pictures", len(source))
    for index in range(len(source)):
        counts = np.bincount(source.label(index).ravel(), minlength=256)[:classes]
        pixels += counts
        labelled += np.where(counts > 0, counts.sum(), 0)
    return pixels / np.maximum(labelled, 1)


def check(flat: Flat) -> None:
    """Refuses settings of a decoder or an encoder that this run does not have.

    Raises:
      ConfigError: naming the first.
    """
    check_jitter(flat)
    check_decoder(flat)
    other = flat["model.decoder"] != "deeplabv3"
    fixed = is_vit(flat["model.encoder"]) or "encoder" in flat.get("transfer.frozen", ())
    refuse(
        flat,
        *(
            (
                f"model.deeplab.{name}",
                other and flat.get(f"model.deeplab.{name}", usual) != usual,
                f"has no effect without deeplabv3; set it to {usual!r}",
            )
            for name, usual in _USUAL._asdict().items()
        ),
        (
            "model.norm_momentum",
            fixed and flat.get("model.norm_momentum", 0.1) != 0.1,
            "has no effect without an encoder with batch statistics that learn; set it to 0.1",
        ),
    )


SPEC = TaskSpec(make, SETTINGS, check, predicts="label")
