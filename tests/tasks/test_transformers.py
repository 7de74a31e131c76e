"""Vision transformers under the tasks of depth and segmentation: decoders, sizes, refusals."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.config.check import check
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.presets import depth as depth_presets
from geoseg_jax.presets import segmentation as segmentation_presets
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import segmentation, selfsup_depth

TABLE = label_table("camvid11")
DATA = SimpleNamespace(train=SimpleNamespace(table=TABLE))
B, H, W = 8, 32, 64


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (B, *shape, 3)).astype(np.uint8)


def common():
    return {"id": np.arange(B, dtype=np.int32), "mask": np.ones(B, bool)}


def segmentation_batch(height=H, width=W):
    label = np.random.default_rng(1).integers(0, len(TABLE.classes), (B, height, width))
    size = np.full((B, 2), (height, width), np.int32)
    label = {"label": label.astype(np.uint8), "label_size": size}
    return {"image": pictures(height, width)} | label | common()


def stereo_batch():
    camera = np.array([[W, 0, W / 2], [0, W, H / 2], [0, 0, 1]], np.float32)
    pose = np.eye(4, dtype=np.float32)
    pose[0, 3] = -0.5
    target = pictures(H, W)
    fixed = {"intrinsics": camera, "stereo_pose": pose}
    fixed = {name: np.broadcast_to(value, (B, *value.shape)) for name, value in fixed.items()}
    sources = np.roll(target, -3, axis=2)[:, None]
    return {"image": target, "sources": sources} | fixed | common()


def make_segmentation(arg):
    config = build(segmentation_presets.PRESET, f"vit_tiny,{arg}", "test")
    return segmentation.make(config, DATA)


def test_depth_from_stereo_has_no_statistics():
    """With poses that are known: neither the network nor a pose network has a batch norm."""
    config = build(depth_presets.PRESET, "vit_tiny,stereo", "test")
    task, batch = selfsup_depth.make(config), stereo_batch()
    variables = jax.eval_shape(task.init, jax.random.key(0), batch)
    assert set(variables) == {"params"}
    assert set(variables["params"]) == {"encoder", "decoder", "head"}
    value, aux = jax.eval_shape(task.loss, variables, jax.random.key(0), batch, 0.0)
    assert value.shape == ()
    assert aux.batch_stats == {}


@pytest.mark.parametrize("decoder", ["dpt", "deeplabv3", "linear"])
def test_segmentation_of_any_size(decoder):
    """36 x 70 pixels are padded to whole patches; the answer has the size of the labels."""
    task, batch = make_segmentation(decoder), segmentation_batch(36, 70)
    variables = jax.eval_shape(task.init, jax.random.key(0), batch)
    parts = {"encoder", "head"} if decoder == "linear" else {"encoder", "decoder", "head"}
    assert set(variables["params"]) == parts
    assert set(variables.get("batch_stats", {})) == (
        {"decoder"} if decoder == "deeplabv3" else set()
    )
    answer = jax.eval_shape(task.predict, variables, batch)["label"]
    assert (answer.shape, answer.dtype) == ((B, 36, 70), jnp.uint8)


def test_presets_suit_the_encoder():
    for presets, steps in ((segmentation_presets, 2_000), (depth_presets, 10_000)):
        resnet = build(presets.PRESET, "", "test")
        assert (resnet.model.decoder, resnet.optimizer.layer_decay) == ("unet", 1.0)
        vit = build(presets.PRESET, "vit_b16_dinov2,init=W", "test")
        assert (vit.model.decoder, vit.model.dpt_features) == ("dpt", 128)
        assert (vit.optimizer.name, vit.optimizer.layer_decay) == ("adamw", 0.75)
        assert vit.optimizer.warmup_steps == steps // 20
        assert build(presets.PRESET, "vit_b16", "test").optimizer.layer_decay == 1.0
        vit.data.update({"name": "camvid", "root": "", "train_split": "", "eval_split": ""})
        check(vit)
    frozen = build(segmentation_presets.PRESET, "vit_s16,init=W,frozen=True", "test")
    assert (frozen.optimizer.learning_rate, frozen.optimizer.layer_decay) == (1e-3, 1.0)


@pytest.mark.parametrize(
    ("arg", "model", "said"),
    [
        ("vit_s16,unet", {}, r"decoder='unet' with .*vit_s16.*set config.model.decoder='dpt'"),
        ("vit_s16,deeplabv3", {"output_stride": 8}, "set config.model.output_stride=16"),
        (
            "vit_s16,linear",
            {"probe_stages": (2, 4)},
            "stage 2 of a ViT; set config.model.probe",
        ),
    ],
)
def test_what_a_vit_has_no_stages_for(arg, model, said):
    config = build(segmentation_presets.PRESET, arg, "test")
    config.model.update(model)
    config.data.update({"name": "camvid", "root": "", "train_split": "", "eval_split": ""})
    with pytest.raises(ConfigError, match=said):
        check(config)
    task = segmentation.make(config, DATA)
    with pytest.raises(ValueError, match=r"vit_s16|finer than a ViT"):
        jax.eval_shape(task.init, jax.random.key(0), segmentation_batch())
