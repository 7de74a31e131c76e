"""Files of vision transformers: what is recognised, changed and refused; the forward pass."""

import argparse
import functools
import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from geoseg_jax import models, weights
from geoseg_jax.interop import WeightsError, read_weights, vits, write_timm
from geoseg_jax.models import encoders, vit
from geoseg_jax.ops.sampling import resize_matrix
from tests.interop import fabricate
from tests.models import weights as random_weights
from tests.models.test_recorded import digest

WIDTH, DEPTH, HEADS = 32, 4, 2
# As DINOv2's with registers, in small.
MINI, MINI_PARTS = "vit_mini_dinov2", {"grid": 5, "registers": 2, "layer_scale": 1e-5}
# Of the last map, printed by `python -m tests.interop.test_vits` from what PyTorch computes.
RECORDED = {
    "timm": [-0.0114591, 0.981521, 0.740546],
    "dinov2": [-0.00503119, 0.986119, 0.298236],
}


def timm(grid=14, patch=16, registers=0, scaled=False, place_cls=1, seed=0):
    """A state dict by timm's names, random."""
    generator = np.random.default_rng(seed)

    def draw(*shape, around=0.0):
        scale = np.sqrt(1 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        values = around + scale * generator.standard_normal(shape)
        return values.astype(np.float32)

    def linear(name, outputs, inputs):
        return {f"{name}.weight": draw(outputs, inputs), f"{name}.bias": draw(outputs)}

    def norm(name):
        return {f"{name}.weight": draw(WIDTH, around=1.0), f"{name}.bias": draw(WIDTH)}

    arrays = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, grid**2 + place_cls, WIDTH) * 10,
        "patch_embed.proj.weight": draw(WIDTH, 3, patch, patch),
        "patch_embed.proj.bias": draw(WIDTH),
    }
    if registers:
        arrays["reg_token"] = draw(1, registers, WIDTH)
    for i in range(DEPTH):
        block = f"blocks.{i}"
        arrays |= norm(f"{block}.norm1") | norm(f"{block}.norm2")
        arrays |= linear(f"{block}.attn.qkv", 3 * WIDTH, WIDTH)
        arrays |= linear(f"{block}.attn.proj", WIDTH, WIDTH)
        arrays |= linear(f"{block}.mlp.fc1", 4 * WIDTH, WIDTH)
        arrays |= linear(f"{block}.mlp.fc2", WIDTH, 4 * WIDTH)
        if scaled:
            arrays |= {f"{block}.ls{k}.gamma": draw(WIDTH, around=0.5) for k in (1, 2)}
    return arrays | norm("norm")


DINOV2 = {"grid": 5, "patch": 14, "registers": 2, "scaled": True}
HEAD = {"head.weight": np.zeros((7, WIDTH), np.float32), "head.bias": np.zeros(7, np.float32)}


@pytest.fixture
def mini(monkeypatch):
    monkeypatch.setitem(encoders.ENCODERS, MINI, functools.partial(vit.ViTTiny, **MINI_PARTS))


def write(path, arrays):
    if path.suffix == ".safetensors":
        arrays = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
        safetensors.numpy.save_file(arrays, path)
    else:
        fabricate.write_zip(path, fabricate.state_dict(arrays))
    return path


def forward(found, images):
    encoder = models.make_encoder(found.encoder, normalisation=found.normalisation)
    params = found.variables["params"]["encoder"]
    return jax.jit(lambda v, x: encoder.apply(v, x, False)[32])({"params": params}, images)


def run_torch(images, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), **kind):
    import torch

    from benchmarks import torch_vit

    scaled, grid = kind.get("scaled", False), kind.get("grid", 14)
    parts = {k: kind[k] for k in ("patch", "registers", "place_cls") if k in kind}
    net = torch_vit.ViT(WIDTH, DEPTH, HEADS, grid, scaled=scaled, mean=mean, std=std, **parts)
    net.load_state_dict({n: torch.tensor(a) for n, a in timm(**kind).items()}, strict=True)
    with torch.no_grad():
        maps, _ = net(torch.tensor(images).permute(0, 3, 1, 2))
    return maps[-1].permute(0, 2, 3, 1).numpy()


