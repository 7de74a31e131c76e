"""Supervised depth against its losses by hand, what it must not see, and on several devices."""

from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.presets import supervised_depth as presets
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import depth_supervised
from tests.one_step import assert_equal_on_eight_devices

HEIGHT, WIDTH = 32, 64


def make_config(arg="tiny", **changes):
    config = build(presets.PRESET, arg, "test")
    config.task.jitter.probability = 0.0
    config.task.scales = 1
    config.model.decoder_channels = (4, 8, 8, 16, 16)
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


def batch(count=8, seed=0):
    """Grey pictures whose brightness is their depth: half of each is measured."""
    generator = np.random.default_rng(seed)
    depth = generator.uniform(2, 60, (count, 1, 1)) * np.linspace(0.8, 1.2, WIDTH)
    depth = np.broadcast_to(depth, (count, HEIGHT, WIDTH)).astype(np.float32).copy()
    image = np.repeat((255 * depth / 80)[..., None], 3, axis=-1).astype(np.uint8)
    constant = np.full_like(depth, np.median(depth))
    depth[:, ::2] = 0
    return {
        "image": image,
        "depth": depth,
        "depth_size": np.full((count, 2), (HEIGHT, WIDTH), np.int32),
        "constant_depth": constant,
        "id": np.arange(count, dtype=np.int32),
        "mask": np.arange(count) < count - 1,
    }


@pytest.mark.parametrize("enlarged", ["disparity", "depth"])
def test_what_is_enlarged_is_linear_in_between(enlarged):
    """Two columns, 2 m and 10 m at the outer pixels of five: by hand."""
    config = make_config(task__enlarged=enlarged, task__align_corners=True)
    arm = depth_supervised._SupervisedDepth(config)
    low, high = 1 / config.task.max_depth, 1 / config.task.min_depth
    level = jnp.asarray([[[(1 / z - low) / (high - low) for z in (2.0, 10.0)]]])
    expected = {"depth": [2, 4, 6, 8, 10], "disparity": [2, 2.5, 10 / 3, 5, 10]}[enlarged]
    np.testing.assert_allclose(arm._depth(level, 1, 5)[0, 0], expected, rtol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """A tiny network after some steps of Adam, and the loss before and after."""
    import optax

    config = make_config(task__gradient_weight=0.5)
    task = depth_supervised.make(config)
    examples = batch()
    variables = jax.jit(task.init)(jax.random.key(0), examples)
    optimizer = optax.adam(2e-3)

    @jax.jit
    def step(params, stats, state):
        def loss(params):
            variables = {"params": params, "batch_stats": stats}
            return task.loss(variables, jax.random.key(1), examples, 0.0)

        (value, aux), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), aux.batch_stats, state, value, aux.terms

    params, stats = variables["params"], variables["batch_stats"]
    state, values = optimizer.init(params), []
    for _ in range(40):
        params, stats, state, value, terms = step(params, stats, state)
        values.append(float(value))
    return task, {"params": params, "batch_stats": stats}, values, terms


def test_it_learns_what_the_picture_tells(trained):
    task, variables, values, terms = trained
    assert values[-1] < 0.5 * values[0]
    assert values[-1] == pytest.approx(
        float(terms["depth"] + 0.5 * terms["gradient_matching"]), rel=1e-5
    )
    assert terms["measured"] == 0.5
    sums = {k: float(v) for k, v in jax.jit(task.evaluate)(variables, batch()).items()}
    result = task.summarise(sums)
    assert result["eval_images"] == 7  # the last one is padding
    assert result["abs_rel"] < 0.5 * result["abs_rel_constant"]
    assert {"abs_rel_scaled", "abs_rel_scaled_constant", "delta1"} <= set(result)
    assert 0.7 < result["scale_ratio"] < 1.4


def test_pictures_share_one_scale_of_colours(trained):
    task, variables, *_ = trained
    shown = jax.jit(task.visualise)(variables, batch())
    assert set(shown) == {"input", "depth", "ground truth", "error"}
    assert {(p.shape, str(p.dtype)) for p in shown.values()} == {((8, HEIGHT, WIDTH, 3), "uint8")}
    truth, depth = (np.asarray(shown[name], int).sum(-1) for name in ("ground truth", "depth"))
    assert not truth[:, ::2].any()
    assert np.abs(truth - depth)[:, 1::2].mean() < 120  # of 765


def expected_loss(loss, predicted, truth):
    """Of one picture, in float64; silog forgives half of the scale's error."""
    valid = (truth > 0) & (truth < 100)
    p, t = predicted[valid].astype(float), truth[valid].astype(float)
    d, e = np.log(p / t), np.abs(p - t)
    c = e.max() / 5
    if loss == "berhu":
        return np.where(e <= c, e, (e**2 + c**2) / (2 * c)).mean()
    return e.mean() if loss == "l1" else (d**2).mean() - 0.5 * d.mean() ** 2


class Fixed(NamedTuple):
    """A network that always answers with these disparities."""

    levels: tuple[np.ndarray, ...]

    def apply(self, variables, image, **more):
        del variables, image, more
        return tuple(map(jnp.asarray, self.levels)), {"batch_stats": {}}


def test_the_loss_is_the_one_that_was_asked_for():
    examples = batch(2)
    examples["depth"][1] = 0  # a picture of which nothing is known
    examples["depth"][0, 1] = 500  # beyond what the network can say
    generator = np.random.default_rng(0)
    shapes = (2, HEIGHT, WIDTH), (2, HEIGHT // 2, WIDTH // 2)
    levels = tuple(generator.uniform(0.002, 0.05, shape).astype(np.float32) for shape in shapes)
    losses = ("l1", "berhu", "silog")
    arms = [
        depth_supervised._SupervisedDepth(make_config(task__loss=loss, task__variance_focus=0.5))
        for loss in losses
    ]
    for arm in arms:
        arm.net = Fixed(levels)

    @jax.jit
    def run(key):
        found = [arm.loss({}, key, examples, 0.0) for arm in arms]
        return [(value, aux.terms) for value, aux in found]

    # From 0.1 m to 100 m, linear in inverse depth, which is what grows to the picture's size.
    larger = [cv2.resize(level[0], (WIDTH, HEIGHT)) for level in levels]
    depths = [1 / (0.01 + 9.99 * level) for level in larger]
    truth = examples["depth"][0]
    for loss, (value, terms) in zip(losses, run(jax.random.key(0)), strict=True):
        # One of two pictures is measured, and it alone counts. A scale weighs half of the one
        # before.
        finest, next_one = (expected_loss(loss, depth, truth) for depth in depths)
        assert float(value) == pytest.approx((2 * finest + next_one) / 3, rel=1e-3), loss
        assert float(terms["measured"]) == pytest.approx(((truth > 0) & (truth < 100)).mean() / 2)
        assert "gradient_matching" not in terms


def test_truth_of_another_size_is_refused():
    task = depth_supervised.make(make_config())
    examples = batch(2)
    variables = jax.eval_shape(task.init, jax.random.key(0), examples)
    for held, message in (
        ({"depth": np.ones((2, 40, 80), np.float32)}, r"is \[40, 80\]"),
        ({"depth": None}, "is not there"),
    ):
        changed = {k: v for k, v in (examples | held).items() if v is not None}
        with pytest.raises(ValueError, match=message + ".*truth_in_training=True"):
            jax.eval_shape(task.loss, variables, jax.random.key(0), changed, 0.0)


def test_eight_devices_do_what_one_does():
    assert_equal_on_eight_devices(depth_supervised.make(make_config("tiny")), batch())
