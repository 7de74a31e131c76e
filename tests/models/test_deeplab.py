"""Dilated ResNets and DeepLabV3: against PyTorch, against recorded values, against the strided."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import conv, deeplab, encoders, resnet
from geoseg_jax.models.segmentation import ClassHead
from geoseg_jax.ops.sampling import resize_bilinear
from tests import paper_code
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
    keep = {
        "capture_intermediates": lambda module, _: module.name == "head",
        "mutable": ["intermediates"],
    }
    whole, kept = jax.jit(lambda v, x: net.apply(v, x, False, **keep))(variables, images)
    logits = kept["intermediates"]["head"]["__call__"][0]
    assert logits.shape == (2, -(-58 // output_stride), -(-74 // output_stride), CLASSES)
    shown = (2, *(side * output_stride for side in logits.shape[1:3]), CLASSES)
    large = jax.image.resize(logits, shown, "bilinear")
    np.testing.assert_allclose(whole, large[:, :58, :74], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(digest(logits), RECORDED[output_stride], rtol=1e-4, atol=1e-5)
    try:
        expected = run_torch(variables, images, output_stride)
    except ImportError:
        return  # the recorded values were compared
    assert np.abs(logits - expected).max() < 1e-4 * max(1.0, np.abs(expected).max())


def test_the_decoder_trains_as_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    from benchmarks import torch_deeplab
    from benchmarks import torch_twin as twin

    # Many pictures: the branch of their means is normalised over the batch alone.
    features = weights.images((16, 4, 5, 6))
    decoder = deeplab.DeepLabDecoder((1, 2, 3), features=8)
    shapes = jax.eval_shape(lambda: decoder.init(jax.random.key(0), features, False))
    variables = weights.randomise(shapes)
    theirs = torch_deeplab.Decoder(6, (1, 2, 3), 8)
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


def test_the_public_codes_pyramid():
    """What Lao et al.'s own module gave, enlarged as there; see tests/paper_code.py."""
    module, variables, features = paper_code.pyramid()

    @functools.partial(jax.jit, static_argnums=2)
    def run(variables, x, train):
        logits, updated = module.apply(variables, x, train, mutable=["batch_stats"])
        return resize_bilinear(logits, 61, 97, align_corners=True), updated["batch_stats"]

    logits, _ = run(variables, features, False)
    recorded = [-0.0171915114799932, 0.020061897824245358, -0.12562783062458038]
    np.testing.assert_allclose(digest(logits), recorded, rtol=1e-4, atol=1e-6)
    logits, stats = run(variables, features, True)
    recorded = [0.13715672206283544, 0.30484253641283837, 0.7392247915267944]
    np.testing.assert_allclose(digest(logits), recorded, rtol=1e-4, atol=1e-6)
    mean = stats["decoder"]["project"]["bn"]["mean"]
    recorded = [-0.03381925883392493, 0.004205837259984424, -0.09816461056470871]
    np.testing.assert_allclose(digest(mean), recorded, rtol=1e-5)
    var = stats["decoder"]["aspp_1"]["bn"]["var"]
    recorded = [0.9934811294078827, 1.0680312248543686, 1.2500412464141846]
    np.testing.assert_allclose(digest(var), recorded, rtol=1e-5)


def test_a_variant_is_that_of_the_whole_network(mini):
    """Logits are of the picture's size, and nothing lies between pyramid and classes."""
    variant = deeplab.Variant(convolution=False, align_corners=True)
    net = models.SegmentationNet(MINI, 19, "deeplabv3", variant=variant)
    images = weights.images((2, 58, 74, 3))
    logits, variables = jax.eval_shape(
        lambda: net.init_with_output(jax.random.key(0), images, False)
    )
    assert logits.shape == (2, 58, 74, 19)
    branches = {f"aspp_{i}" for i in ("0", "1", "2", "3", "pool")}
    assert set(variables["params"]["decoder"]) == branches | {"project"}
    with pytest.raises(ValueError, match="init 'he' is not one of torch, he_fan_out"):
        net.clone(variant=variant._replace(init="he")).init(jax.random.key(0), images, False)


def test_decoder_and_head_start_as_the_public_codes():
    """By the deviations of its own network, recorded; see tests/paper_code.py."""
    decoder = deeplab.DeepLabDecoder(variant=deeplab.Variant(init="he_fan_out"))
    head = ClassHead(19, kernel_init=deeplab.KERNEL_INITS["he_fan_out"])
    features, decoded = jnp.zeros((2, 2, 2, 64)), jnp.zeros((2, 2, 2, 256))
    key = jax.random.key(0)
    parts = jax.jit(lambda: decoder.init(key, features, False)["params"])()
    last = jax.jit(lambda: head.init(key, decoded)["params"])()
    for layer, recorded in (
        (parts["aspp_0"], 0.08844442665576935),
        (parts["aspp_2"], 0.02946687676012516),
        (parts["project"], 0.08835713565349579),
        (last, 0.3254091441631317),
    ):
        assert np.std(layer["conv"]["kernel"]) == pytest.approx(recorded, rel=0.03)


def test_the_encoders_momentum_is_pytorchs():
    """A share of 0.05 of the statistics is the batch's, in stem and blocks."""
    images = weights.images((2, 32, 32, 3))
    both = [models.make_encoder("tiny", norm_momentum=m) for m in (0.05, 1.0)]
    shapes = jax.eval_shape(lambda: both[0].init(jax.random.key(0), images, False))
    variables = weights.randomise(shapes)

    @jax.jit
    def run(variables):
        return [e.apply(variables, images, True, mutable=["batch_stats"])[1] for e in both]

    ours, batch = (updated["batch_stats"] for updated in run(variables))
    expected = jax.tree.map(lambda a, b: 0.95 * a + 0.05 * b, variables["batch_stats"], batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, expected
    )


def run_torch(variables, images, output_stride) -> np.ndarray:
    import torch

    from benchmarks import torch_deeplab, torch_twin

    net = torch_deeplab.DeepLab(MINI, CLASSES, output_stride)
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
