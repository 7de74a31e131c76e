"""Sizes, names, numbers of parameters, compute types and refusals; nothing is computed in full."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from tests.models import weights

# torchvision's published counts less those of the classifier, which isn't here.
PARAMETERS = {
    "resnet18": 11_689_512 - 513_000,
    "resnet34": 21_797_672 - 513_000,
    "resnet50": 25_557_032 - 2_049_000,
    "resnet101": 44_549_160 - 2_049_000,
}


def initial_shapes(module, *arguments):
    return jax.eval_shape(lambda: module.init(jax.random.key(0), *arguments))


@pytest.mark.parametrize("kind", PARAMETERS)
def test_encoders_have_torchvisions_size(kind):
    x = jnp.zeros((1, 96, 128, 3))
    encoder = models.make_encoder(kind)
    variables = initial_shapes(encoder, x, False)
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == PARAMETERS[kind]
    stages = jax.eval_shape(lambda v: encoder.apply(v, x, False), variables)
    wide = 1 if kind in ("resnet18", "resnet34") else 4
    channels = {2: 64, 4: 64 * wide, 8: 128 * wide, 16: 256 * wide, 32: 512 * wide}
    assert {s: f.shape for s, f in stages.items()} == {
        s: (1, 96 // s, 128 // s, c) for s, c in channels.items()
    }


def test_names_that_weights_are_imported_by():
    params = initial_shapes(models.make_encoder("resnet50"), jnp.zeros((1, 32, 32, 3)), False)
    params = params["params"]
    assert params["conv1"]["kernel"].shape == (7, 7, 3, 64)
    assert params["layer1_0"]["downsample_0"]["kernel"].shape == (1, 1, 64, 256)
    assert params["layer4_2"]["bn3"]["scale"].shape == (2048,)
    assert "downsample_0" not in params["layer4_1"]


def test_parts_of_the_depth_network():
    net = models.SelfSupDepthNet("tiny", pose_encoder="tiny")
    images, pairs = jnp.zeros((2, 64, 96, 3)), jnp.zeros((4, 64, 96, 6))
    variables = initial_shapes(net, images, pairs, False)
    assert set(variables["params"]) == {"encoder", "decoder", "head", "pose"}
    assert set(variables["params"]["head"]) == {f"dispconv_{s}" for s in range(4)}
    disparities, twists = jax.eval_shape(lambda v: net.apply(v, images, pairs, False), variables)
    assert [d.shape for d in disparities] == [(2, 64, 96), (2, 32, 48), (2, 16, 24), (2, 8, 12)]
    assert twists.shape == (4, 6)
    # One part alone in training gives back the statistics of all: the task stores them whole.
    _, updated = jax.eval_shape(
        lambda v: net.apply(v, images, True, method="disparities", mutable=["batch_stats"]),
        variables,
    )
    assert jax.tree.structure(updated["batch_stats"]) == jax.tree.structure(
        variables["batch_stats"]
    )


def test_no_pose_part_where_stereo_alone_gives_the_pose():
    net = models.SelfSupDepthNet("tiny", pose_encoder="")
    images, pairs = jnp.zeros((2, 32, 32, 3)), jnp.zeros((4, 32, 32, 6))
    variables = initial_shapes(net, images, pairs, False)
    assert "pose" not in variables["params"]
    assert jax.eval_shape(lambda v: net.apply(v, images, pairs, False), variables)[1] is None
    with pytest.raises(ValueError, match="pose_encoder"):
        net.apply({}, pairs, False, method="twists")
    no_pairs = models.SelfSupDepthNet("tiny", pose_encoder="tiny")
    assert "pose" not in initial_shapes(no_pairs, images, pairs[:0], False)["params"]


def test_bfloat16_computes_in_it_and_keeps_the_rest_float32():
    images = weights.images((2, 32, 64, 3))
    channels = (4, 4, 8, 8, 16)
    full = models.SelfSupDepthNet("tiny", channels, pose_encoder="")
    half = models.SelfSupDepthNet("tiny", channels, pose_encoder="", dtype=jnp.bfloat16)
    shapes = initial_shapes(half, images, images[:0], False)
    assert {p.dtype for p in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    variables = weights.randomise(shapes)
    near, exact = (
        jax.jit(lambda v, net=net: net.apply(v, images, False, method="disparities"))(variables)
        for net in (half, full)
    )
    for a, b in zip(near, exact, strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, atol=0.03)
        assert np.abs(a - b).max() > 1e-5, "this was not computed in bfloat16"
    pairs = jnp.zeros((2, 32, 64, 6))
    pose = models.PoseNet("tiny", jnp.bfloat16)
    pose_shapes = initial_shapes(pose, pairs, False)
    twists = jax.eval_shape(lambda v: pose.apply(v, pairs, False), pose_shapes)
    assert twists.dtype == jnp.float32
    stage = jax.eval_shape(
        lambda v: models.make_encoder("tiny", jnp.bfloat16).apply(v, images, False)[32],
        {k: v["encoder"] for k, v in variables.items()},
    )
    assert stage.dtype == jnp.bfloat16


def test_refusals_name_the_remedy():
    with pytest.raises(ValueError, match=r"'resnet19'.*did you mean 'resnet1"):
        models.make_encoder("resnet19")
    with pytest.raises(ValueError, match=r"\(1, 32, 32, 4\).*3 channels"):
        initial_shapes(models.make_encoder("tiny"), jnp.zeros((1, 32, 32, 4)), False)
    net = models.SelfSupDepthNet("tiny", pose_encoder="")
    with pytest.raises(ValueError, match="multiples of 32"):
        initial_shapes(net, jnp.zeros((1, 48, 64, 3)), jnp.zeros((0, 48, 64, 6)), False)
