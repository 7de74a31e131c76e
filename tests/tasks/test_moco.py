"""MoCo: the momentum encoder, the order of keys, the queue, equal devices, and that it learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from geoseg_jax.models.moco import MocoNet
from geoseg_jax.ops import contrastive
from geoseg_jax.presets import moco as preset
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import moco
from geoseg_jax.tasks.contrastive_views import change_views
from tests.models.weights import randomise
from tests.one_step import assert_equal_on_eight_devices

RNG = np.random.default_rng(0)


def make_config(arg):
    config = build(preset.PRESET, arg, "test")
    config.task.update({"queue": 20, "features": 16, "norm_groups": 2, "blur_sigma": (0.1, 0.7)})
    return ConfigDict(config)


def make_batch(size=8, side=64):
    """Two windows of pictures that differ by their coarse colours."""
    coarse = RNG.integers(0, 256, (size, 4, 4, 3))
    whole = np.kron(coarse, np.ones((1, side // 3, side // 3, 1))).astype(np.uint8)
    return {
        "image": whole[:, :side, :side],
        "sources": whole[:, None, -side:, -side:],
        "id": np.arange(size, dtype=np.int32),
        "mask": np.ones(size, bool),
    }


BATCH = make_batch()


@functools.cache
def initial(arg):
    """First variables of the task, whose settings beside the network change nothing of them."""
    return jax.jit(moco.make(make_config(arg)).init)(jax.random.key(0), BATCH)


def test_the_momentum_encoder_by_hand():
    learned = {"params": {"w": jnp.asarray(4.0)}, "batch_stats": {"mean": jnp.asarray(1.0)}}
    behind = {
        "params": {"w": jnp.asarray(2.0)},
        "batch_stats": {"mean": jnp.asarray(9.0)},
        "queue": jnp.zeros((2, 2)),
        "started": jnp.zeros(()),
    }
    first = moco.follow(behind, learned, 0.75)
    assert (first["params"]["w"], first["batch_stats"]["mean"], first["started"]) == (4, 1, 1)
    learned["params"]["w"] = jnp.asarray(8.0)
    second = moco.follow(first, learned, 0.75)
    assert second["params"]["w"] == 0.75 * 4 + 0.25 * 8
    assert second["batch_stats"]["mean"] == 1
    gradient = jax.grad(
        lambda p: moco.follow(first, {"params": p, "batch_stats": {"mean": 0.0}}, 0.75)["params"][
            "w"
        ]
    )(learned["params"])
    assert gradient["w"] == 0


def test_keys_are_shuffled_and_brought_back():
    """With a ViT, which no statistics tie to its batch, the queue's head must be each one's key."""
    config = make_config("vit_tiny")
    task = moco.make(config)
    variables = initial("vit_tiny")
    net = MocoNet("vit_tiny", features=16)

    @jax.jit
    def both(variables, step_key, batch):
        """The momentum's state after a step, and every key computed in the batch's own order."""
        _, aux = task.loss(variables, step_key, batch, 0.0)
        views = jnp.asarray(batch["sources"][:, 0], jnp.float32) / 255
        key = jax.random.split(step_key, 3)[1]
        views = change_views(key, batch["id"], views, config.task)
        keys = net.apply({"params": variables["params"]}, views, train=True)
        return aux.batch_stats[moco.MOMENTUM], keys

    behind, expected = both(variables, jax.random.key(7), BATCH)
    np.testing.assert_allclose(behind["queue"][:8], expected, atol=1e-5)
    old = variables["batch_stats"][moco.MOMENTUM]["queue"]
    np.testing.assert_array_equal(behind["queue"][8:], old[:12])
    np.testing.assert_allclose(np.linalg.norm(old, axis=-1), 1, rtol=1e-5)


def test_keys_are_normalised_beside_other_pictures_than_their_queries():
    """Groups of the shuffled batch have the statistics, not the blocks that queries lie in."""
    config = make_config("tiny")
    task, plain = moco.make(config), MocoNet("tiny", features=16)
    variables = initial("tiny")
    momentum = variables["batch_stats"][moco.MOMENTUM]
    behind = {name: momentum[name] for name in ("params", "batch_stats")}
    _, key_key, key_order = jax.random.split(jax.random.key(7), 3)
    views = jnp.asarray(BATCH["sources"][:, 0], jnp.float32) / 255
    views = change_views(key_key, BATCH["id"], views, config.task)
    apply = jax.jit(lambda x: plain.apply(behind, x, train=True, mutable=["batch_stats"])[0])

    def keys(order):
        """In the batch's order, each half of `order` normalised by itself."""
        halves = [apply(views[half]) for half in order.reshape(2, 4)]
        return np.concatenate(halves)[np.argsort(order)]

    _, aux = jax.jit(task.loss)(variables, jax.random.key(7), BATCH, 0.0)
    got = aux.batch_stats[moco.MOMENTUM]["queue"][:8]
    order = np.asarray(jax.random.permutation(key_order, 8))
    assert set(order[:4]) not in ({0, 1, 2, 3}, {4, 5, 6, 7})
    np.testing.assert_allclose(got, keys(order), atol=1e-4)
    assert np.abs(got - keys(np.arange(8))).max() > 1e-2


