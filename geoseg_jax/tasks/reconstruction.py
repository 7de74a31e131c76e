"""Inpainting: a picture with holes in, the picture out.

The control among the pre-trainings of Lao et al. (ECCV 2024): it predicts as many numbers a pixel
as depth does and more, from pictures of the same kind by the same network, and has no geometry in
it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models import resnet
from geoseg_jax.models.reconstruction import ReconstructionNet
from geoseg_jax.ops import inpainting
from geoseg_jax.tasks import pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, Variables

# The answers that are judged, by the suffix that their numbers carry in eval.json: the network's,
# the median colour of what is seen of the picture, which is the best single colour by what is
# measured here, and the mean of the window around each pixel of a hole.
PREDICTION, CONSTANT, SURROUNDINGS = "", "_constant", "_surroundings"
_WINDOW = 3  # side of that window, in holes
_EVAL_KEY = 0  # evaluation draws the same holes in the same picture, every time


def make(config: Any, data: Any = None) -> Task:
    """The task for one configuration; reads config.task and config.model."""
    del data  # every batch carries all that this task needs
    task, model = config.task, config.model
    net = ReconstructionNet(
        encoder_name=model.encoder,
        decoder_name=model.decoder,
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        dpt_features=model.dpt_features,
        normalisation=model.normalisation,
        dtype=jnp.dtype(model.compute_dtype),
    )
    # What fills a hole becomes 0 where the encoder normalises, as the padding of a convolution is.
    filling = jnp.asarray(resnet.NORMALISATIONS[model.normalisation][0], jnp.float32)

    def holes(key: jax.Array, batch: Batch) -> jax.Array:
        """bool [B, H, W]; those of an example follow from its id, wherever it lies in the batch."""
        height, width = batch["image"].shape[1:3]
        least, most = task.hole_share
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["id"])
        draw = lambda k: inpainting.draw_holes(  # noqa: E731
            k, height, width, least=least, most=most, size=task.hole_size
        )
        return jax.vmap(draw)(keys)

    def with_holes(image: jax.Array, hole: jax.Array) -> jax.Array:
        return jnp.where(hole[..., None], filling, image)

    def init(key: jax.Array, batch: Batch) -> Variables:
        return net.init(key, _unit(batch["image"]), train=False)

    def loss(variables: Variables, key: jax.Array, batch: Batch) -> tuple[jax.Array, Aux]:
        image, hole = _unit(batch["image"]), holes(key, batch)
        answer, updated = net.apply(
            variables, with_holes(image, hole), train=True, mutable=["batch_stats"]
        )
        error = jnp.mean(jnp.abs(answer - image), axis=-1)
        within = jnp.sum(error * hole) / jnp.maximum(jnp.sum(hole), 1)
        everywhere = jnp.mean(error)
        value = everywhere if task.loss_region == "image" else within
        terms = {"l1_image": everywhere, "l1_holes": within}
        # Transformers have no statistics.
        return value, Aux(updated.get("batch_stats", variables.get("batch_stats", {})), terms)

    def answers(variables: Variables, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """The network's picture, and the holes that it was given."""
        hole = holes(jax.random.key(_EVAL_KEY), batch)
        given = with_holes(_unit(batch["image"]), hole)
        return net.apply(variables, given, train=False), hole

    def evaluate(variables: Variables, batch: Batch) -> Sums:
        answer, hole = answers(variables, batch)
        return judge(_unit(batch["image"]), answer, hole, batch["mask"], _WINDOW * task.hole_size)

    def visualise(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        answer, hole = answers(variables, batch)
        image = _unit(batch["image"])
        return {
            "input": batch["image"],
            "with holes": pictures.to_uint8(with_holes(image, hole)),
            "holes filled": pictures.to_uint8(jnp.where(hole[..., None], answer, image)),
            "reconstruction": pictures.to_uint8(answer),
        }

    return Task(init, loss, evaluate, summarise, visualise)


def judge(
    image: jax.Array, answer: jax.Array, hole: jax.Array, mask: jax.Array, window: int
) -> Sums:
    """Sums over the pictures that have a hole and whose mask is True.

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
    """Means over the pictures; colours are of [0, 1].

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


def _unit(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 255
