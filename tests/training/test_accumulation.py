"""Gradients of a batch in parts: by hand, by a task without batch norm, and over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.presets import mae as preset
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import mae
from geoseg_jax.tasks.base import Aux
from geoseg_jax.training import accumulation, sharding
from geoseg_jax.training.accumulation import Thrift
from tests.models.weights import randomise
from tests.tasks.pictures_of_waves import make_batch


def loss(variables, key, batch, progress):
    """(w - x)^2 by examples; the statistic goes half way to the mean of what it sees."""
    x, moved = batch["x"], variables["batch_stats"]["mean"]
    noise = jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(key, i)))(batch["id"])
    value = jnp.mean((variables["params"]["w"] - x) ** 2 + noise)
    stats = {"mean": (moved + jnp.mean(x)) / 2}
    return value, Aux(stats, {"noise": jnp.mean(noise)})


VARIABLES = {"params": {"w": jnp.float32(1.0)}, "batch_stats": {"mean": jnp.float32(8.0)}}
BATCH = {"x": jnp.arange(16, dtype=jnp.float32), "id": jnp.arange(16)}


def gradients(micro_batches, devices=1, keep=lambda old, new: new):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    function = accumulation.make_gradients(loss, keep, mesh, Thrift(micro_batches))
    batch = sharding.to_devices(jax.device_get(BATCH), mesh)
    return jax.jit(function)(VARIABLES, jax.random.key(0), batch, 0.0)


def test_what_examples_add_is_as_without_parts():
    whole, parts = gradients(1), gradients(4)
    for a, b in ((whole[0], parts[0]), (whole[1]["noise"], parts[1]["noise"])):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(whole[3]["w"], 2 * (1 - 7.5))
    np.testing.assert_allclose(parts[3]["w"], 2 * (1 - 7.5))


def test_statistics_move_once_a_part_and_frozen_ones_never():
    # Of 16 in two parts: 0, 2, ..., 14 and 1, 3, ..., 15, with means of 7 and 8.
    assert gradients(2)[2]["mean"] == ((8 + 7) / 2 + 8) / 2
    assert gradients(2, keep=lambda old, new: old)[2]["mean"] == 8


def test_parts_are_the_same_on_eight_devices():
    one, eight = gradients(2), gradients(2, devices=8)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one, eight)


def test_no_example_goes_to_another_device():
    mesh = sharding.make_mesh()
    function = accumulation.make_gradients(loss, lambda old, new: new, mesh, Thrift(2))
    everywhere, divided = sharding.replicated(mesh), sharding.split(mesh)
    places = (everywhere, everywhere, divided, everywhere)
    jitted = jax.jit(function, in_shardings=places, out_shardings=everywhere)
    program = jitted.lower(VARIABLES, jax.random.key(0), BATCH, 0.0).compile().as_text()
    assert "all-reduce" in program  # what the devices do exchange: sums
    for exchange in ("all-gather", "all-to-all", "collective-permute"):
        assert exchange not in program


def test_parts_that_do_not_divide_are_refused():
    mesh = sharding.make_mesh()
    sharding.check_batch_size("train.batch_size", 16, mesh, 2)
    said = r"batch_size=24 .* 8 devices in config.train.micro_batches=2 parts; use 16 or 32"
    with pytest.raises(ConfigError, match=said):
        sharding.check_batch_size("train.batch_size", 24, mesh, 2)


def test_a_task_without_batch_norm_has_the_same_gradients():
    config = build(preset.PRESET, "vit_tiny", "test")
    task, batch = mae.make(ConfigDict(config)), make_batch(4)
    variables = randomise(jax.eval_shape(task.init, jax.random.key(0), batch))
    variables = {"params": variables["params"], "batch_stats": {}}
    mesh = sharding.make_mesh(jax.devices()[:1])

    @jax.jit
    def both(variables):
        made = (
            accumulation.make_gradients(task.loss, lambda old, new: new, mesh, Thrift(n))
            for n in (1, 2)
        )
        return [function(variables, jax.random.key(3), batch, 0.0) for function in made]

    whole, parts = both(variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole, parts)
