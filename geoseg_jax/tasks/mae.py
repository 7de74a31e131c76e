"""Masked autoencoding: most patches of a picture are hidden, their pixels are predicted.

He, Chen, Xie, Li, Dollar, Girshick, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022
(arXiv:2111.06377).
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.core.rules import flag, number, whole
from geoseg_jax.core.setting import Flat, Setting, refuse
from geoseg_jax.models import is_vit, resnet
from geoseg_jax.models.mae import MaeNet
from geoseg_jax.models.vit import PATCH, patchify
from geoseg_jax.ops import patches
from geoseg_jax.tasks import pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import keys_of, to_unit_range
from geoseg_jax.tasks.precision import activations
from geoseg_jax.tasks.settings import ENCODER, check_size, check_trains_all

SETTINGS = ENCODER | {
    "task.mask_ratio": Setting(number(0.0, 0.99, open_below=True), "share of hidden patches"),
    "task.normalise_patches": Setting(flag, "predict patches by their own mean and deviation"),
    "model.mae_depth": Setting(whole(1), "blocks of the decoder"),
    "model.mae_width": Setting(whole(4), "channels of the decoder"),
    "model.mae_heads": Setting(whole(1), "attention heads of the decoder"),
}
_EVAL_KEY = 0  # evaluation hides the same patches of the same picture, every time


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task and config.model."""
    del data  # every batch carries all that this task needs
    return _Mae(config)


class _Mae(Task):
    """Masked autoencoding as one configuration asks for it."""

    holds = ()

    def __init__(self, config: Any):
        self.task, self.net = config.task, _network(config.model)
        self.normalisation = config.model.normalisation

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        keep, _ = self._choose(key, batch)
        return self.net.init(key, to_unit_range(batch["image"]), keep)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        answer, cut, hidden = self._answer(variables, key, batch)
        error = jnp.mean(jnp.square(answer - self._target(cut)), axis=-1)
        # As many patches are hidden in every picture: the mean over all is that over pictures.
        value = jnp.sum(error * hidden) / jnp.sum(hidden)
        # What is seen has no part in the loss (section 3), and is only looked at.
        seen = jnp.sum(error * ~hidden) / jnp.sum(~hidden)
        return value, Aux(variables.get("batch_stats", {}), {"mse": value, "mse_seen": seen})

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        answer, cut, hidden = self._answer(variables, jax.random.key(_EVAL_KEY), batch)
        normalised = self.task.normalise_patches
        return judge(answer, self._target(cut), hidden, batch["mask"], normalised=normalised)

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        return summarise(sums)

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        answer, cut, hidden = self._answer(variables, jax.random.key(_EVAL_KEY), batch)
        if self.task.normalise_patches:
            # Mean and deviation of a hidden patch are not predicted: they are the true ones.
            answer = patches.restore_patches(answer, cut)
        covered, size = hidden[..., None], batch["image"].shape[1:3]
        return {
            "input": batch["image"],
            "seen": self._picture(jnp.where(covered, 0.0, cut), *size),
            "prediction": self._picture(jnp.where(covered, answer, cut), *size),
        }

    def _answer(
        self, variables: Variables, key: jax.Array, batch: Batch
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns prediction and true patches, [B, L, 768], and which were hidden, bool [B, L].

        Pixels of the true ones are as the encoder's normalisation has them.
        """
        image, (keep, hidden) = to_unit_range(batch["image"]), self._choose(key, batch)
        answer = self.net.apply(variables, image, keep)
        return answer, patchify(resnet.normalise(image, self.normalisation)), hidden

    def _choose(self, key: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Returns patches that are seen, int32 [B, K], and which are hidden, bool [B, L]."""
        height, width = batch["image"].shape[1:3]
        count = (height // PATCH) * (width // PATCH)
        kept = patches_kept(count, self.task.mask_ratio)
        keys = keys_of(key, batch["id"])
        return jax.vmap(lambda k: patches.choose_patches(k, count, kept))(keys)

    def _target(self, cut: jax.Array) -> jax.Array:
        """Returns what to predict: by default patches, each by its own mean and deviation."""
        return patches.normalise_patches(cut) if self.task.normalise_patches else cut

    def _picture(self, cut: jax.Array, height: int, width: int) -> jax.Array:
        """Draws normalised patches as pictures, uint8 [B, height, width, 3]."""
        mean, std = resnet.NORMALISATIONS[self.normalisation]
        whole = patches.unpatchify(cut, height, width, PATCH)
        return pictures.to_uint8(whole * jnp.asarray(std) + jnp.asarray(mean))


def _network(model: Any) -> MaeNet:
    return MaeNet(
        encoder_name=model.encoder,
        depth=model.mae_depth,
        width=model.mae_width,
        heads=model.mae_heads,
        normalisation=model.normalisation,
        dtype=activations(model),
    )


def patches_kept(count: int, mask_ratio: float) -> int:
    """Returns how many of `count` patches are seen: at least one is, and at least one is not.

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
    """Returns sums over the pictures whose mask is True.

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
    """Returns [B, 1, 768], a patch of the mean colour of the patches that are seen, bool [B, L]."""
    colour = jnp.mean(target.reshape(*target.shape[:2], -1, 3), axis=2)
    weight = seen[..., None] / jnp.sum(seen, axis=-1)[:, None, None]
    colour = jnp.sum(colour * weight, axis=1, keepdims=True)
    return jnp.tile(colour, target.shape[-1] // 3)


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Averages over pictures, in the units of the loss: variances of a patch, where normalised."""
    images = sums["images"]
    means = {name: sums[name] / images for name in ("mse", "mse_constant")}
    return means | {"eval_images": images}


def check(flat: Flat) -> None:
    """Refuses anything but a ViT, pictures of whole patches, and a width that its heads divide.

    Raises:
      ConfigError: naming the first.
    """
    check_trains_all(flat)
    width, heads = flat["model.mae_width"], flat["model.mae_heads"]
    refuse(
        flat,
        (
            "model.encoder",
            not is_vit(flat["model.encoder"]),
            "can't leave patches out, as config.task.name='mae' asks for; set it to a ViT, e.g. "
            "'vit_b16'",
        ),
        (
            "model.mae_width",
            width % heads > 0 or width % 4 > 0,
            f"must be a multiple of 4 and of config.model.mae_heads={heads}",
        ),
    )
    check_size(flat, PATCH, "the side of a patch")


SPEC = TaskSpec(make, SETTINGS, check)
