"""Masked autoencoding: what is judged, what is hidden, equal devices, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.models.mae import MaeNet
from geoseg_jax.presets import mae as preset
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import mae
from tests.one_step import assert_equal_on_eight_devices
from tests.tasks.pictures_of_waves import make_batch

BATCH = make_batch(8)


def make_task(**task):
    config = build(preset.PRESET, "vit_tiny", "test")
    config.task.update(task)
    return mae.make(ConfigDict(config))


def test_errors_by_hand():
    target = np.zeros((1, 4, 6), np.float32)  # four patches of two pixels
    target[0, 0] = [1, 2, 3, 1, 2, 3]  # the one that is seen: colour (1, 2, 3)
    target[0, 1] = 2.0
    hidden = np.array([[False, True, True, True]])
    ones, all_of_it = jnp.ones((1, 4, 6)), np.array([True])
    sums = mae.judge(ones, target, hidden, all_of_it, normalised=False)
    assert sums["images"] == 1
    assert sums["mse"] == pytest.approx((1 + 1 + 1) / 3)
    # The colour that is seen: (1, 0, 1) / 3 off the second patch, (1, 4, 9) / 3 off the others.
    assert sums["mse_constant"] == pytest.approx((2 / 3 + 14 / 3 + 14 / 3) / 3)
    zero = mae.judge(ones, target, hidden, all_of_it, normalised=True)
    assert zero["mse_constant"] == pytest.approx(4 / 3)
    masked = mae.judge(ones, target, hidden, np.array([False]))
    assert masked["images"] == masked["mse"] == 0


@pytest.mark.parametrize(
    ("count", "ratio", "kept"), [(196, 0.75, 49), (10, 0.9, 1), (4, 0.05, 3), (2, 0.99, 1)]
)
def test_how_many_are_seen(count, ratio, kept):
    assert mae.patches_kept(count, ratio) == kept


def test_a_single_patch_cannot_be_partly_hidden():
    with pytest.raises(ValueError, match="1 patch"):
        mae.patches_kept(1, 0.75)


def test_hidden_pixels_are_not_seen_and_seen_ones_tell_their_place():
    net = MaeNet("vit_tiny", depth=1, width=16, heads=2)
    image = jnp.asarray(BATCH["image"][:1], jnp.float32) / 255
    keep = jnp.asarray([[1, 6]])
    params = jax.jit(net.init)(jax.random.key(0), image, keep)
    apply = jax.jit(net.apply)
    answer = apply(params, image, keep)
    assert answer.shape == (1, 8, 768)
    elsewhere = image.at[0, :16, 32:].set(0.3).at[0, 16:, :32].set(0.9)  # patches 2, 3, 4, 5
    np.testing.assert_array_equal(apply(params, elsewhere, keep), answer)
    seen = image.at[0, :16, 16:32].set(0.3)
    assert np.abs(apply(params, seen, keep) - answer).max() > 1e-3
    # The order in which patches are listed says nothing; which ones are listed does.
    np.testing.assert_allclose(apply(params, image, keep[:, ::-1]), answer, atol=1e-5)
    assert np.abs(apply(params, image, jnp.asarray([[1, 7]])) - answer).max() > 1e-3


def test_it_learns_and_its_pictures_keep_what_is_seen():
    task = make_task()
    variables = jax.jit(task.init)(jax.random.key(0), BATCH)
    optimizer = optax.adam(5e-3)

    @jax.jit
    def step(variables, state, key):
        def loss(params):
            return task.loss({**variables, "params": params}, key, BATCH, 0.0)

        grads, _ = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        return {"params": optax.apply_updates(variables["params"], updates)}, state

    state = optimizer.init(variables["params"])
    for i in range(150):
        variables, state = step(variables, state, jax.random.key(i))
    sums, shown = jax.device_get(
        jax.jit(lambda v: (task.evaluate(v, BATCH), task.visualise(v, BATCH)))(variables)
    )
    judged = mae.summarise({name: float(value) for name, value in sums.items()})
    assert judged["mse"] < 0.85 * judged["mse_constant"]
    assert judged["mse_constant"] == pytest.approx(767 / 768, abs=0.01)
    same = np.abs(shown["prediction"].astype(int) - shown["input"]) <= 1
    whole = same.all(-1).reshape(8, 2, 16, 4, 16).all(axis=(2, 4)).sum(axis=(1, 2))
    assert (whole == 2).all()  # a quarter of eight patches


def test_another_encoder_is_refused():
    with pytest.raises(ValueError, match="needs a ViT"):
        MaeNet("tiny").init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 1), int))


def test_equal_on_eight_devices():
    assert_equal_on_eight_devices(make_task(), BATCH)
