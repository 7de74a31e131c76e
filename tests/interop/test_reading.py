"""What is recognised, what is taken of it, and what is refused with which line."""

import functools
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from geoseg_jax import models
from geoseg_jax.interop import WeightsError, names, read_weights
from tests.interop import fabricate, resnets
from tests.models import weights
from tests.models.test_recorded import digest

CHANNELS = (4, 4, 8, 8, 16)
# Parameters of torchvision's models as its documentation counts them.
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
}
# Of the last stage of what PyTorch computes; printed by `python -m tests.interop.test_reading`.
RECORDED = [0.4875, 1.07117, 0]


def write(path: pathlib.Path, arrays, kind: str = "zip") -> pathlib.Path:
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path)
    else:
        fabricate.FORMATS[kind](path, fabricate.state_dict(arrays))
    return path


@pytest.mark.parametrize("kind", [*fabricate.FORMATS, "safetensors"])
def test_torchvision_in_every_format(tmp_path, kind):
    name = "x.safetensors" if kind == "safetensors" else "x.pth"
    path = write(tmp_path / name, resnets.torchvision("tiny"), kind)
    found = read_weights(path)
    resnets.assert_is_encoder(found.variables, "tiny")
    assert found[1:5] == ("torchvision", "tiny", sha256(path), "imagenet")
    assert found.dropped == ("fc.bias", "fc.weight")
    leaves = jax.tree.leaves(found.variables)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_architectures_are_recognised(kind):
    shapes = {name: slot.shape for name, slot in names.encoder_slots(kind).items()}
    assert names.recognise(shapes) == kind
    # torchvision's published count, classifier included, and its statistics.
    wide = names.stage_channels(kind)[32]
    counted = [np.prod(s) for n, s in shapes.items() if not n.endswith(("_mean", "_var"))]
    assert sum(counted) + 1000 * (wide + 1) == PUBLISHED[kind]


def test_a_wide_resnet_is_not_taken_for_the_usual_one():
    shapes = {name: slot.shape for name, slot in names.encoder_slots("resnet50").items()}
    shapes["layer1.0.conv1.weight"] = (128, 64, 1, 1)
    with pytest.raises(
        WeightsError, match=r"not a resnet50: layer1\.0\.conv1\.weight has shape \[128"
    ):
        names.check(names.encoder_slots(names.recognise(shapes)), shapes, "a resnet50")
    deep = {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv3.weight": (256, 64, 1, 1)}
    deep |= {f"layer3.{i}.conv1.weight": (256, 1024, 1, 1) for i in range(36)}
    with pytest.raises(
        WeightsError, match=r"\(1, 0, 36, 0\) bottlenecks and 64 channels, which is"
    ):
        names.recognise(deep)


def test_wrapped_and_data_parallel(tmp_path):
    state = fabricate.state_dict(resnets.torchvision("tiny", "module."))
    for wrapper in ("state_dict", "model"):
        fabricate.write_zip(tmp_path / "x.pth", {"epoch": 3, "arch": "x", wrapper: state})
        resnets.assert_is_encoder(read_weights(tmp_path / "x.pth").variables, "tiny")


def test_moco_takes_the_query_encoder_alone(tmp_path):
    arrays = resnets.torchvision("tiny", "module.encoder_q.")
    arrays |= {n.replace("encoder_q", "encoder_k"): a * 0 for n, a in arrays.items()}
    for layer in (0, 2):  # version 2: a classifier of two layers
        arrays[f"module.encoder_q.fc.{layer}.weight"] = np.zeros((4, 4), np.float32)
    arrays |= {"module.queue": np.zeros((4, 8), np.float32), "module.queue_ptr": np.zeros(1)}
    state = {"epoch": 200, "state_dict": fabricate.state_dict(arrays), "optimizer": {"state": {}}}
    fabricate.write_pickles(tmp_path / "moco.pth.tar", state)
    found = read_weights(tmp_path / "moco.pth.tar")
    resnets.assert_is_encoder(found.variables, "tiny")
    assert found.kind == "moco"
    module = "state_dict.module."
    assert set(found.dropped) == {
        *(f"{module}encoder_q.fc.{n}" for n in ("weight", "bias", "0.weight", "2.weight")),
        *(f"{module}{name}" for name in ("encoder_k.*", "queue", "queue_ptr")),
        *("epoch", "optimizer.*"),
    }


@functools.cache
def monodepth2(kind="tiny") -> tuple[dict, dict, dict]:
    """encoder.pth and depth.pth of random numbers, and the variables that they are."""
    net, images = models.SelfSupDepthNet(kind, CHANNELS, pose_encoder=""), jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), images, images[:0], False))
    params = weights.randomise(shapes)["params"]
    encoder = resnets.torchvision(kind, "encoder.")
    modules = [f"upconv_{level}_{i}" for level in (4, 3, 2, 1, 0) for i in (0, 1)]
    depth = {}
    for number, module in enumerate(modules + [f"dispconv_{scale}" for scale in range(4)]):
        leaves = (params["decoder"] | params["head"])[module]
        conv = f"decoder.{number}.conv.conv" if number < 10 else f"decoder.{number}.conv"
        depth[f"{conv}.weight"] = leaves["kernel"].transpose(3, 2, 0, 1)
        depth[f"{conv}.bias"] = leaves["bias"]
    return encoder, depth, {part: params[part] for part in ("decoder", "head")}


