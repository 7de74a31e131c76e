"""Masked autoencoding: most patches of a picture are hidden, their pixels are predicted.

He, Chen, Xie, Li, Dollar, Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022
(arXiv:2111.06377).
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models import resnet
from geoseg_jax.models.mae import MaeNet
from geoseg_jax.models.vit import PATCH, patchify
from geoseg_jax.ops import patches
from geoseg_jax.tasks import pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, Variables

_EVAL_KEY = 0  # evaluation hides the same patches of the same picture, every time


def make(config: Any, data: Any = None) -> Task:
    """The task for one configuration; reads config.task and config.model.

    Raises:
      ValueError: for an encoder that is no ViT.
    """
    del data  # every batch carries all that this task needs
    task, model = config.task, config.model
    net = MaeNet(
        encoder_name=model.encoder,
        depth=model.mae_depth,
        width=model.mae_width,
        heads=model.mae_heads,
        normalisation=model.normalisation,
        dtype=jnp.dtype(model.compute_dtype),
    )

    def choose(key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Patches that are seen, int32 [B, K], and which are hidden, bool [B, L].

        Those of an example follow from its id, wherever it lies in the batch.
        """
        height, width = batch["image"].shape[1:3]
        count = (height // PATCH) * (width // PATCH)
        kept = patches_kept(count, task.mask_ratio)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["id"])
        return jax.vmap(lambda k: patches.choose_patches(k, count, kept))(keys)

    def targets(image: jax.Array) -> jax.Array:
        """[B, L, 768]: what is to be predicted, the pixels as the encoder's normalisation has them,
        and by default each patch by its own mean and deviation.
        """
        cut = patchify(resnet.normalise(image, model.normalisation))
        return patches.normalise_patches(cut) if task.normalise_patches else cut

    def init(key: jax.Array, batch: Batch) -> Variables:
        keep, _ = choose(key, batch)
        return net.init(key, _unit(batch["image"]), keep)

    def loss(variables: Variables, key: jax.Array, batch: Batch) -> tuple[jax.Array, Aux]:
        image, (keep, hidden) = _unit(batch["image"]), choose(key, batch)
        error = jnp.mean(jnp.square(net.apply(variables, image, keep) - targets(image)), axis=-1)
        # As many patches are hidden in every picture: the mean over all is that over pictures.
        value = jnp.sum(error * hidden) / jnp.sum(hidden)
        # What is seen has no part in the loss (section 3), and is only looked at.
        seen = jnp.sum(error * ~hidden) / jnp.sum(~hidden)
        return value, Aux(variables.get("batch_stats", {}), {"mse": value, "mse_seen": seen})

    def evaluate(variables: Variables, batch: Batch) -> Sums:
        image, (keep, hidden) = _unit(batch["image"]), choose(jax.random.key(_EVAL_KEY), batch)
        answer, given = net.apply(variables, image, keep), targets(image)
        return judge(answer, given, hidden, batch["mask"], normalised=task.normalise_patches)

    def visualise(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        image, (keep, hidden) = _unit(batch["image"]), choose(jax.random.key(_EVAL_KEY), batch)
        answer = net.apply(variables, image, keep)
        cut = patchify(resnet.normalise(image, model.normalisation))
        if task.normalise_patches:
            # Mean and deviation of a hidden patch are not predicted: they are the true ones.
            answer = patches.restore_patches(answer, cut)
        mean, std = resnet.NORMALISATIONS[model.normalisation]

        def picture(patch: jax.Array) -> jax.Array:
            whole = patches.unpatchify(patch, *image.shape[1:3], PATCH)
            return pictures.to_uint8(whole * jnp.asarray(std) + jnp.asarray(mean))

        covered = hidden[..., None]
        return {
            "input": batch["image"],
            "seen": picture(jnp.where(covered, 0.0, cut)),
            "prediction": picture(jnp.where(covered, answer, cut)),
        }

    return Task(init, loss, evaluate, summarise, visualise)


def patches_kept(count: int, mask_ratio: float) -> int:
    """How many of `count` patches are seen: at least one of each kind.

    Raises:
      ValueError: for a picture of a single patch.
    """
    if count < 2:
        raise ValueError(
            f"pictures of {count} patch of {PATCH}x{PATCH} can't be partly hidden; take larger ones"
        )
    return min(max(1, int(count * (1 - mask_ratio))), count - 1)


def judge(
    answer: jax.Array,
    target: jax.Array,
    hidden: jax.Array,
    mask: jax.Array,
    *,
    normalised: bool = True,
) -> Sums:
    """Sums over the pictures whose mask is True.

    Args:
      answer, target: float [B, L, 768], patches. hidden: bool [B, L]. mask: bool [B].
      normalised: whether each patch of the target has mean 0 and deviation 1.

    Returns:
      mse, the mean squared error over a picture's hidden patches; mse_constant, that of 0, the best
      answer of one number where patches are normalised, else of the mean colour of what is seen;
      images, the number of pictures.
    """

    def total(given: jax.Array) -> jax.Array:
        error = jnp.sum(jnp.mean(jnp.square(given - target), axis=-1) * hidden, axis=-1)
        return jnp.sum(jnp.where(mask, error / jnp.sum(hidden, axis=-1), 0))

    return {
        "mse": total(answer),
        "mse_constant": total(jnp.zeros(()) if normalised else _mean_colour(target, ~hidden)),
        "images": jnp.sum(mask, dtype=jnp.int32),
    }


def _mean_colour(target: jax.Array, seen: jax.Array) -> jax.Array:
    """[B, 1, 768]: a patch of the mean colour of the patches that are seen, bool [B, L]."""
    colour = jnp.mean(target.reshape(*target.shape[:2], -1, 3), axis=2)
    weight = seen[..., None] / jnp.sum(seen, axis=-1)[:, None, None]
    colour = jnp.sum(colour * weight, axis=1, keepdims=True)
    return jnp.tile(colour, target.shape[-1] // 3)


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Means over pictures, in the units of the loss: variances of a patch, where normalised."""
    images = sums["images"]
    means = {name: sums[name] / images for name in ("mse", "mse_constant")}
    return means | {"eval_images": images}


def _unit(images: jax.Array) -> jax.Array:
    return images.astype(jnp.float32) / 255
