"""Inpainting: a picture with holes in, the picture out.

The control among the pre-trainings of Lao et al. (ECCV 2024): it predicts as many numbers a pixel
as depth does and more, from pictures of the same kind by the same network, and has no geometry in
it. As in their public code the error of each scale, enlarged to the picture, counts four times that
of the next finer one: the coarse ones are what the encoder's deep stages are needed for.
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.core.rules import SHARE, choice, each, number, odd, span
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.models import resnet
from geoseg_jax.models.reconstruction import ReconstructionNet
from geoseg_jax.ops import inpainting
from geoseg_jax.tasks import pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import keys_of, to_unit_range
from geoseg_jax.tasks.precision import activations
from geoseg_jax.tasks.settings import DECODER, ENCODER, check_decoder, check_trains_all

SETTINGS = {
    **ENCODER,
    **DECODER,
    "task.hole_share": Setting(span(SHARE), "least and most share of pixels that start a hole"),
    "task.hole_size": Setting(odd, "side of a hole, pixels"),
    "task.loss_region": Setting(choice("image", "holes"), "where the loss is computed"),
    "task.scale_weights": Setting(each(number(0.0), least=1), "weights of scales, finest first"),
}
# The answers that are judged, by the suffix that their numbers carry in eval.json: the network's,
# the median colour of what is seen of the picture, which is the best single colour by what is
# measured here, and the mean of the window around each pixel of a hole.
PREDICTION, CONSTANT, SURROUNDINGS = "", "_constant", "_surroundings"
_WINDOW = 3  # side of that window, in holes
_EVAL_KEY = 0  # evaluation draws the same holes in the same picture, every time


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task and config.model."""
    del data  # every batch carries all that this task needs
    return _Reconstruction(config)


class _Reconstruction(Task):
    """Inpainting as one configuration asks for it."""

    holds = ()

    def __init__(self, config: Any):
        self.task = config.task
        self.net = _network(config.model, len(config.task.scale_weights))
        # What fills a hole is 0 after the encoder's normalisation, as a convolution's padding is.
        colour, _ = resnet.NORMALISATIONS[config.model.normalisation]
        self.filling = jnp.asarray(colour, jnp.float32)

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, to_unit_range(batch["image"]), train=False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        image, hole = to_unit_range(batch["image"]), self._holes(key, batch)
        answers, updated = self.net.apply(
            variables, self._with_holes(image, hole), train=True, mutable=["batch_stats"]
        )
        errors = jnp.stack([jnp.mean(jnp.abs(a - image), axis=-1) for a in answers])
        within = jnp.sum(errors * hole, axis=(1, 2, 3)) / jnp.maximum(jnp.sum(hole), 1)
        everywhere = jnp.mean(errors, axis=(1, 2, 3))
        counted = everywhere if self.task.loss_region == "image" else within
        value = jnp.sum(counted * jnp.asarray(self.task.scale_weights, jnp.float32))
        terms = {"l1_image": everywhere[0], "l1_holes": within[0]}  # of the finest
        # Transformers have no statistics.
        return value, Aux(updated.get("batch_stats", variables.get("batch_stats", {})), terms)

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        answer, hole = self._answer(variables, batch)
        window = _WINDOW * self.task.hole_size
        return judge(to_unit_range(batch["image"]), answer, hole, batch["mask"], window)

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        answer, hole = self._answer(variables, batch)
        image = to_unit_range(batch["image"])
        return {
            "input": batch["image"],
            "with holes": pictures.to_uint8(self._with_holes(image, hole)),
            "holes filled": pictures.to_uint8(jnp.where(hole[..., None], answer, image)),
            "reconstruction": pictures.to_uint8(answer),
        }

    def _answer(self, variables: Variables, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Returns the network's picture, and the holes that it was given."""
        hole = self._holes(jax.random.key(_EVAL_KEY), batch)
        given = self._with_holes(to_unit_range(batch["image"]), hole)
        return self.net.apply(variables, given, train=False)[0], hole

    def _holes(self, key: jax.Array, batch: Batch) -> jax.Array:
        """Returns bool [B, H, W]."""
        height, width = batch["image"].shape[1:3]
        least, most = self.task.hole_share
        options = {"least": least, "most": most, "size": self.task.hole_size}
        keys = keys_of(key, batch["id"])
        return jax.vmap(lambda k: inpainting.draw_holes(k, height, width, **options))(keys)

    def _with_holes(self, image: jax.Array, hole: jax.Array) -> jax.Array:
        return jnp.where(hole[..., None], self.filling, image)


def _network(model: Any, scales: int) -> ReconstructionNet:
    return ReconstructionNet(
        encoder_name=model.encoder,
        decoder_name=model.decoder,
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        dpt_features=model.dpt_features,
        scales=scales,
        normalisation=model.normalisation,
        dtype=activations(model),
    )


def judge(
    image: jax.Array, answer: jax.Array, hole: jax.Array, mask: jax.Array, window: int
) -> Sums:
    """Returns sums over the pictures that have a hole and whose mask is True.

    Args:
      image, answer: float [B, H, W, 3] in [0, 1]. hole: bool [B, H, W]. mask: bool [B].
      window: side in pixels of what counts as the surroundings of a pixel.

    Returns:
      For each answer (see PREDICTION) l1, the mean absolute error within a picture's holes;
      l1_image, that of the prediction over all of a picture; holes, the share of its pixels;
      images, the number of pictures.
    """
    counts = mask & jnp.any(hole, axis=(1, 2))
    known = ~hole
    constant = inpainting.median_colour(image, known)
    around = inpainting.mean_of_surroundings(image, known, window)
    pixels = jnp.maximum(jnp.sum(hole, axis=(1, 2)), 1)

    def total(per_image: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(counts, per_image, 0))

    sums: Sums = {}
    for suffix, given in ((PREDICTION, answer), (CONSTANT, constant), (SURROUNDINGS, around)):
        error = jnp.mean(jnp.abs(given - image), axis=-1)
        sums[f"l1{suffix}"] = total(jnp.sum(error * hole, axis=(1, 2)) / pixels)
    sums["l1_image"] = total(jnp.mean(jnp.abs(answer - image), axis=(1, 2, 3)))
    sums["holes"] = total(jnp.mean(hole, axis=(1, 2)))
    return sums | {"images": jnp.sum(counts, dtype=jnp.int32)}


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Returns means over the pictures; colours are of [0, 1].

    Raises:
      ValueError: where no picture has a hole.
    """
    images = sums["images"]
    if images == 0:
        raise ValueError(
            "no evaluated picture has a hole: raise config.task.hole_share, or take larger pictures"
        )
    means = {name: value / images for name, value in sums.items() if name != "images"}
    return means | {"eval_images": images}


def check(flat: Flat) -> None:
    """Refuses frozen parts, a loss without weight, and decoders that the encoder can't feed.

    Raises:
      ConfigError: naming the first.
    """
    check_trains_all(flat)
    check_decoder(flat)
    weightless = not any(flat["task.scale_weights"])
    refuse(flat, ("task.scale_weights", weightless, "trains nothing; have one above 0"))


SPEC = TaskSpec(make, SETTINGS, check)