def write_monodepth2(folder: pathlib.Path) -> dict:
    encoder, depth, params = monodepth2()
    sizes = {"height": 192, "width": 640, "use_stereo": True}
    fabricate.write_pickles(folder / "encoder.pth", fabricate.state_dict(encoder) | sizes)
    fabricate.write_zip(folder / "depth.pth", fabricate.state_dict(depth))
    return params


def test_monodepth2_folder(tmp_path):
    params = write_monodepth2(tmp_path)
    found = read_weights(tmp_path)
    resnets.assert_is_encoder(found.variables, "tiny")
    for part, expected in params.items():
        jax.tree.map(np.testing.assert_array_equal, found.variables["params"][part], expected)
    assert set(found.variables["params"]) == {"encoder", "decoder", "head"}
    assert (found.kind, found.encoder, found.normalisation) == ("monodepth2", "tiny", "monodepth2")
    assert set(found.dropped) == {
        *("height", "width", "use_stereo", "encoder.fc.weight", "encoder.fc.bias")
    }
    lines = [f"{n} {sha256(tmp_path / n)}\n" for n in ("depth.pth", "encoder.pth")]
    assert found.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_monodepth2_files_alone(tmp_path):
    params = write_monodepth2(tmp_path)
    encoder = read_weights(tmp_path / "encoder.pth")
    assert set(encoder.variables["params"]) == {"encoder"}
    assert encoder.encoder == "tiny"
    depth = read_weights(tmp_path / "depth.pth")
    assert set(depth.variables["params"]) == {"decoder", "head"}
    assert depth.encoder == ""
    jax.tree.map(np.testing.assert_array_equal, depth.variables["params"], params)
    (tmp_path / "depth.pth").unlink()
    assert read_weights(tmp_path).sha256 == sha256(tmp_path / "encoder.pth")


@pytest.mark.parametrize(
    "beside", [("height", "width"), ("decoder",), ("height", "width", "decoder")]
)
def test_what_only_resembles_monodepth2s_is_asked_for(tmp_path, beside):
    """An encoder with a picture's size, or a decoder of those names, is another framework's too."""
    encoder, depth, _ = monodepth2()
    entries = fabricate.state_dict(encoder) | {n: 192 for n in beside if n != "decoder"}
    if "decoder" in beside:
        entries |= fabricate.state_dict(depth)
    fabricate.write_pickles(tmp_path / "a.pth", entries)
    with pytest.raises(WeightsError, match=r"a\.pth has what .* --normalisation=imagenet$"):
        read_weights(tmp_path / "a.pth")
    for name in ("imagenet", "monodepth2"):
        found = read_weights(tmp_path / "a.pth", normalisation=name)
        assert found.normalisation == name
        resnets.assert_is_encoder(found.variables, "tiny")
    fabricate.write_pickles(
        tmp_path / "b.pth", entries | {"use_stereo": False, "height": 1, "width": 1}
    )
    assert read_weights(tmp_path / "b.pth").normalisation == "monodepth2"


def test_two_files_of_monodepth2s_names_without_its_marks_are_asked_for(tmp_path):
    encoder, depth, _ = monodepth2()
    write(tmp_path / "encoder.pth", encoder)
    write(tmp_path / "depth.pth", depth)
    with pytest.raises(WeightsError, match=r"has what monodepth2's files have"):
        read_weights(tmp_path)
    assert read_weights(tmp_path, "monodepth2").normalisation == "monodepth2"


def test_a_decoder_that_belongs_to_another_encoder_is_refused(tmp_path):
    encoder, depth, _ = monodepth2()
    write(tmp_path / "encoder.pth", encoder)
    other = {"decoder.0.conv.conv.weight": np.zeros((16, 512, 3, 3), np.float32)}
    write(tmp_path / "depth.pth", depth | other)
    with pytest.raises(
        WeightsError,
        match=r"a tiny with monodepth2's depth decoder: decoder\.0\.conv\.conv\.weight has shape "
        r"\[16, 512, 3, 3\] instead of \[16, 64, 3, 3\]$",
    ):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer2.0.bn1.bias": None}, r"is not a tiny: layer2\.0\.bn1\.bias is missing$"),
        ({"layer2.0.gate": np.zeros(3)}, r"is not a tiny: layer2\.0\.gate is superfluous$"),
        (
            {"layer1.0.conv1.weight": np.zeros((8, 8, 1, 1), np.float32)},
            r"layer1\.0\.conv1\.weight has shape \[8, 8, 1, 1\] instead of \[8, 8, 3, 3\]$",
        ),
        (
            {"conv1.weight": np.zeros((8, 6, 7, 7), np.float32)},
            r"conv1\.weight has shape \[8, 6, 7, 7\] instead of \[8, 3, 7, 7\]$",
        ),
        ({"layer3.1.conv1.weight": np.zeros(3)}, r"\(1, 1, 2, 1\) basic blocks and 8 channels"),
        ({"conv1.weight": np.full((8, 3, 7, 7), np.nan, np.float32)}, r"conv1\.weight.*not finite"),
        ({f"layer1.0.x{i}": np.zeros(1) for i in range(9)}, r"; and 6 more$"),
    ],
)
def test_files_that_almost_fit(tmp_path, change, message):
    arrays = {n: a for n, a in (resnets.torchvision("tiny") | change).items() if a is not None}
    for path in (tmp_path / "x.pth", tmp_path / "x.safetensors"):
        with pytest.raises(WeightsError, match=message) as error:
            read_weights(write(path, arrays))
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "neither a PyTorch file"),
        (b"version https://git-lfs", "neither a PyTorch file"),
        ((99).to_bytes(8, "little") + b'{"a":', "truncated or damaged"),
        ((2).to_bytes(8, "little") + b"{}", "no known architecture"),
    ],
)
def test_files_that_are_no_weights(tmp_path, content, message):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as error:
        read_weights(path)
    assert str(error.value).startswith(str(path))


