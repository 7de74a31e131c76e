"""Inpainting: what is judged by hand, equal devices, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.presets import reconstruction as preset
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import reconstruction
from tests.models.weights import randomise
from tests.one_step import assert_equal_on_eight_devices
from tests.tasks.pictures_of_waves import make_batch


def make_task(arg="tiny", **task):
    config = build(preset.PRESET, arg, "test")
    config.task.update({"hole_share": (0.01, 0.02), "hole_size": 5, **task})
    config.model.update({"decoder_channels": (4, 4, 8, 8, 8), "dpt_features": 8})
    return reconstruction.make(ConfigDict(config))


def test_errors_by_hand():
    image = np.zeros((3, 2, 2, 3), np.float32)
    image[0, 0, 0] = 1.0  # the hole's colour; what is seen is black
    hole = np.zeros((3, 2, 2), bool)
    hole[:2, 0, 0] = True  # the third picture has none, and can't be judged
    answer = np.full_like(image, 0.25)
    mask = np.array([True, False, True])
    sums = reconstruction.judge(*map(jnp.asarray, (image, answer, hole, mask)), window=3)
    assert sums["images"] == 1
    assert sums["l1"] == pytest.approx(0.75)
    assert sums["l1_constant"] == sums["l1_surroundings"] == pytest.approx(1.0)
    assert sums["l1_image"] == pytest.approx((0.75 + 3 * 0.25) / 4)
    assert sums["holes"] == 0.25
    assert reconstruction.summarise({k: float(v) for k, v in sums.items()})["l1"] == 0.75


def test_no_hole_anywhere_is_refused():
    with pytest.raises(ValueError, match="hole_share"):
        reconstruction.summarise({"images": 0, "l1": 0.0})


def test_it_learns_to_fill_holes_and_says_so_in_its_pictures():
    task, batch = make_task(), make_batch(8)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(variables, state, key):
        def loss(params):
            return task.loss({**variables, "params": params}, key, batch, 0.0)

        (value, aux), grads = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, "batch_stats": aux.batch_stats}, state, value

    state, losses = optimizer.init(variables["params"]), []
    for i in range(40):
        variables, state, value = step(variables, state, jax.random.key(i))
        losses.append(float(value))
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    look = jax.jit(lambda v, b: (task.evaluate(v, b), task.visualise(v, b)))
    sums, shown = jax.device_get(look(variables, batch))
    judged = reconstruction.summarise({k: float(v) for k, v in sums.items()})
    assert judged["l1"] < 0.8 * judged["l1_constant"]
    # In another order the pictures have the same holes.
    again = {k: v[::-1] for k, v in batch.items()}
    other, _ = jax.device_get(look(variables, again))
    for name, value in sums.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4)
    hole = (shown["with holes"] != shown["input"]).any(-1)
    assert 0.02 < hole.mean() < 0.6
    np.testing.assert_array_equal(shown["holes filled"][~hole], shown["input"][~hole])


def test_every_scale_counts_by_its_weight():
    weights = (1 / 64, 1 / 16, 1 / 4, 1.0)
    batch = make_batch(2)
    both, last = make_task(scale_weights=weights), make_task(scale_weights=(0, 0, 0, 1))
    variables = randomise(jax.eval_shape(both.init, jax.random.key(0), batch))
    assert set(variables["params"]["head"]) == {f"conv_{scale}" for scale in range(4)}
    alone = [make_task(scale_weights=w) for w in np.eye(4).tolist()]

    @jax.jit
    def losses(variables):  # as one program, in which the compiler finds what they share
        found = [
            task.loss(variables, jax.random.key(1), batch, 0.0) for task in (both, last, *alone)
        ]
        return [value for value, _ in found], found[1][1].terms

    (sum_of_all, _, *each), terms = jax.device_get(losses(variables))
    assert len(set(map(float, each))) == 4
    assert sum_of_all == pytest.approx(np.dot(each, weights), rel=1e-5)
    # What is told is of the finest.
    assert terms["l1_image"] == pytest.approx(each[0], rel=1e-5)


def test_the_coarsest_scale_needs_the_deepest_stage():
    """Of the finest alone all but the holes can be copied from the encoder's first stage."""
    batch = make_batch(2)
    task = make_task(scale_weights=(0.0, 0.0, 0.0, 1.0))
    variables = randomise(jax.eval_shape(task.init, jax.random.key(0), batch))

    def loss(params):
        return task.loss({**variables, "params": params}, jax.random.key(1), batch, 0.0)[0]

    slopes = jax.jit(jax.grad(loss))(variables["params"])

    def steepest(part):
        return max(float(jnp.abs(x).max()) for x in jax.tree.leaves(part))

    assert steepest(slopes["head"]["conv_3"]) > 0
    assert steepest(slopes["head"]["conv_0"]) == 0
    assert steepest(slopes["decoder"]["upconv_4_0"]) > 0
    assert steepest(slopes["decoder"]["upconv_0_0"]) == 0


def test_equal_on_eight_devices():
    assert_equal_on_eight_devices(make_task("tiny,holes"), make_batch(8))