def test_groups_keep_queries_and_keys_apart():
    """A query tells nothing of the pictures outside of its group, whatever the batch."""
    net = MocoNet("tiny", features=16, norm_groups=2)
    images = jnp.asarray(BATCH["image"], jnp.float32) / 255
    variables = randomise(jax.eval_shape(lambda: net.init(jax.random.key(0), images, train=False)))
    apply = jax.jit(lambda x: net.apply(variables, x, train=True, mutable=["batch_stats"])[0])
    other = images.at[4:].set(1 - images[4:])
    np.testing.assert_allclose(apply(images)[:4], apply(other)[:4], atol=1e-5)
    inside = images.at[3:].set(1 - images[3:])
    assert np.abs(apply(images)[:3] - apply(inside)[:3]).max() > 1e-3


def learn(steps, rate):
    """The task, its variables after so many steps, and their losses, on four batches in turn."""
    config = make_config("tiny")
    config.task.momentum = 0.9  # a few dozen steps are all there are
    # Colours tell these pictures apart: they stay.
    config.task.update({"grey_probability": 0.0, "blur_probability": 0.0})
    config.task.jitter.probability = 0.0
    task, pool = moco.make(config), make_batch(32)
    batches = [{k: v[i : i + 8] for k, v in pool.items()} for i in range(0, 32, 8)]
    variables = initial("tiny")
    optimizer = optax.adam(rate)

    @jax.jit
    def step(variables, state, key, batch):
        def loss(params):
            return task.loss({**variables, "params": params}, key, batch, 0.0)

        (value, aux), grads = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(variables["params"], updates)
        return {"params": params, "batch_stats": aux.batch_stats}, state, value

    state, values = optimizer.init(variables["params"]), []
    for i in range(steps):
        # The queue holds the last 20 keys, so that none of a batch's own is among them.
        variables, state, value = step(variables, state, jax.random.key(i), batches[i % 4])
        values.append(float(value))
    return task, variables, np.asarray(values), batches[steps % 4]


def test_it_learns_to_tell_pictures_apart():
    task, variables, losses, batch = learn(steps=80, rate=3e-3)
    assert np.isfinite(losses).all()
    judged = moco.summarise(jax.device_get(jax.jit(task.evaluate)(variables, batch)))
    assert judged["info_nce_constant"] == pytest.approx(np.log(21), rel=1e-5)
    assert judged["contrastive_accuracy_constant"] == pytest.approx(1 / 21, rel=1e-5)
    assert losses[-8:].mean() < 0.85 * losses[4:12].mean()
    assert judged["info_nce"] < 0.85 * judged["info_nce_constant"]
    assert judged["contrastive_accuracy"] > 0.25
    assert judged["collapse"] < 0.9


def test_padding_does_not_count():
    query = contrastive.unit_length(jnp.asarray(RNG.normal(size=(3, 4))))
    result = contrastive.info_nce(query, query, -query[:2], temperature=0.2)
    all_of_it = moco.judge(result, query, jnp.asarray([True, True, True]), 2)
    part = moco.judge(result, query, jnp.asarray([True, False, True]), 2)
    assert part["images"] == 2
    assert part["info_nce"] == pytest.approx(float(result.loss[0] + result.loss[2]), rel=1e-5)
    np.testing.assert_allclose(all_of_it["query"] - part["query"], query[1], atol=1e-6)
    assert moco.summarise(jax.device_get(part))["similarity"] == pytest.approx(1, rel=1e-5)


def test_views_follow_the_id_and_not_the_place():
    settings = make_config("tiny").task
    views = jnp.asarray(BATCH["image"][:1, ::16, ::16], jnp.float32) / 255
    same = jnp.broadcast_to(views, (200, *views.shape[1:]))
    change = jax.jit(lambda ids: change_views(jax.random.key(0), ids, same, settings))
    a, b = change(jnp.arange(200)), change(jnp.arange(200)[::-1])
    np.testing.assert_allclose(a, b[::-1], atol=1e-6)
    assert len(np.unique(np.asarray(a).round(3).reshape(200, -1), axis=0)) > 150
    # One in five is grey, and none leaves the range of colours.
    grey = np.abs(a - a[..., :1]).max(axis=(1, 2, 3)) < 1e-5
    assert 0.1 < grey.mean() < 0.3
    assert 0 <= a.min() <= a.max() <= 1 + 1e-5


def test_equal_on_eight_devices():
    assert_equal_on_eight_devices(moco.make(make_config("tiny")), BATCH)