def test_other_refusals(tmp_path):
    with pytest.raises(WeightsError, match="is not there"):
        read_weights(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="normalisation='imgnet' is none of imagenet, "):
        read_weights(tmp_path / "absent.pth", "imgnet")
    with pytest.raises(WeightsError, match="holds neither weights"):
        read_weights(tmp_path)
    vit = {"blocks.0.attn.qkv.weight": np.zeros((3, 3), np.float32), "pos_embed": np.zeros(3)}
    with pytest.raises(WeightsError, match=r"no known architecture \(tensors: blocks\.0\.attn"):
        read_weights(write(tmp_path / "vit.pth", vit))
    fabricate.write_zip(tmp_path / "x.pth", [1, 2])
    with pytest.raises(WeightsError, match="a list instead of a state dict"):
        read_weights(tmp_path / "x.pth")
    whole = write(tmp_path / "y.safetensors", resnets.torchvision("tiny")).read_bytes()
    for length in (5, 100, len(whole) - 1):
        (tmp_path / "y.safetensors").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"y\.safetensors (is truncated|is neither)"):
            read_weights(tmp_path / "y.safetensors")


def forward(path, images):
    found = read_weights(path)
    encoder = models.make_encoder(found.encoder, normalisation=found.normalisation)
    variables = {collection: tree["encoder"] for collection, tree in found.variables.items()}
    return jax.jit(lambda v, x: encoder.apply(v, x, False)[32])(variables, images)


def test_the_forward_pass_is_pytorchs(tmp_path):
    """Through a file: recorded values everywhere, PyTorch itself where it is.

    tests/models compares ResNet-18 and 50 given the variables, which read_weights gives bit by bit.
    """
    images = weights.images((1, 64, 96, 3))
    ours = forward(write(tmp_path / "x.pth", resnets.torchvision("tiny")), images)
    np.testing.assert_allclose(digest(ours), RECORDED, rtol=1e-4)
    pytest.importorskip("torch", reason="PyTorch is not installed; the recorded values agreed")
    expected = run_torch("tiny", images)
    assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()


def test_monodepth2s_forward_pass_is_pytorchs(tmp_path):
    """Its encoders normalise by 0.45 and 0.225, its decoder is read into ours."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    from benchmarks import torch_twin

    write_monodepth2(tmp_path)
    found = read_weights(tmp_path)
    images = weights.images((1, 64, 96, 3))
    net = models.SelfSupDepthNet("tiny", CHANNELS, pose_encoder="", normalisation="monodepth2")
    ours = jax.jit(lambda v: net.apply(v, images, False, method="disparities"))(found.variables)
    encoder = torch_twin.ResNet("tiny")
    encoder.mean[:], encoder.std[:] = 0.45, 0.225
    decoder, head = torch_twin.Decoder(encoder.channels, CHANNELS), torch_twin.Head(CHANNELS)
    for module, part in ((encoder, "encoder"), (decoder, "decoder"), (head, "head")):
        tree = {c: found.variables[c].get(part, {}) for c in ("params", "batch_stats")}
        torch_twin.load_flax(module.eval(), tree)
    with torch.no_grad():
        expected = head(decoder(encoder(torch.tensor(images).permute(0, 3, 1, 2))))
    for ours_at, theirs in zip(ours, expected, strict=True):
        assert np.abs(ours_at - theirs.numpy()).max() < 1e-4


def run_torch(kind, images) -> np.ndarray:
    """Loads the state dict by PyTorch's own names, as torchvision's model would."""
    import torch

    from benchmarks import torch_twin

    net = torch_twin.ResNet(kind).eval()
    arrays = resnets.torchvision(kind)
    state = {n: torch.tensor(a) for n, a in arrays.items() if not n.startswith("fc.")}
    net.load_state_dict(state, strict=True)
    with torch.no_grad():
        return net(torch.tensor(images).permute(0, 3, 1, 2))[-1].permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    values = digest(run_torch("tiny", weights.images((1, 64, 96, 3))))
    print(f"RECORDED = [{', '.join(f'{v:.6g}' for v in values)}]")
