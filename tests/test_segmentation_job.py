"""Segmentation through the loop, small: chains of runs, frozen parts, resuming, eight devices."""

import json

import jax
import numpy as np
import pytest

from geoseg_jax.data.factory import make_data
from geoseg_jax.interop import Weights, write_torchvision, write_weights
from geoseg_jax.models import make_encoder
from geoseg_jax.scoring import scores
from geoseg_jax.tasks import make_task
from geoseg_jax.training import judged, loop, transfer
from geoseg_jax.training.checkpoints import CheckpointError
from geoseg_jax.training.programs import Programs
from geoseg_jax.training.state import TrainState
from tests.test_configs import KEY, abstract_batch, get_config

CHANNELS = (4, 4, 8, 8, 8)


def small(name, arg, cache, **changes):
    config = get_config(name, arg)
    config.model.update({"encoder": "tiny", "decoder_channels": CHANNELS})
    config.data.update({"height": 64, "width": 64, "train_size": 8, "eval_size": 3})
    config.data.cache_dir = str(cache)
    if "scales" in config.task:
        config.task.scales = 1
    config.train.update({"steps": 2, "batch_size": 8, "eval_batch_size": 8, "log_every": 1})
    config.train.update({"eval_every": 0, "checkpoint_every": 0, "pictures_every": 0})
    # Nothing but the gradient's size: Adam's first steps magnify rounding to whole steps.
    config.optimizer.update({"name": "sgd", "learning_rate": 1e-2, "warmup_steps": 0})
    config.optimizer.update({"schedule": "constant", "weight_decay": 0.0, "clip_norm": 0.0})
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An encoder from elsewhere, as interop would have converted it."""
    module = make_encoder("tiny")
    variables = jax.jit(lambda k: module.init(k, np.zeros((1, 64, 64, 3), np.float32), False))(
        jax.random.key(5)
    )
    host = jax.tree.map(np.asarray, variables)
    parts = {name: {"encoder": tree} for name, tree in host.items()}
    folder = tmp_path_factory.mktemp("weights")
    write_weights(Weights(parts, "torchvision", "tiny", "0" * 64), folder, "tiny.pth")
    return folder


@pytest.fixture(scope="module")
def depth(weights, cache, tmp_path_factory):
    """One short depth run that starts from the weights."""
    workdir = tmp_path_factory.mktemp("depth")
    config = small("quickstart", "", cache, init_from=str(weights), data__frames=())
    loop.run(config, workdir, devices=jax.devices()[:1])
    return workdir


def config_from(depth, cache, arg="", **changes):
    extra = f",{arg}" if arg else ""
    return small("segment_synthetic", f"init={depth},labels=4{extra}", cache, **changes)


@pytest.fixture(scope="module")
def programs():
    """What the runs of this file have compiled."""
    return Programs()


def run(config, workdir, devices=1, data=None, programs=None):
    devices = jax.devices()[:devices]
    result = loop.run(config, workdir, data=data, devices=devices, programs=programs)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "learning_rate" in line]
    return result, losses, json.loads((workdir / "manifest.json").read_text())


def test_the_chain_is_in_the_manifest_and_the_frozen_encoder_is_depths(
    depth, cache, programs, tmp_path
):
    config = config_from(depth, cache, "decoder=linear,frozen=True")
    result, losses, papers = run(config, tmp_path, programs=programs)
    assert len(losses) == 2
    assert set(papers["parts_sha256"]) == {"encoder", "head"}
    assert result.evaluation["frozen_unchanged"] is True
    (parent,) = papers["parents"]
    (grandparent,) = parent["parents"]
    assert (parent["task"], grandparent["kind"]) == ("selfsup_depth", "torchvision")
    assert papers["parts_sha256"]["encoder"] == parent["taken"]["encoder"]
    assert parent["taken"]["encoder"] != grandparent["taken"]["encoder"]  # depth has trained it
    assert papers["data"]["train"]["names"] == [f"street-1/{i:06d}" for i in range(4)]
    assert {"miou", "pixel_accuracy", "iou/road"} <= set(result.evaluation)


def taken_by(config):
    """What a run of this config would take from config.init_from; nothing is compiled."""
    task = make_task(config, make_data(config))
    variables = jax.eval_shape(task.init, KEY, abstract_batch(config))
    state = TrainState(0, variables["params"], variables["batch_stats"], ())
    return transfer.take(transfer.read(config.init_from, config), state, config)


def test_encoder_and_decoder_of_depth(depth, cache):
    taken = taken_by(config_from(depth, cache, "parts=encoder+decoder"))
    assert set(taken["params"]) == {"encoder", "decoder"}
    config = config_from(depth, cache, "parts=encoder+decoder", model__decoder_padding="reflect")
    with pytest.raises(CheckpointError, match="decoder was trained with decoder_padding 'zero'"):
        taken_by(config)


def test_one_device_and_eight_agree_and_going_on_is_exact(depth, cache, programs, tmp_path):
    config = config_from(depth, cache, "decoder=linear,frozen=False")
    data = make_data(config)
    _, losses, papers = run(config, tmp_path / "one", 1, data, programs)
    _, sharded, _ = run(config, tmp_path / "eight", 8, data)
    np.testing.assert_allclose(sharded, losses, rtol=1e-5)
    half = config.copy_and_resolve_references()
    half.train.steps = 1
    run(half, tmp_path / "broken", 1, data, programs)
    _, _, continued = run(config, tmp_path / "broken", 1, data, programs)
    assert continued["parameters_sha256"] == papers["parameters_sha256"]
    kept = judged.read(tmp_path / "one")
    assert kept.pictures.tolist() == [data.eval.describe(i) for i in range(3)]
    found = scores.scores(kept.matrices.sum(0), data.eval.table)
    numbers = json.loads((tmp_path / "one/eval.json").read_text())
    assert found["miou"] == pytest.approx(numbers["miou"], abs=1e-12)
    for other in ("eight", "broken"):  # the matrices of pictures, each a row
        matrices = judged.read(tmp_path / other).matrices
        assert matrices.sum((1, 2)).tolist() == kept.matrices.sum((1, 2)).tolist()


def test_another_architecture_stops_with_one_message(depth, cache):
    config = config_from(depth, cache, model__encoder="resnet18", model__decoder="linear")
    with pytest.raises(CheckpointError) as caught:
        taken_by(config)
    text = str(caught.value)
    assert "its encoder (tiny, " in text
    assert "here it is resnet18, " in text
    assert "there, " in text
    assert "\n" not in text


def test_weights_of_another_normalisation_are_refused_unless_asked_for(weights, cache):
    config = config_from(weights, cache, model__normalisation="monodepth2")
    with pytest.raises(CheckpointError, match=r"normalisation .imagenet.*set config.model.norm"):
        taken_by(config)
    config.transfer.normalisation = "any"
    assert set(taken_by(config)["params"]) == {"encoder"}


def test_a_torchvision_file_is_taken_as_it_is(depth, cache, programs, tmp_path):
    given = transfer.read(str(depth), config_from(depth, cache))
    file = tmp_path / "encoder.safetensors"
    write_torchvision(given.variables, file)
    config = config_from(file, cache, "decoder=linear,frozen=True")
    _, _, papers = run(config, tmp_path / "run", programs=programs)
    before = json.loads((depth / "manifest.json").read_text())
    assert papers["parts_sha256"]["encoder"] == before["parts_sha256"]["encoder"]
