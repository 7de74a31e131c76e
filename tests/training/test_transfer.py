"""What a run takes from another: strict, bitwise, and written down."""

import json
import shutil

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax import interop, models
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training import loop, transfer
from geoseg_jax.training.ancestors import Ancestor
from geoseg_jax.training.checkpoints import CheckpointError, read_variables, steps_in
from geoseg_jax.training.optimizers import make_optimizer
from geoseg_jax.training.programs import Programs
from geoseg_jax.training.state import TrainState, flat_arrays
from tests import tiny
from tests.interop import fabricate, resnets
from tests.models.weights import randomise

SHARED = Programs()  # runs that differ in what they start from alone are compiled once


def run(workdir, **changes):
    init_from = changes.pop("init_from", None)
    parts = {
        k: changes.pop(k) for k in list(changes) if k in ("parts", "frozen", "scale", "freeze")
    }
    steps = changes.pop("steps", 3)
    config = tiny.make_config(train__steps=steps, train__eval_every=0, **changes)
    if init_from is not None:
        config.init_from = str(init_from)
    if parts or init_from:
        config.transfer = {
            "parts": parts.get("parts", ("encoder",)),
            "frozen": parts.get("frozen", ()),
            "freeze": parts.get("freeze", "all"),
            "learning_rate_scale": parts.get("scale", {}),
        }
    devices = jax.devices()[:1]
    task = tiny.TinyTask(holds=())
    return loop.run(config, workdir, task, tiny.make_data(), devices, programs=SHARED)


def read(path):
    return json.loads(path.read_text())


def variables(workdir):
    folder = workdir / "checkpoints"
    return read_variables(folder / str(steps_in(folder)[-1]))


def encoder_of(workdir):
    return flat_arrays({name: tree["encoder"] for name, tree in variables(workdir).items()})


