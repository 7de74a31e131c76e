"""Dilated ResNets and DeepLabV3: against PyTorch, against recorded values, against the strided."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import conv, deeplab, encoders, resnet
from tests.models import weights
from tests.models.test_recorded import digest

MINI = "mini50"
CLASSES = 5
# Printed by `python -m tests.models.test_deeplab`, which runs the PyTorch twin.
RECORDED = {
    16: [0.023157, 0.13684, 0.043521],
    8: [0.0207816, 0.172131, 0.301492],
}


@pytest.fixture
def mini(monkeypatch):
    """A small ResNet-50 among the encoders: every stage but the first has two bottlenecks."""
    add_mini(functools.partial(monkeypatch.setitem, encoders.ENCODERS))


def add_mini(put):
    parts = {"depths": (1, 2, 2, 2), "block": resnet.Bottleneck, "width": 4}
    put(MINI, functools.partial(resnet.ResNet, **parts))


def case(output_stride):
    """A network with random weights and pictures whose size is no multiple of any stride."""
    net = models.SegmentationNet(MINI, CLASSES, "deeplabv3", output_stride=output_stride)
    images = weights.images((2, 58, 74, 3))
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), images, False))
    return net, weights.randomise(shapes), images


@pytest.mark.parametrize("kind", ["tiny", MINI])
@pytest.mark.parametrize("output_stride", [16, 8])
def test_a_dilated_stage_holds_the_strided_one(mini, kind, output_stride):
    """The algorithm a trous: the same parameters, and the strided features among the others."""
    images = weights.images((1, 50, 70, 3))
    plain = models.make_encoder(kind)
    dilated = models.make_encoder(kind, output_stride=output_stride)
    shapes = [
        jax.eval_shape(lambda net=net: net.init(jax.random.key(0), images, False))
        for net in (plain, dilated)
    ]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    variables = weights.randomise(shapes[0])
    strided, dense = (
        jax.jit(lambda v, net=net: net.apply(v, images, False))(variables)
        for net in (plain, dilated)
    )
    assert tuple(dense) == (2, 4, 8, 16, 32)
    for stride, features in dense.items():
        step = max(1, stride // output_stride)
        assert features.shape[1] == -(-50 // min(stride, output_stride))
        np.testing.assert_allclose(
            features[:, ::step, ::step], strided[stride], rtol=1e-4, atol=1e-4, err_msg=str(stride)
        )


def test_dilated_convolution_is_one_with_zeros_between_its_taps():
    x, kernel = weights.images((2, 9, 11, 3)), weights.images((3, 3, 3, 4), seed=1)
    wide = np.zeros((5, 5, 3, 4), np.float32)
    wide[::2, ::2] = kernel
    np.testing.assert_allclose(
        conv.conv2d(jnp.asarray(x), jnp.asarray(kernel), dilation=2),
        conv.conv2d(jnp.asarray(x), jnp.asarray(wide)),
        rtol=1e-5,
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="dilation 2 goes with padding 'zero', not 'reflect'"):
        conv.conv2d(jnp.asarray(x), jnp.asarray(kernel), dilation=2, padding="reflect")


@pytest.mark.parametrize("output_stride", [16, 8])
def test_deeplab_gives_what_pytorch_gave(mini, output_stride):
    net, variables, images = case(output_stride)
    logits = jax.jit(lambda v, x: net.apply(v, x, False))(variables, images)
    assert logits.shape == (2, -(-58 // output_stride), -(-74 // output_stride), CLASSES)
    np.testing.assert_allclose(digest(logits), RECORDED[output_stride], rtol=1e-4, atol=1e-5)
    try:
        expected = run_torch(variables, images, output_stride)
    except ImportError:
        return  # the recorded values were compared
    assert np.abs(logits - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())


def test_the_decoder_trains_as_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    from benchmarks import torch_twin as twin
    from tests.models import deeplab_twin

    # Many pictures: the branch of their means is normalised over the batch alone.
    features = weights.images((16, 4, 5, 6))
    decoder = deeplab.DeepLabDecoder((1, 2, 3), features=8)
    shapes = jax.eval_shape(lambda: decoder.init(jax.random.key(0), features, False))
    variables = weights.randomise(shapes)
    theirs = deeplab_twin.Decoder(6, (1, 2, 3), 8)
    twin.load_flax(theirs, variables)

    def loss(params):
        now = {"params": params, "batch_stats": variables["batch_stats"]}
        decoded, updated = decoder.apply(now, features, True, mutable=["batch_stats"])
        return jnp.mean(jnp.square(decoded)), updated["batch_stats"]

    run = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, batch_stats), gradient = run(variables["params"])
    expected = torch.mean(theirs(torch.tensor(features).permute(0, 3, 1, 2)) ** 2)
    expected.backward()
    assert abs(value - expected.item()) < 1e-4 * expected.item()
    state, gradients = theirs.state_dict(), twin.gradients(theirs)
    for name, ours in twin.flax_to_torch(batch_stats).items():
        np.testing.assert_allclose(ours, state[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for name, ours in twin.flax_to_torch(gradient).items():
        np.testing.assert_allclose(ours, gradients[name], rtol=2e-3, atol=1e-4, err_msg=name)


def run_torch(variables, images, output_stride) -> np.ndarray:
    import torch

    from benchmarks import torch_twin
    from tests.models import deeplab_twin

    net = deeplab_twin.DeepLab(MINI, CLASSES, output_stride)
    torch_twin.load_flax(net, variables)
    net.eval()
    with torch.no_grad():
        return net(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()


def record() -> None:
    add_mini(encoders.ENCODERS.__setitem__)
    for output_stride in RECORDED:
        _, variables, images = case(output_stride)
        values = digest(run_torch(variables, images, output_stride))
        print(f"    {output_stride}: [{', '.join(f'{v:.6g}' for v in values)}],")


if __name__ == "__main__":
    record()
