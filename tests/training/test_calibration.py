"""Statistics on the training pictures: NumPy's, once, the same for every batch and every start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.data.source import BadRecord
from geoseg_jax.models.norm import BatchNorm
from geoseg_jax.study import guard
from geoseg_jax.training import calibration, sharding
from geoseg_jax.training.state import TrainState
from tests import tiny
from tests.test_configs import get_config
from tests.test_segmentation_job import cache, programs, run, small  # noqa: F401

PICTURES = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), np.uint8)


class Block(nn.Module):
    """Two layers and a shortcut, as in a ResNet: a normalisation after each product."""

    @nn.compact
    def __call__(self, x, train):
        y = nn.relu(BatchNorm(name="bn1")(nn.Dense(5, use_bias=False, name="one")(x), train))
        y = BatchNorm(name="bn2")(nn.Dense(4, use_bias=False, name="two")(y), train)
        shortcut = nn.Dense(4, use_bias=False, name="short")(x)
        return nn.relu(y + BatchNorm(name="a_shortcut")(shortcut, train))


class Net(nn.Module):
    """An encoder of two blocks, whose order is not that of their names, and a head."""

    unused: bool = False

    @nn.compact
    def __call__(self, x, train):
        x = Encoder(self.unused, name="encoder")(x, train)
        return BatchNorm(name="head")(x, train)


class Encoder(nn.Module):
    unused: bool = False

    @nn.compact
    def __call__(self, x, train):
        x = Block(name="z")(x, train)
        x = Block(name="a")(x, train)
        if self.unused and self.is_initializing():
            BatchNorm(name="never")(x, train)
        return x


def unit(image):
    return image.astype(jnp.float32) / 255


def network(net):
    return lambda variables, batch: net.apply(variables, unit(batch["image"]), train=False)


def variables_of(net):
    shapes = net.init(jax.random.key(0), unit(PICTURES), False)
    # Other scales and shifts than 1 and 0, and statistics of nothing in particular.
    return jax.tree.map(lambda v: v + 0.1 * jnp.arange(v.size).reshape(v.shape) / v.size, shapes)


def batches(size):
    for start in range(0, len(PICTURES), size):
        ids = np.arange(start, start + size)
        yield {
            "image": PICTURES[np.minimum(ids, len(PICTURES) - 1)],  # the last one fills it up
            "mask": ids < len(PICTURES),
        }


def calibrate(size, net=None):
    net = net or Net()
    mesh = sharding.make_mesh(jax.devices()[:1])
    measure = calibration.make_measure(network(net), mesh)
    return calibration.calibrate(measure, variables_of(net), batches(size), mesh)


def numpys(variables):
    """The same by NumPy in 64 bits: all pictures as one batch."""
    params = jax.tree.map(lambda v: np.asarray(v, np.float64), variables["params"]["encoder"])
    found = {}

    def normalise(block, name, x):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        found.setdefault(block, {})[name] = {"mean": mean, "var": variance}
        learned = params[block][name]
        return (x - mean) / np.sqrt(variance + 1e-5) * learned["scale"] + learned["bias"]

    x = PICTURES / 255
    for block in ("z", "a"):
        dense = {name: params[block][name]["kernel"] for name in ("one", "two", "short")}
        y = np.maximum(normalise(block, "bn1", x @ dense["one"]), 0)
        y = normalise(block, "bn2", y @ dense["two"])
        x = np.maximum(y + normalise(block, "a_shortcut", x @ dense["short"]), 0)
    return found


def test_statistics_are_numpys_over_all_pictures():
    stats, count = calibrate(3)
    assert count == len(PICTURES)
    expected = numpys(variables_of(Net()))
    assert jax.tree.structure(stats) == jax.tree.structure(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), stats, expected
    )


def test_neither_the_batch_size_nor_a_second_start_changes_them():
    stats, _ = calibrate(3)
    jax.tree.map(np.testing.assert_array_equal, stats, calibrate(3)[0])
    for size in (1, 7):
        again = calibrate(size)[0]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), stats, again
        )


def test_a_layer_that_the_network_never_runs_is_refused():
    with pytest.raises(ValueError, match="the network does not run never, whose statistics"):
        calibrate(7, Net(unused=True))


def test_an_encoder_without_batch_norm_is_told_of():
    state, said = TrainState(0, {}, {"decoder": {}}, ()), []
    mesh = sharding.make_mesh(jax.devices()[:1])
    with pytest.raises(ConfigError, match=r"no Task\.network"):
        calibration.make_measure(tiny.TinyTask().network, mesh)
    measure = calibration.make_measure(network(Net()), mesh)
    same, record = calibration.calibrate_state(state, measure, [], mesh, said.append)
    assert (same, record) == (state, {})
    assert "no batch norm, nothing to calibrate" in said[0]


def test_a_large_training_set_is_sampled_from_all_over(monkeypatch):
    source = tiny.Source(20, 1)
    assert len(calibration.pictures(source)) == 20
    monkeypatch.setattr(calibration, "PIXELS", 5 * tiny.HEIGHT * tiny.WIDTH)
    assert calibration.pictures(source).indices == (0, 4, 8, 12, 16)


def test_the_next_picture_stands_in_for_one_that_cannot_be_read_where_training_allows_it():
    source = tiny.Source(4, 1, broken=(0, 2))
    with pytest.raises(BadRecord):
        calibration.pictures(source)
    chosen = calibration.pictures(source, bad_share=0.5)
    assert [int(chosen[i]["id"]) for i in range(4)] == [1, 1, 3, 3]


def test_settings_without_effect_are_refused():
    config = get_config("segment_synthetic", "labels=4")
    config.transfer.statistics = "calibrated"
    check(config)
    config.transfer.prefix = "model."
    with pytest.raises(ConfigError, match=r"prefix='model\.' has no effect without"):
        check(config)
    depth = get_config("depth_synthetic", "mono")
    depth.transfer.statistics = "calibrated"
    with pytest.raises(ConfigError, match=r"no effect with config\.task\.name='self"):
        check(depth)


def test_cells_that_differ_in_it_may_not_be_compared():
    cells = []
    for arm, statistics in (("random", ""), ("depth", "calibrated")):
        config = get_config("segment_synthetic", "labels=4,frozen=True")
        config.transfer.statistics = statistics
        factors = {name: "x" for name in guard.SETTINGS} | {"arm": arm}
        cells.append((arm, factors, guard.relevant(settings.flatten(config))))
    assert [d.key for d in guard.differences(cells)] == ["transfer.statistics"]


def test_a_run_calibrates_once_and_its_encoder_stays(
    cache,  # noqa: F811
    programs,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    changes = {"transfer__statistics": "calibrated", "train__steps": 1}
    config = small("segment_synthetic", "decoder=linear,labels=4", cache, **changes)
    result, _, papers = run(config, tmp_path, programs=programs)
    assert papers["calibration"] == {"pictures": 4, "layers": 12}
    assert result.evaluation["frozen_unchanged"] is True
    assert papers["parents"] == []
    monkeypatch.setattr(calibration, "calibrate", None)
    config.train.steps = 2
    _, _, longer = run(config, tmp_path, programs=programs)
    assert longer["calibration"] == papers["calibration"]
    assert longer["frozen_sha256"] == papers["frozen_sha256"]
    assert longer["parts_sha256"]["encoder"] == papers["parts_sha256"]["encoder"]
    assert longer["parts_sha256"]["head"] != papers["parts_sha256"]["head"]