def check_forward(name, found, images, seen, **kind):
    """Against what PyTorch gives for `seen`: now where it is, as recorded elsewhere."""
    ours = forward(found, images)
    np.testing.assert_allclose(digest(ours), RECORDED[name], rtol=1e-4, atol=1e-5)
    pytest.importorskip("torch", reason="PyTorch is not installed; the recorded values agreed")
    expected = run_torch(seen, **kind)
    assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()


def timm_case():
    images, half = random_weights.images((1, 48, 80, 3)), ((0.5,) * 3,) * 2
    return images, {"mean": half[0], "std": half[1]}


def test_timms_forward_pass(tmp_path):
    """Its grid of 14 x 14 on 3 x 5 patches, its class token's position, Google's normalisation."""
    images, normalisation = timm_case()
    path = write(tmp_path / "x.pth", timm() | HEAD)
    with pytest.raises(WeightsError, match=r"x\.pth is a ViT with a classifier.*--normalisation"):
        read_weights(path)
    found = read_weights(path, "half")
    assert found[1:3] + found[4:6] == ("timm", "vit_tiny", "half", ("head.bias", "head.weight"))
    assert found.changed == ()
    assert found.variables["batch_stats"] == {}
    check_forward("timm", found, images, images, **normalisation)


def dinov2_case():
    """A picture of patches of 14, and the same with each patch enlarged to 16."""
    rows, columns = 3, 4
    patches = random_weights.images((1, rows, columns, 14, 14, 3))
    larger = resize_matrix(14, 16).astype(np.float32)
    enlarged = np.einsum("ai,bj,nyxijc->nyxabc", larger, larger, patches)

    def whole(tiles):
        side = tiles.shape[3]
        return tiles.swapaxes(2, 3).reshape(1, rows * side, columns * side, 3)

    return whole(enlarged), whole(patches)


def test_dinov2s_forward_pass(tmp_path, mini):
    """Enlarged patches give its numbers exactly; its registers under its own name."""
    arrays = timm(**DINOV2)
    arrays["register_tokens"] = arrays.pop("reg_token")
    arrays["mask_token"] = np.zeros((1, WIDTH), np.float32)
    found = read_weights(write(tmp_path / "x.pth", arrays))
    assert found[1:3] + found[4:6] == ("dinov2", MINI, "imagenet", ("mask_token",))
    assert found.changed == ("patch_embed 14x14 -> 16x16",)
    check_forward("dinov2", found, *dinov2_case(), **DINOV2)


def test_layer_scale_of_others_than_dinov2_is_refused(tmp_path, mini):
    """DeiT III's positions would be resampled to DINOv2's grid and back."""
    arrays = timm(grid=14, patch=16, registers=2, scaled=True)
    with pytest.raises(WeightsError, match="positions of 14x14, as DeiT III is"):
        read_weights(write(tmp_path / "x.pth", arrays), "imagenet")


def test_resampled_patches_answer_enlarged_ones():
    """Also where the size is no multiple, and flat patches even where they are made smaller."""
    generator = np.random.default_rng(0)
    kernel = generator.standard_normal((6, 6, 2, 3)).astype(np.float32)
    patch = generator.standard_normal((6, 6, 2))
    larger = resize_matrix(6, 16)
    enlarged = np.einsum("ai,bj,ijc->abc", larger, larger, patch)
    new = vits.resample_patches(kernel)
    ours, expected = (np.einsum("ijc,ijco->o", p, k) for p, k in ((enlarged, new), (patch, kernel)))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
    np.testing.assert_array_equal(vits.resample_patches(new, 16), new)