@pytest.fixture(scope="module")
def ancestor(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("ancestor")
    run(workdir, seed=11)
    return workdir


@pytest.fixture(scope="module")
def frozen(ancestor, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("frozen")
    run(workdir, init_from=ancestor, frozen=("encoder",))
    return workdir


def test_a_frozen_encoder_is_bitwise_the_one_that_was_given(ancestor, frozen):
    given, kept = encoder_of(ancestor), encoder_of(frozen)
    assert given.keys() == kept.keys()
    assert any("batch_stats" in name for name in kept)
    for name in given:
        np.testing.assert_array_equal(given[name], kept[name], err_msg=name)
    results = read(frozen / "eval.json")
    assert results["frozen_unchanged"] is True
    assert results["frozen_parameters"] == 153  # the tiny encoder's
    papers = read(frozen / "manifest.json")
    assert papers["parts_sha256"]["encoder"] == papers["parents"][0]["taken"]["encoder"]
    assert (
        papers["parts_sha256"]["encoder"]
        == read(ancestor / "manifest.json")["parts_sha256"]["encoder"]
    )


def test_the_head_starts_anew(ancestor, frozen):
    own = tiny.make_config().seed
    assert own != 11
    plain = variables(frozen)["params"]["head"]["kernel"]
    assert not np.array_equal(plain, variables(ancestor)["params"]["head"]["kernel"])


def test_lineage_holds_all_ancestors(ancestor, frozen, tmp_path, capsys):
    run(tmp_path, init_from=frozen, parts=("encoder", "head"))
    told = capsys.readouterr().out
    (parent,) = read(tmp_path / "manifest.json")["parents"]
    (grandparent,) = parent["parents"]
    assert parent["source"] == str(frozen)
    assert parent["step"] == 3
    assert set(parent["taken"]) == {"encoder", "head"}
    assert parent["parameters_sha256"] == read(frozen / "manifest.json")["parameters_sha256"]
    assert grandparent["source"] == str(ancestor)
    assert grandparent["data_sha256"] == read(ancestor / "manifest.json")["data"]["sha256"]
    assert grandparent["parents"] == []
    assert f"from {frozen} (sha256 {parent['taken']['head'][:12]})" in told


def test_the_table_tells_what_is_taken_and_what_is_new(ancestor, tmp_path, capsys):
    run(tmp_path, init_from=ancestor, scale={"encoder": 0.1})
    lines = capsys.readouterr().out.splitlines()
    encoder = next(line for line in lines if line.startswith("  encoder"))
    assert "learning rate x 0.1, layer decay 1 " in encoder  # nothing has set it
    assert f"from {ancestor}" in encoder
    head = next(line for line in lines if line.startswith("  head"))
    assert "initialised" in head
    assert "layer decay" not in head
    run(tmp_path / "b", init_from=ancestor, optimizer__layer_decay=0.75)
    assert "learning rate x 1, layer decay 0.75 " in capsys.readouterr().out


def test_a_scaled_part_moves_less(ancestor, tmp_path):
    start = flat_arrays(variables(ancestor)["params"]["encoder"])
    moved = {}
    for scale in (1.0, 1e-3):
        run(tmp_path / str(scale), init_from=ancestor, scale={"encoder": scale})
        now = flat_arrays(variables(tmp_path / str(scale))["params"]["encoder"])
        moved[scale] = max(np.abs(now[name] - start[name]).max() for name in start)
    assert 0 < moved[1e-3] < 0.01 * moved[1.0]


def test_a_resumed_run_is_exact_and_does_not_ask_its_ancestor_again(ancestor, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ancestor, copy)
    one = {"init_from": copy, "optimizer__schedule": "constant"}
    run(tmp_path / "straight", **one, steps=5)
    run(tmp_path / "broken", **one)
    shutil.rmtree(copy)
    run(tmp_path / "broken", **one, steps=5)
    straight, broken = (read(tmp_path / w / "manifest.json") for w in ("straight", "broken"))
    assert straight["parents"] == broken["parents"]
    assert straight["parameters_sha256"] == broken["parameters_sha256"]
    assert straight["parts_sha256"]["encoder"] != straight["parents"][0]["taken"]["encoder"]


def test_freezing_the_statistics_alone_is_told_apart(ancestor, tmp_path):
    # The public code's way: the encoder is in evaluation mode and learns nevertheless.
    run(tmp_path, init_from=ancestor, frozen=("encoder",), freeze="statistics")
    assert read(tmp_path / "eval.json")["frozen_unchanged"] is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": ("decoder",)}, "the source has no part 'decoder', only encoder, head"),
        ({"frozen": ("decoder",)}, "transfer.frozen names the part 'decoder'; this model has"),
        ({"frozen": ("encoder",), "scale": {"encoder": 0.1}}, "has no effect"),
        ({"frozen": ("backbone",)}, "must be 'encoder' or 'decoder' in every entry"),
    ],
)
def test_wrong_requests(ancestor, tmp_path, changes, message):
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        run(tmp_path, init_from=ancestor, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_shape_shows_both_sides(ancestor, tmp_path, monkeypatch):
    real = transfer.checkpoints.read_variables

    def wider(folder):
        found = real(folder)
        kernel = found["params"]["encoder"]["conv"]["kernel"]
        found["params"]["encoder"]["conv"]["kernel"] = np.concatenate([kernel, kernel], axis=-1)
        return found

    monkeypatch.setattr(transfer.checkpoints, "read_variables", wider)
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, init_from=ancestor)
    text = str(caught.value)
    assert "params/conv/kernel: float32[3, 3, 3, 8] there, float32[3, 3, 3, 4] here" in text
    assert "\n" not in text


def test_sources_that_are_none(ancestor, tmp_path):
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="no such file or folder"):
        run(tmp_path / "w", init_from=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="the run has no checkpoint yet"):
        run(tmp_path / "w", init_from=tmp_path / "empty")
    with pytest.raises(CheckpointError, match="has no folders state and meta"):
        transfer.checkpoints.read_meta(tmp_path)


def test_a_step_may_be_named(ancestor, tmp_path):
    run(tmp_path, init_from=ancestor / "checkpoints" / "3")
    assert read(tmp_path / "manifest.json")["parents"][0]["step"] == 3


def test_a_prefix_tells_which_encoder_of_a_file_is_meant(ancestor, tmp_path):
    arrays = resnets.torchvision("tiny", "ours.")
    arrays |= {name.replace("ours.", "theirs."): array for name, array in arrays.items()}
    fabricate.write_zip(tmp_path / "x.pth", fabricate.state_dict(arrays))
    config = ConfigDict({"transfer": {"prefix": "ours."}})
    record = transfer.read(str(tmp_path / "x.pth"), config).record
    assert record["prefix"] == "ours."
    assert "theirs.*" in record["left_out"]
    with pytest.raises(interop.WeightsError, match=r"'ours\.', 'theirs\.'.*config.transfer.prefix"):
        transfer.read(str(tmp_path / "x.pth"), ConfigDict())
    with pytest.raises(ConfigError, match=r"prefix='ours\.' has no effect.* is a run"):
        transfer.read(str(ancestor), config)


