"""Colourisation: a picture in grey, its colours out. A pre-training task of one's own, in one file.

After Zhang, Isola, Efros, "Colorful Image Colorization", ECCV 2016, by regression where they
classify. See colourise_synthetic.py beside it for a config.
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models.reconstruction import ReconstructionNet
from geoseg_jax.ops.color import LUMA
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import unit
from geoseg_jax.tasks.pictures import to_uint8
from geoseg_jax.tasks.settings import DECODER, ENCODER, check_trains_all


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.model."""
    del data  # every batch carries all that this task needs
    net = ReconstructionNet(
        encoder_name=config.model.encoder,
        decoder_name=config.model.decoder,
        decoder_channels=tuple(config.model.decoder_channels),
        decoder_padding=config.model.decoder_padding,
        dpt_features=config.model.dpt_features,
        scales=1,
        normalisation=config.model.normalisation,
        dtype=jnp.dtype(config.model.compute_dtype),
    )

    def init(key: jax.Array, batch: Batch) -> Variables:
        return net.init(key, grey(unit(batch["image"])), train=False)

    def loss(variables: Variables, key: jax.Array, batch: Batch) -> tuple[jax.Array, Aux]:
        del key  # nothing is drawn
        image = unit(batch["image"])
        (answer,), updated = net.apply(variables, grey(image), train=True, mutable=["batch_stats"])
        value = jnp.mean(jnp.abs(answer - image))
        return value, Aux(updated.get("batch_stats", {}), {"l1": value})

    def colours(variables: Variables, batch: Batch) -> jax.Array:
        return net.apply(variables, grey(unit(batch["image"])), train=False)[0]

    def evaluate(variables: Variables, batch: Batch) -> Sums:
        image, mask = unit(batch["image"]), batch["mask"]
        answers = {"l1": colours(variables, batch), "l1_constant": grey(image)}
        errors = {k: jnp.mean(jnp.abs(a - image), axis=(1, 2, 3)) for k, a in answers.items()}
        sums = {name: jnp.sum(jnp.where(mask, error, 0)) for name, error in errors.items()}
        return sums | {"images": jnp.sum(mask, dtype=jnp.int32)}

    def visualise(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        seen, answer = grey(unit(batch["image"])), colours(variables, batch)
        return {"input": batch["image"], "grey": to_uint8(seen), "answer": to_uint8(answer)}

    return Task(init, loss, evaluate, summarise, visualise, holds=())


def grey(image: jax.Array) -> jax.Array:
    """Takes the colours out of [..., 3] RGB in [0, 1]; the shape stays, as encoders want it."""
    luma = jnp.sum(image * jnp.asarray(LUMA, image.dtype), axis=-1, keepdims=True)
    return jnp.broadcast_to(luma, image.shape)


def summarise(sums: dict[str, float]) -> dict[str, float]:
    """Means over the pictures: the network's error, and that of leaving them grey."""
    means = {name: sums[name] / sums["images"] for name in ("l1", "l1_constant")}
    return means | {"eval_images": sums["images"]}


SPEC = TaskSpec(make, ENCODER | DECODER, check_trains_all)
