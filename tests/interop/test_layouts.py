"""Checkpoints as the projects that wrote them lay them out: found whole, and bit for bit."""

import argparse
import collections
import datetime
import pathlib

import jax
import numpy as np
import pytest

from geoseg_jax import weights
from geoseg_jax.interop import WeightsError, layouts, read_weights
from tests.interop import fabricate, resnets, test_vits
from tests.interop.test_vits import mini  # noqa: F401

TINY = "tiny"


def tensors(arrays):
    return fabricate.state_dict(arrays)


def resnet(prefix="", **more):
    """A tiny ResNet's state dict under a prefix; more: further arrays by name, dots as '__'."""
    arrays = resnets.torchvision(TINY, prefix)
    return tensors(arrays | {name.replace("__", "."): np.ones(2, np.float32) for name in more})


def other(prefix):
    """The arrays of another network of that kind."""
    return {name: array * 0 + 3 for name, array in resnets.torchvision(TINY, prefix).items()}


def sequential(prefix):
    """As torch.nn.Sequential(*children) without the classifier numbers the modules."""
    places = {"conv1": "0", "bn1": "1", **{f"layer{i}": str(i + 3) for i in (1, 2, 3, 4)}}
    arrays = {}
    for name, array in resnets.torchvision(TINY).items():
        first, _, rest = name.partition(".")
        if first in places:
            arrays[f"{prefix}{places[first]}.{rest}"] = array
    return tensors(arrays)


# What wrote it -> (content, where the encoder is).
RESNETS = {
    "torchvision": (resnet(), ""),
    "a training script": ({"epoch": 3, "model_state_dict": resnet()}, "model_state_dict."),
    "timm's training": ({"arch": "x", "state_dict": resnet()}, "state_dict."),
    "DataParallel": ({"model": resnet("module.")}, "model.module."),
    "torch.compile": (resnet("_orig_mod."), "_orig_mod."),
    "an averaged model": (resnet("module.", n_averaged=1), "module."),
    "Lightning": ({"state_dict": resnet("model."), "loops": {"fit_loop": {}}}, "state_dict.model."),
    "DeepLabV3": (
        resnet("backbone.", classifier__4__weight=1, aux_classifier__4__weight=1),
        "backbone.",
    ),
    "segmentation_models.pytorch": (
        resnet("encoder.", decoder__blocks__0__conv1__0__weight=1, segmentation_head__0__weight=1),
        "encoder.",
    ),
    "mmseg": (
        {"meta": {"epoch": 1}, "state_dict": resnet("backbone.", decode_head__conv_seg__weight=1)},
        "state_dict.backbone.",
    ),
    "SwAV": (
        resnet("module.", module__projection_head__0__weight=1, module__prototypes__weight=1),
        "module.",
    ),
    "SimSiam": (
        {"state_dict": resnet("module.encoder.", module__predictor__0__weight=1)},
        "state_dict.module.encoder.",
    ),
    "MoCo v3": (
        {
            "state_dict": tensors(
                resnets.torchvision(TINY, "module.base_encoder.")
                | other("module.momentum_encoder.")
            )
        },
        "state_dict.module.base_encoder.",
    ),
    "solo-learn": (
        {
            "state_dict": tensors(
                resnets.torchvision(TINY, "backbone.") | other("momentum_backbone.")
            )
        },
        "state_dict.backbone.",
    ),
    "DINO": (
        {"student": tensors(other("module.backbone.")), "teacher": resnet("backbone.")},
        "teacher.backbone.",
    ),
    "VISSL": (
        {"classy_state_dict": {"base_model": {"model": {"trunk": resnet("_feature_blocks.")}}}},
        "classy_state_dict.base_model.model.trunk._feature_blocks.",
    ),
    "a numbered backbone": ({"state_dict": sequential("backbone.")}, "state_dict.backbone."),
}


@pytest.mark.parametrize("writer", RESNETS)
def test_a_resnet_is_found_whole_under_its_prefix(tmp_path, writer):
    content, prefix = RESNETS[writer]
    fabricate.write_zip(tmp_path / "x.pth", content)
    found = read_weights(tmp_path / "x.pth")
    resnets.assert_is_encoder(found.variables, TINY)
    assert (found.prefix, found.encoder, found.normalisation) == (prefix, TINY, "imagenet")