def test_statistics_of_an_untrained_network_are_told(tmp_path):
    arrays = resnets.torchvision("tiny")
    for name in arrays:
        if name.endswith(("running_mean", "running_var")):
            arrays[name] = np.full_like(arrays[name], name.endswith("var"))
    fabricate.write_zip(tmp_path / "x.pth", fabricate.state_dict(arrays))
    record = transfer.read(str(tmp_path / "x.pth"), ConfigDict()).record | {"taken": {}}
    assert record["untrained_statistics"].startswith("12 of 12 batch norms")
    text = transfer.describe(TrainState(0, {}, {}, ()), [record], ConfigDict(), None)
    assert text == f"  WARNING: {tmp_path}/x.pth: {record['untrained_statistics']}"


def test_the_lineage_names_the_run_that_a_file_was_exported_from(tmp_path):
    variables = {c: {"encoder": t} for c, t in resnets.encoder_variables("tiny").items()}
    run = {"name": "W/checkpoints/9", "sha256": "ab12", "task": "selfsup_depth"}
    for source, chain in (
        (run, "selfsup_depth -> this run"),
        ({"name": "model.pth", "sha256": "cd34"}, "torchvision tiny -> this run"),
    ):
        path = tmp_path / "exported.safetensors"
        interop.write_torchvision(variables, path, source=source)
        record = transfer.read(str(path), ConfigDict()).record
        assert record["converted_from"] == source
        assert transfer.write_lineage([record]) == chain


def depth_net(pose_encoder="tiny"):
    """A depth network, its first state, and a picture."""
    net = models.SelfSupDepthNet(
        "tiny", (4,) * 5, pose_encoder=pose_encoder, scales=1, normalisation="monodepth2"
    )
    picture = np.random.default_rng(0).random((1, 32, 64, 3)).astype(np.float32)
    pair = np.concatenate([picture, picture], axis=-1)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), picture, pair, False))
    variables = jax.device_put(randomise(shapes, seed=1))
    return net, TrainState(0, variables["params"], variables["batch_stats"], ()), picture


def other_encoder(state):
    """A source of weights for it, by the name of W."""
    own = {c: {"encoder": getattr(state, c)["encoder"]} for c in transfer.COLLECTIONS}
    return Ancestor(randomise(own, seed=2), "tiny", {}, {"source": "W", "parents": []})


REPEATED = {
    "init_from": "W",
    "model": {"encoder": "tiny"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "transfer": {"pose_encoder": "repeated"},
}


def test_a_pose_network_started_from_the_encoder_sees_equal_pictures_as_it_sees_one():
    net, state, picture = depth_net()
    ancestor, config = other_encoder(state), ConfigDict(REPEATED)
    taken = transfer.take(ancestor, state, config)
    started = transfer.put(state, taken)
    variables = {c: getattr(started, c) for c in transfer.COLLECTIONS}
    pair = np.concatenate([picture, picture], axis=-1)

    @jax.jit
    def features_of_both(variables):
        def wanted(module, method):
            return (module.name, method) == ("encoder", "__call__")

        options = {"capture_intermediates": wanted, "mutable": ["intermediates"]}
        return net.apply(variables, picture, pair, False, **options)[1]

    caught = features_of_both(variables)
    (of_picture,) = caught["intermediates"]["encoder"]["__call__"]
    (of_pair,) = caught["intermediates"]["pose"]["encoder"]["__call__"]
    for stride, features in of_picture.items():
        assert np.ptp(features) > 0.1
        np.testing.assert_allclose(of_pair[stride], features, rtol=1e-4, atol=1e-5)
    # The encoder is the one that was given, and the rest of the pose network its own.
    given = ancestor.variables["params"]["encoder"]
    jax.tree.map(np.testing.assert_array_equal, started.params["encoder"], given)
    pose = started.params["pose"]
    for layer in pose.keys() - {"encoder"}:
        jax.tree.map(np.testing.assert_array_equal, pose[layer], state.params["pose"][layer])

    parents = [transfer.lineage(ancestor, taken)]
    assert set(parents[0]["taken"]) == {"encoder", "pose/encoder"}
    optimizer = make_optimizer(config.optimizer, 1, state.params, state.batch_stats)
    told = transfer.describe(started, parents, config, optimizer)
    assert "its encoder as that of W, for two pictures" in told


@pytest.mark.parametrize(
    ("pose_encoder", "message"),
    [("resnet18", "bn1/mean: float32[8] there, float32[64] here"), ("", "absent here")],
)
def test_a_pose_network_on_another_encoder_is_refused(pose_encoder, message):
    _, state, _ = depth_net(pose_encoder)
    with pytest.raises(CheckpointError, match=r"repeated for config\.transfer\.pose") as caught:
        transfer.take(other_encoder(state), state, ConfigDict(REPEATED))
    assert message in str(caught.value)
