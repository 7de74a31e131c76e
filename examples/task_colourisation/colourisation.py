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
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.pictures import to_uint8
from geoseg_jax.tasks.settings import DECODER, ENCODER, check_trains_all


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.model."""
    del data  # every batch carries all that this task needs
    return _Colourisation(config.model)


class _Colourisation(Task):
    """Colourisation by the network that one configuration asks for."""

    holds = ()  # nothing of the data

    def __init__(self, model: Any):
        self.net = ReconstructionNet(
            encoder_name=model.encoder,
            decoder_name=model.decoder,
            decoder_channels=tuple(model.decoder_channels),
            decoder_padding=model.decoder_padding,
            dpt_features=model.dpt_features,
            scales=1,
            normalisation=model.normalisation,
            dtype=jnp.dtype(model.compute_dtype),
        )

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        return self.net.init(key, grey(to_unit_range(batch["image"])), train=False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        del key, progress  # nothing is drawn, and nothing changes on the way
        image = to_unit_range(batch["image"])
        (answer,), updated = self.net.apply(
            variables, grey(image), train=True, mutable=["batch_stats"]
        )
        value = jnp.mean(jnp.abs(answer - image))
        return value, Aux(updated.get("batch_stats", {}), {"l1": value})

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        image, mask = to_unit_range(batch["image"]), batch["mask"]
        answers = {"l1": self._colours(variables, image), "l1_constant": grey(image)}
        errors = {k: jnp.mean(jnp.abs(a - image), axis=(1, 2, 3)) for k, a in answers.items()}
        sums = {name: jnp.sum(jnp.where(mask, error, 0)) for name, error in errors.items()}
        return sums | {"images": jnp.sum(mask, dtype=jnp.int32)}

    def summarise(self, sums: dict[str, float]) -> dict[str, float]:
        means = {name: sums[name] / sums["images"] for name in ("l1", "l1_constant")}
        return means | {"eval_images": sums["images"]}

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        image = to_unit_range(batch["image"])
        shown = {"grey": grey(image), "answer": self._colours(variables, image)}
        return {"input": batch["image"]} | {k: to_uint8(v) for k, v in shown.items()}

    def _colours(self, variables: Variables, image: jax.Array) -> jax.Array:
        return self.net.apply(variables, grey(image), train=False)[0]


def grey(image: jax.Array) -> jax.Array:
    """Takes the colours out of [..., 3] RGB in [0, 1]; the shape stays, as encoders want it."""
    luma = jnp.sum(image * jnp.asarray(LUMA, image.dtype), axis=-1, keepdims=True)
    return jnp.broadcast_to(luma, image.shape)


SPEC = TaskSpec(make, ENCODER | DECODER, check_trains_all)