def test_what_is_left_out_is_listed_by_its_groups(tmp_path):
    content, _ = RESNETS["SwAV"]
    fabricate.write_zip(tmp_path / "x.pth", {"epoch": 3, "model": content, "optimizer": {"a": 1}})
    assert read_weights(tmp_path / "x.pth").dropped == (
        *("epoch", "model.module.fc.bias", "model.module.fc.weight"),
        *("model.module.projection_head.0.weight", "model.module.prototypes.weight"),
        "optimizer.*",
    )
    fabricate.write_zip(tmp_path / "y.pth", RESNETS["DeepLabV3"][0])
    assert read_weights(tmp_path / "y.pth").dropped == (
        *("aux_classifier.*", "backbone.fc.bias", "backbone.fc.weight", "classifier.*"),
    )


def test_two_encoders_are_not_chosen_between(tmp_path, capsys):
    path = tmp_path / "x.pth"
    content = {"state_dict": tensors(other("")), "state_dict_ema": resnet()}
    fabricate.write_zip(path, content)
    with pytest.raises(
        WeightsError, match=r"under each of 'state_dict\.', 'state_dict_ema\.'; say which.*--prefix"
    ):
        read_weights(path)
    for prefix in ("state_dict_ema", "state_dict_ema."):
        resnets.assert_is_encoder(read_weights(path, prefix=prefix).variables, TINY)
    with pytest.raises(WeightsError, match=r"no whole encoder under the prefix 'ema'; there is"):
        read_weights(path, prefix="ema")
    arguments = [str(path), "--out", str(tmp_path / "out"), "--prefix=state_dict_ema"]
    assert weights.main(arguments) == 0
    assert "prefix state_dict_ema.; left out: state_dict.*" in capsys.readouterr().out
    resnets.assert_is_encoder(read_weights(tmp_path / "out").variables, TINY)
    with pytest.raises(WeightsError, match="converted already, so that the prefix 'a' has no eff"):
        read_weights(tmp_path / "out", prefix="a")


def test_a_network_that_begins_at_the_top_is_called_a_dot(tmp_path):
    content = tensors(resnets.torchvision(TINY) | other("copy."))
    fabricate.write_zip(tmp_path / "x.pth", content)
    with pytest.raises(WeightsError, match=r"each of '\.', 'copy\.'"):
        read_weights(tmp_path / "x.pth")
    found = read_weights(tmp_path / "x.pth", prefix=".")
    resnets.assert_is_encoder(found.variables, TINY)


def test_one_that_is_not_whole_does_not_count(tmp_path):
    half = {n: a for n, a in other("copy.").items() if "layer4" not in n}
    fabricate.write_zip(tmp_path / "x.pth", tensors(resnets.torchvision(TINY, "net.") | half))
    assert read_weights(tmp_path / "x.pth").prefix == "net."
    fabricate.write_zip(tmp_path / "y.pth", tensors(half))
    with pytest.raises(WeightsError, match=r"under the prefix 'copy\.' is a residual network of"):
        read_weights(tmp_path / "y.pth")
    gated = tensors(resnets.torchvision(TINY, "net.") | {"net.layer1.0.se.fc.weight": np.ones(1)})
    fabricate.write_zip(tmp_path / "z.pth", gated)
    with pytest.raises(WeightsError, match=r"layer1\.0\.se\.fc\.weight is superfluous"):
        read_weights(tmp_path / "z.pth")


def test_settings_beside_a_state_dict_are_passed_over(tmp_path):
    beside = {
        "best": np.float64(0.5),
        "curve": np.arange(3),
        "path": pathlib.PurePosixPath("/x"),
        "when": datetime.datetime(2020, 1, 1),
        "milestones": collections.Counter([30, 60]),
        "options": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("/y")),
        "counts": collections.defaultdict(list, a=[1]),
        "names": {"a", "b"},
        "optimizer": {"state": {0: {"exp_avg": fabricate.Tensor(np.ones(3, np.float32))}}},
    }
    for kind in ("zip", "pickles"):
        fabricate.FORMATS[kind](tmp_path / kind, beside | {"state_dict": resnet()})
        found = read_weights(tmp_path / kind)
        resnets.assert_is_encoder(found.variables, TINY)
        names = {"options", "best", "path", "when", "names", "curve", "optimizer.*"}
        assert names <= set(found.dropped)