@pytest.mark.parametrize("size", ["whole", "pre-trained", "fine-tuned"])
def test_maes_checkpoints(tmp_path, size):
    arrays, left = timm(), ()
    arrays["pos_embed"][:, 0] = 0  # of the class token
    if size == "whole":
        decoder = {"decoder_pos_embed", "decoder_embed.weight", "decoder_blocks.0.norm1.weight"}
        left = (*sorted(decoder), "mask_token")
        arrays |= {name: np.zeros(3, np.float32) for name in left}
    elif size == "fine-tuned":
        left = ("head.bias", "head.weight")
        arrays |= HEAD | {f"fc_norm.{n}": arrays.pop(f"norm.{n}") for n in ("weight", "bias")}
    state = fabricate.state_dict(arrays)
    # As training scripts leave it: their flags beside the state.
    flags = argparse.Namespace(model="mae_vit_base_patch16", batch_size=64)
    fabricate.write_zip(tmp_path / "x.pth", {"model": state, "epoch": 3, "args": flags})
    found = read_weights(tmp_path / "x.pth")
    assert found.kind == ("mae" if size == "whole" else "timm")
    assert (found.encoder, found.normalisation, found.prefix) == ("vit_tiny", "imagenet", "model.")
    assert found.dropped == ("args", "epoch", *(f"model.{name}" for name in left))
    assert found.changed == (("fc_norm -> norm",) if size == "fine-tuned" else ())
    arrays = timm()
    arrays["pos_embed"][:, 0] = 0
    plain = read_weights(write(tmp_path / "y.safetensors", arrays))
    jax.tree.map(np.testing.assert_array_equal, found.variables, plain.variables)
    params = found.variables["params"]["encoder"]
    place = timm()["pos_embed"]
    np.testing.assert_array_equal(params["pos_embed"], place[0, 1:].reshape(14, 14, WIDTH))
    np.testing.assert_array_equal(
        params["blocks_3"]["mlp"]["fc1"]["kernel"], timm()["blocks.3.mlp.fc1.weight"].T
    )


def test_a_vit_that_does_not_show_who_trained_it_is_refused(tmp_path):
    """Google's saved by timm without its classifier, and DINO's bare backbone, look the same."""
    path = write(tmp_path / "x.pth", timm())
    with pytest.raises(
        WeightsError, match=r"x\.pth is a ViT without a class.*--normalisation=half"
    ):
        read_weights(path)
    found = read_weights(path, "half")
    assert found.normalisation == "half"
    params, place = found.variables["params"]["encoder"], timm()["pos_embed"]
    np.testing.assert_array_equal(params["cls_token"], (timm()["cls_token"] + place[:, :1])[0])


def test_dinos_teacher_is_taken(tmp_path):
    student, teacher = (
        {f"{prefix}backbone.{n}": a for n, a in timm(seed=seed).items()}
        for prefix, seed in (("module.", 1), ("", 0))
    )
    teacher["head.mlp.0.weight"] = np.zeros((3, 3), np.float32)
    states = {"student": fabricate.state_dict(student), "teacher": fabricate.state_dict(teacher)}
    fabricate.write_zip(tmp_path / "x.pth", states)
    found = read_weights(tmp_path / "x.pth")
    assert found.prefix == "teacher.backbone."
    assert found.dropped == ("student.*", "teacher.head.*")
    kernel = found.variables["params"]["encoder"]["blocks_0"]["attn"]["proj"]["kernel"]
    np.testing.assert_array_equal(kernel, timm()["blocks.0.attn.proj.weight"].T)


def test_positions_of_another_grid_are_resampled(tmp_path):
    # A plane is a plane after any resampling; here away from the borders.
    arrays, side = timm(grid=24), 24
    plane = np.broadcast_to(np.arange(side)[:, None, None] + 0.5, (side, side, WIDTH)) / side
    arrays["pos_embed"][0, 1:] = plane.reshape(-1, WIDTH)
    found = read_weights(write(tmp_path / "x.pth", arrays), "imagenet")
    assert found.changed == ("pos_embed 24x24 -> 14x14",)
    grid = found.variables["params"]["encoder"]["pos_embed"]
    expected = np.broadcast_to((np.arange(14)[:, None] + 0.5) / 14, (14, 14))
    np.testing.assert_allclose(grid[3:-3, :, 5], expected[3:-3], atol=1e-3)


