"""Converted weights and torchvision's names, there and back; the command line."""

import functools
import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from geoseg_jax import weights
from geoseg_jax.interop import WeightsError, read_weights, write_torchvision
from geoseg_jax.models import encoders, resnet
from geoseg_jax.training import sharding
from geoseg_jax.training.checkpoints import Checkpoints
from geoseg_jax.training.state import TrainState, sha256_of
from tests.interop import fabricate, resnets


def variables_of(kind):
    return {c: {"encoder": tree} for c, tree in resnets.encoder_variables(kind).items()}


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("kind", ["tiny", "mini50"])
def test_torchvisions_names_there_and_back(tmp_path, kind, monkeypatch):
    bottlenecks = {"depths": (1, 1, 2, 1), "block": resnet.Bottleneck, "width": 4}
    made = functools.partial(resnet.ResNet, **bottlenecks)
    monkeypatch.setitem(encoders.ENCODERS, "mini50", made)
    path = tmp_path / "x.safetensors"
    assert write_torchvision(variables_of(kind), path) == kind
    found = read_weights(path)
    assert_equal(found.variables, variables_of(kind))
    arrays = safetensors.numpy.load_file(path)
    # Everything that torchvision names, but for its classifier.
    expected = {n: a for n, a in resnets.torchvision(kind).items() if not n.startswith("fc.")}
    assert {n: (a.shape, a.dtype) for n, a in arrays.items()} == {
        n: (np.shape(a), np.asarray(a).dtype) for n, a in expected.items()
    }


