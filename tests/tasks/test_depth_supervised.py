"""Supervised depth against its losses by hand, what it must not see, and on several devices."""

import jax
import numpy as np
import pytest

from geoseg_jax.ops import depth_losses
from geoseg_jax.presets import supervised_depth as presets
from geoseg_jax.tasks import depth_supervised
from tests.one_step import assert_equal_on_eight_devices

HEIGHT, WIDTH = 32, 64


def make_config(arg="tiny", **changes):
    config, _ = presets.make(arg, "test")
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
            return task.loss({"params": params, "batch_stats": stats}, jax.random.key(1), examples)

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
    assert values[-1] == pytest.approx(terms["depth"] + 0.5 * terms["gradient_matching"], rel=1e-5)
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


def numbers_of(config, examples):
    """The loss at the start, and what the network says there, in one program."""
    task, net = depth_supervised.make(config), depth_supervised.make_net(config)

    @jax.jit
    def run(key):
        variables = task.init(key, examples)
        value, aux = task.loss(variables, key, examples)
        image = examples["image"].astype(np.float32) / 255
        levels, _ = net.apply(
            variables, image, train=True, method="disparities", mutable=["batch_stats"]
        )
        return value, aux.terms, levels

    return run(jax.random.key(0))


@pytest.mark.parametrize("loss", ["l1", "berhu", "silog"])
def test_the_loss_is_the_one_that_was_asked_for(loss):
    examples = batch(2)
    examples["depth"][1] = 0  # a picture of which nothing is known
    examples["depth"][0, 1] = 500  # beyond what the network can say
    config = make_config(task__loss=loss, task__variance_focus=0.5)
    value, terms, (level,) = numbers_of(config, examples)
    predicted = 1 / (1 / config.task.max_depth + np.asarray(level)[0] * (
        1 / config.task.min_depth - 1 / config.task.max_depth
    ))  # fmt: skip
    truth = examples["depth"][0]
    valid = (truth > 0) & (truth < 100)
    p, t = predicted[valid].astype(float), truth[valid].astype(float)
    d, e = np.log(p / t), np.abs(p - t)
    c = e.max() / 5
    expected = {
        "l1": e.mean(),
        "berhu": np.where(e <= c, e, (e**2 + c**2) / (2 * c)).mean(),
        "silog": (d**2).mean() - 0.5 * d.mean() ** 2,
    }
    # One of two pictures is measured, and it alone counts.
    assert value == pytest.approx(expected[loss], rel=1e-4)
    assert terms["measured"] == pytest.approx(valid.mean() / 2)
    assert "gradient_matching" not in terms


def test_scales_weigh_half_of_the_one_before():
    examples = batch(2)
    config = make_config(task__loss="l1", task__scales=2)
    value, _, levels = numbers_of(config, examples)
    arm = depth_supervised._SupervisedDepth(config)
    valid = examples["depth"] > 0
    each = []
    for level in levels:
        error = np.abs(np.asarray(arm._depth(level, HEIGHT, WIDTH)) - examples["depth"])
        each.append(depth_losses.mean_over_images(depth_losses.masked_mean(error, valid), valid))
    assert value == pytest.approx(float(2 * each[0] + each[1]) / 3, rel=1e-4)


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
            jax.eval_shape(task.loss, variables, jax.random.key(0), changed)


@pytest.mark.parametrize("encoder", ["tiny", "vit_tiny"])
def test_eight_devices_do_what_one_does(encoder):
    assert_equal_on_eight_devices(depth_supervised.make(make_config(encoder)), batch())