def test_the_hubs_description_tells_the_normalisation(tmp_path):
    path = write(tmp_path / "model.safetensors", timm() | HEAD)
    described = {"mean": [0.5] * 3, "std": [0.5] * 3}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architecture": "vit", "pretrained_cfg": described}))
    assert read_weights(path).normalisation == "half"
    described["mean"] = [0.1, 0.2, 0.3]
    config.write_text(json.dumps({"pretrained_cfg": described}))
    with pytest.raises(WeightsError, match=r"by mean \(0\.1, 0\.2, 0\.3\).*known are imagenet"):
        read_weights(path)
    assert read_weights(path, "imagenet").normalisation == "imagenet"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cls_token": None}, "is a ViT without class token"),
        ({"norm.weight": None}, r"is not a vit_tiny: norm\.weight is missing"),
        ({"norm_pre.weight": np.zeros(3, np.float32)}, r"norm_pre\.weight is superfluous"),
        ({"dist_token": np.zeros((1, 1, WIDTH), np.float32)}, "dist_token is superfluous"),
        ({"blocks.4.norm1.weight": np.zeros(WIDTH, np.float32)}, "is a ViT of 5 blocks, width 32"),
        ({"reg_token": np.zeros((1, 3, WIDTH), np.float32)}, "3 registers without layer scale"),
        ({"pos_embed": np.zeros((1, 12, WIDTH), np.float32)}, "12 position vectors"),
        ({"pos_embed": np.full((1, 197, WIDTH), np.nan, np.float32)}, "pos_embed.*not finite"),
        ({"blocks.0.mlp.fc1.weight": np.zeros((5, WIDTH), np.float32)}, r"shape \[5, 32\] inste"),
    ],
)
def test_files_that_almost_fit(tmp_path, change, message):
    arrays = {n: a for n, a in (timm() | change).items() if a is not None}
    with pytest.raises(WeightsError, match=message) as error:
        read_weights(write(tmp_path / "x.safetensors", arrays))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["vit_tiny", MINI])
def test_timms_names_there_and_back(tmp_path, mini, kind):
    arrays = timm(**DINOV2) if kind == MINI else timm()
    variables = read_weights(write(tmp_path / "x.pth", arrays), "imagenet").variables
    path = tmp_path / "x.safetensors"
    write_timm(variables, path, kind, normalisation="half", classes=3)
    found = read_weights(path)
    assert (found.encoder, found.normalisation) == (kind, "half")
    assert found.dropped == ("head.bias", "head.weight")
    jax.tree.map(np.testing.assert_array_equal, found.variables, variables)
    arrays = safetensors.numpy.load_file(path)
    like = timm(**DINOV2 | {"patch": 16, "place_cls": 0}) if kind == MINI else timm()
    shapes = {n: a.shape for n, a in arrays.items() if not n.startswith("head.")}
    assert shapes == {n: a.shape for n, a in like.items()}
    with pytest.raises(WeightsError, match="resnet18, which is no ViT"):
        write_timm(variables, path, "resnet18")
    with pytest.raises(WeightsError, match=r"not a vit_s16: .*blocks_10/attn/proj/bias is missing"):
        write_timm(variables, path, "vit_s16")


def run(capsys, *arguments):
    code = weights.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_command_converts_describes_and_exports(tmp_path, capsys):
    source = write(tmp_path / "x.pth", timm(grid=7) | HEAD)
    code, text = run(capsys, source, "--out", tmp_path / "y")
    assert code == 1
    assert "--normalisation=imagenet or" in text
    flags = ("--out", tmp_path / "y", "--normalisation=half")
    code, text = run(capsys, source, *flags)
    assert code == 0, text
    assert "vit_tiny from timm" in text
    assert "normalisation half" in text
    assert "changed: pos_embed 7x7 -> 14x14" in text
    described = json.loads((tmp_path / "y" / "weights.json").read_text())
    assert described["changed"] == ["pos_embed 7x7 -> 14x14"]
    found = read_weights(tmp_path / "y")
    assert (found.kind, found.encoder, found.normalisation) == ("timm", "vit_tiny", "half")
    jax.tree.map(np.testing.assert_array_equal, found.variables, read_weights(source, "half")[0])
    out = tmp_path / "z.safetensors"
    code, text = run(capsys, tmp_path / "y", "--to=torchvision", "--out", out)
    assert code == 1
    assert "a vit_tiny goes with --to=timm" in text
    code, text = run(capsys, tmp_path / "y", "--to=timm", "--out", out)
    assert code == 0, text
    assert read_weights(out).source == found.source


if __name__ == "__main__":
    seen, kind = timm_case()
    for name, value in (
        ("timm", run_torch(seen, **kind)),
        ("dinov2", run_torch(dinov2_case()[1], **DINOV2)),
    ):
        print(f'    "{name}": [{", ".join(f"{v:.6g}" for v in digest(value))}],')