def test_pytorch_loads_it_strictly(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to load with")
    load = pytest.importorskip("safetensors.torch").load_file
    from benchmarks import torch_twin

    variables = variables_of("tiny")
    write_torchvision(variables, tmp_path / "x.safetensors")
    net = torch_twin.ResNet("tiny")  # has no classifier
    net.load_state_dict(load(tmp_path / "x.safetensors"), strict=True)
    state = net.state_dict()
    for name, value in torch_twin.flax_to_torch(variables["batch_stats"]["encoder"]).items():
        assert torch.equal(state[name], value)
    net.fc = torch.nn.Linear(64, 10)
    with pytest.raises(RuntimeError, match="fc"):
        net.load_state_dict(load(tmp_path / "x.safetensors"), strict=True)
    write_torchvision(variables, tmp_path / "y.safetensors", classes=10)
    net.load_state_dict(load(tmp_path / "y.safetensors"), strict=True)


def test_normalisation_stays_with_the_weights(tmp_path):
    path = tmp_path / "x.safetensors"
    write_torchvision(variables_of("tiny"), path, normalisation="monodepth2")
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {
            "format": "pt",
            "encoder": "tiny",
            "normalisation": "monodepth2",
        }
    assert read_weights(path).normalisation == "monodepth2"
    write_torchvision(variables_of("tiny"), path, normalisation="other")
    with pytest.raises(WeightsError, match=r"normalised as 'other'; known are imagenet, monodep"):
        read_weights(path)


def test_what_cannot_be_written(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(WeightsError, match=r"no encoder to write among the parts \['head'\]"):
        write_torchvision({"params": {"head": {}}, "batch_stats": {}}, path)
    lacking = jax.tree.map(np.asarray, variables_of("tiny"))
    del lacking["batch_stats"]["encoder"]["layer1_0"]["bn1"]["var"]
    with pytest.raises(WeightsError, match=r"layer1\.0\.bn1\.running_var is missing"):
        write_torchvision(lacking, path)
    assert not path.exists()


def run(capsys, *arguments):
    code = weights.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_command_converts_and_describes(tmp_path, capsys):
    source = tmp_path / "model.pth"
    fabricate.write_zip(source, fabricate.state_dict(resnets.torchvision("tiny")))
    out = tmp_path / "converted"
    code, text = run(capsys, source, "--out", out, "--encoder", "tiny")
    assert code == 0, text
    assert "tiny from torchvision" in text
    assert "left out: fc.bias, fc.weight" in text
    described = json.loads((out / "weights.json").read_text())
    assert described["kind"] == "torchvision"
    assert described["encoder"] == "tiny"
    assert described["source"] == "model.pth"
    assert described["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    written = (out / "weights.safetensors").read_bytes()
    assert described["sha256"] == hashlib.sha256(written).hexdigest()
    with safetensors.safe_open(out / "weights.safetensors", "np") as file:
        assert "params/encoder/layer4_0/downsample_0/kernel" in file.keys()  # noqa: SIM118
        assert file.metadata()["kind"] == "torchvision"

    for place in (out, out / "weights.safetensors"):
        found = read_weights(place)
        assert_equal(found.variables, variables_of("tiny"))
        assert (found.kind, found.encoder) == ("torchvision", "tiny")
        assert found.source == {"name": "model.pth", "sha256": described["source_sha256"]}
    # Once more, from what was converted: the same bytes, and the first source stays named.
    run(capsys, out, "--out", tmp_path / "again")
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == written


def test_command_writes_a_runs_encoder_for_pytorch(tmp_path, capsys):
    variables = jax.tree.map(jnp.asarray, variables_of("tiny"))
    state = TrainState(step=jnp.asarray(3, jnp.int32), opt_state={}, **variables)
    state = jax.device_put(state, sharding.replicated(sharding.make_mesh(jax.devices()[:1])))
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    model = {"encoder": "tiny", "normalisation": "monodepth2"}
    checkpoints.save(3, state, {"config": {"model": model, "task": {"name": "selfsup_depth"}}})
    checkpoints.close()
    out = tmp_path / "tiny.safetensors"
    origin = {
        "name": "run/checkpoints/3",
        "sha256": sha256_of(variables["params"]),
        "task": "selfsup_depth",
    }
    for source in (tmp_path / "run", tmp_path / "run" / "checkpoints" / "3"):
        out.unlink(missing_ok=True)
        code, text = run(capsys, source, "--to=torchvision", f"--out={out}")
        assert code == 0, text
        assert "the names alone are torchvision's" in text
        found = read_weights(out)
        assert_equal(found.variables, variables_of("tiny"))
        assert found.normalisation == "monodepth2"
        assert found.source == origin
    # The run stays named in what is made of its file.
    code, text = run(capsys, out, f"--out={tmp_path / 'converted'}")
    assert code == 0, text
    assert read_weights(tmp_path / "converted").source == origin
    assert json.loads((tmp_path / "converted" / "weights.json").read_text())["source_task"] == (
        "selfsup_depth"
    )
    code, text = run(capsys, tmp_path / "run", f"--out={tmp_path / 'x'}")
    assert code == 1
    assert "init_from takes it as it is" in text


def test_command_refuses_in_one_line(tmp_path, capsys):
    source = tmp_path / "model.pth"
    fabricate.write_zip(source, fabricate.state_dict(resnets.torchvision("tiny")))
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "copy" / "best" / "state").mkdir(parents=True)
    for arguments, message in (
        ((source, "--encoder=resnet50"), "is a tiny, not a resnet50"),
        ((tmp_path / "none.pth",), "is not there"),
        ((tmp_path / "run",), "no checkpoint yet"),
        ((source, "--to=torchvision"), "ends in .safetensors"),
        ((source, "--to=torchvision", "--classes=-5", f"--out={tmp_path}/x.safetensors"), "=-5 mu"),
        ((tmp_path / "copy" / "best",), "must be called by its step"),
        ((tmp_path / "copy" / "best", "--step=2"), "is no workdir: name one with --step=2"),
        ((source, "--step=2"), "is no workdir: name one with --step=2"),
    ):
        code, text = run(capsys, "--out", tmp_path / "out", *arguments)
        assert code == 1
        assert text.startswith("error: ")
        assert message in text
        assert text.count("\n") == 1
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "x.safetensors").exists()


def test_help_tells_what_is_read(capsys):
    with pytest.raises(SystemExit):
        weights.main(["--help"])
    said = capsys.readouterr().out
    assert "python -m geoseg_jax.weights WORKDIR --to=torchvision" in said
    assert "MoCo v2 checkpoints" in said