def test_statistics_of_an_untrained_network_are_told(tmp_path, capsys):
    arrays = resnets.torchvision(TINY)
    for name in arrays:
        if name.endswith(("running_mean", "running_var")):
            arrays[name] = np.full_like(arrays[name], name.endswith("var"))
    fabricate.write_zip(tmp_path / "x.pth", tensors(arrays))
    told = "12 of 12 batch norms have the statistics of an untrained network"
    assert read_weights(tmp_path / "x.pth").untrained.startswith(told)
    assert weights.main([str(tmp_path / "x.pth"), "--out", str(tmp_path / "out")]) == 0
    assert f"WARNING: {told}" in capsys.readouterr().out
    arrays["layer1.0.bn1.running_mean"][0] = 0.1
    fabricate.write_zip(tmp_path / "y.pth", tensors(arrays))
    assert read_weights(tmp_path / "y.pth").untrained.startswith("11 of 12")
    fabricate.write_zip(tmp_path / "z.pth", resnet())
    assert not read_weights(tmp_path / "z.pth").untrained


VIT_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
DINOV2_BLOCK = {name: name for name in VIT_BLOCK}


def transformers_names(arrays, prefix="vit.", block=VIT_BLOCK):
    """timm's arrays by transformers' names, query, key and value apart."""
    block = block | {"attn.proj": "attention.output.dense"}
    whole = {
        "cls_token": "embeddings.cls_token",
        "reg_token": "embeddings.register_tokens",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    renamed = {}
    for name, array in arrays.items():
        if name in whole:
            renamed[prefix + whole[name]] = array
            continue
        _, number, *middle, leaf = name.split(".")
        layer, module = f"{prefix}encoder.layer.{number}", ".".join(middle)
        if module == "attn.qkv":
            for part, rows in zip(("query", "key", "value"), np.split(array, 3), strict=True):
                renamed[f"{layer}.attention.attention.{part}.{leaf}"] = rows
        elif leaf == "gamma":
            renamed[f"{layer}.layer_scale{module[-1]}.lambda1"] = array
        else:
            renamed[f"{layer}.{block[module]}.{leaf}"] = array
    return renamed


def openmmlab_names(arrays, prefix="backbone."):
    """timm's arrays by mmseg's names."""
    pairs = (
        *(("attn.qkv.", "attn.attn.in_proj_"), ("attn.proj.", "attn.attn.out_proj.")),
        *(("mlp.fc1.", "ffn.layers.0.0."), ("mlp.fc2.", "ffn.layers.1.")),
        *((".norm1.", ".ln1."), (".norm2.", ".ln2."), ("blocks.", "layers.")),
        ("patch_embed.proj.", "patch_embed.projection."),
    )
    renamed = {}
    for name, array in arrays.items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        name = "ln1." + name.removeprefix("norm.") if name.startswith("norm.") else name
        renamed[prefix + name] = array
    return renamed


def vit_params(path, **settings):
    found = read_weights(path, "half", **settings)
    return found, found.variables["params"]["encoder"]


@pytest.mark.parametrize(
    ("writer", "prefix", "left"),
    [
        ("transformers", "vit.", ("classifier.*", "vit.pooler.dense.weight")),
        ("mmseg", "state_dict.backbone.", ("state_dict.decode_head.*",)),
        ("MoCo v3", "state_dict.module.base_encoder.", ("state_dict.module.momentum_encoder.*",)),
    ],
)
def test_a_vit_by_other_names_is_timms_bit_for_bit(tmp_path, writer, prefix, left):
    arrays, one = test_vits.timm(), np.ones(2, np.float32)
    if writer == "transformers":
        content = transformers_names(arrays)
        content |= {"classifier.weight": one, "vit.pooler.dense.weight": one}
        content = tensors(content)
    elif writer == "mmseg":
        extra = {"decode_head.conv_seg.weight": one}
        content = {"state_dict": tensors(openmmlab_names(arrays) | extra)}
    else:
        twice = {f"module.base_encoder.{n}": a for n, a in arrays.items()}
        twice |= {f"module.momentum_encoder.{n}": a * 0 for n, a in arrays.items()}
        content = {"state_dict": tensors(twice)}
    fabricate.write_zip(tmp_path / "x.pth", content)
    found, params = vit_params(tmp_path / "x.pth")
    assert (found.prefix, found.encoder, found.dropped) == (prefix, "vit_tiny", left)
    test_vits.write(tmp_path / "y.pth", arrays)
    jax.tree.map(np.testing.assert_array_equal, params, vit_params(tmp_path / "y.pth")[1])


def test_dinov2_by_transformers_names(tmp_path, mini):  # noqa: F811
    arrays = test_vits.timm(**test_vits.DINOV2)
    content = transformers_names(arrays, "dinov2.", DINOV2_BLOCK)
    content["dinov2.embeddings.mask_token"] = np.ones(2, np.float32)
    fabricate.write_zip(tmp_path / "x.pth", tensors(content))
    found = read_weights(tmp_path / "x.pth")
    assert (found.kind, found.encoder, found.prefix) == ("dinov2", test_vits.MINI, "dinov2.")
    assert found.dropped == ("dinov2.embeddings.mask_token",)
    plain = read_weights(test_vits.write(tmp_path / "y.pth", arrays))
    jax.tree.map(np.testing.assert_array_equal, found.variables, plain.variables)


def test_query_key_and_value_attend_as_three_layers_do(tmp_path):
    """Attention by hand on the separate layers, against the joined one that was read."""
    arrays = transformers_names(test_vits.timm())
    fabricate.write_zip(tmp_path / "x.pth", tensors(arrays))
    _, params = vit_params(tmp_path / "x.pth")
    tokens = np.random.default_rng(0).standard_normal((5, test_vits.WIDTH))
    layer = "vit.encoder.layer.2.attention.attention"
    query, key, value = (
        tokens @ arrays[f"{layer}.{part}.weight"].T + arrays[f"{layer}.{part}.bias"]
        for part in ("query", "key", "value")
    )
    joined = params["blocks_2"]["attn"]["qkv"]
    ours = np.split(tokens @ joined["kernel"] + joined["bias"], 3, axis=-1)

    def attend(q, k, v):
        weights = np.exp(q @ k.T / np.sqrt(q.shape[-1]))
        return weights / weights.sum(-1, keepdims=True) @ v

    np.testing.assert_allclose(attend(*ours), attend(query, key, value), rtol=1e-6)


def test_transformers_preprocessor_tells_the_normalisation(tmp_path):
    fabricate.write_zip(tmp_path / "x.pth", tensors(transformers_names(test_vits.timm())))
    with pytest.raises(WeightsError, match="--normalisation=half"):
        read_weights(tmp_path / "x.pth")
    told = '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    (tmp_path / "preprocessor_config.json").write_text(told)
    assert read_weights(tmp_path / "x.pth").normalisation == "half"


def test_flat_names_that_meet_are_refused():
    with pytest.raises(WeightsError, match=r"two entries called 'a\.b'"):
        layouts.flatten({"a": {"b": 1}, "a.b": 2})


def test_what_pytorch_itself_saves(tmp_path):
    """A whole training script's checkpoint, of an averaged and of a data-parallel model."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to read")
    from benchmarks import torch_twin

    net = torch_twin.ResNet(TINY)
    net.load_state_dict(
        {n: torch.tensor(a) for n, a in resnets.torchvision(TINY).items() if "fc." not in n}
    )
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.zeros(1, 3, 64, 64))[-1].sum().backward()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])
    optimizer.step()
    beside = {
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": (torch.get_rng_state(), np.arange(3)),
        "args": argparse.Namespace(device=torch.device("cpu"), out=pathlib.Path("/x")),
        "loss": np.float32(0.3),
    }
    averaged = torch.optim.swa_utils.AveragedModel(net.eval())
    for name, model in (("averaged", averaged), ("parallel", torch.nn.DataParallel(net))):
        path = tmp_path / f"{name}.pth"
        torch.save(beside | {"model": model.state_dict()}, path)
        found = read_weights(path)
        assert found.prefix == "model.module."
        for ours, theirs in (("mean", "running_mean"), ("var", "running_var")):
            stats = found.variables["batch_stats"]["encoder"]["layer4_0"]["bn2"][ours]
            np.testing.assert_array_equal(stats, net.state_dict()[f"layer4.0.bn2.{theirs}"])
        kernel = found.variables["params"]["encoder"]["layer2_0"]["conv1"]["kernel"]
        np.testing.assert_array_equal(
            kernel.transpose(3, 2, 0, 1), net.state_dict()["layer2.0.conv1.weight"]
        )
