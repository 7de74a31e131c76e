"""The segmentation network: sizes, parts, what is frozen, the probe by hand, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import resnet, segmentation
from tests.models import weights
from tests.models.test_recorded import digest

CHANNELS = (4, 4, 8, 8, 16)


def make(decoder="unet", **settings):
    return models.SegmentationNet("tiny", 3, decoder, CHANNELS, **settings)


def shapes_of(net, images):
    return jax.eval_shape(lambda: net.init(jax.random.key(0), images, False))


@pytest.mark.parametrize(
    ("decoder", "settings", "stride", "parts"),
    [
        ("unet", {}, 1, {"encoder", "decoder", "head"}),
        ("deeplabv3", {"output_stride": 16}, 16, {"encoder", "decoder", "head"}),
        ("deeplabv3", {"output_stride": 8}, 8, {"encoder", "decoder", "head"}),
        ("linear", {}, 32, {"encoder", "head"}),
        ("linear", {"probe_stages": (32, 4)}, 4, {"encoder", "head"}),
    ],
)
@pytest.mark.parametrize("size", [(192, 640), (180, 240), (33, 65)])
def test_any_size_gives_logits_at_the_decoders_stride(decoder, settings, stride, parts, size):
    net, images = make(decoder, **settings), jnp.zeros((2, *size, 3))
    variables = shapes_of(net, images)
    assert set(variables["params"]) == parts
    logits = jax.eval_shape(lambda v: net.apply(v, images, False), variables)
    whole = all(side % stride == 0 for side in size)
    assert logits.shape == (2, *(side // stride if whole else side for side in size), 3)
    assert logits.dtype == jnp.float32


def test_encoder_and_decoder_are_those_of_the_depth_network():
    images = jnp.zeros((2, 64, 96, 3))
    ours = shapes_of(make(), images)
    depth = shapes_of_depth(images)
    for collection in ("params", "batch_stats"):
        assert ours[collection]["encoder"] == depth[collection]["encoder"]
    assert ours["params"]["decoder"] == depth["params"]["decoder"]
    deeplab = shapes_of(make("deeplabv3"), images)
    assert deeplab["params"]["encoder"] == depth["params"]["encoder"]


def shapes_of_depth(images):
    net = models.SelfSupDepthNet("tiny", CHANNELS, pose_encoder="")
    return jax.eval_shape(lambda: net.init(jax.random.key(0), images, images[:0], False))


def test_the_unet_sees_odd_sizes_with_their_border_repeated():
    """As if the picture had been larger: what is padded is cropped, and nothing moves."""
    images = weights.images((1, 40, 50, 3))
    large = np.pad(images, ((0, 0), (0, 24), (0, 14), (0, 0)), mode="edge")
    net = make()
    variables = weights.randomise(shapes_of(net, images))
    run = jax.jit(lambda v, x: net.apply(v, x, False))
    np.testing.assert_allclose(
        run(variables, images), run(variables, large)[:, :40, :50], rtol=1e-5, atol=1e-5
    )
    exact = weights.images((1, 64, 64, 3))
    np.testing.assert_array_equal(segmentation.pad_to_multiple(exact, 32), exact)


@pytest.mark.parametrize(
    ("decoder", "frozen", "differentiate"),
    [
        ("unet", ("encoder",), True),
        ("deeplabv3", ("encoder", "decoder"), True),
        ("linear", ("encoder",), True),
        ("deeplabv3", ("decoder",), False),  # slow to compile
        ("unet", (), False),
    ],
)
def test_frozen_parts_run_on_running_statistics(decoder, frozen, differentiate):
    net, images = make(decoder), weights.images((2, 40, 50, 3))
    variables = weights.randomise(shapes_of(net, images))

    def loss(params):
        now = {"params": params, "batch_stats": variables["batch_stats"]}
        logits, updated = net.apply(now, images, True, frozen, mutable=["batch_stats"])
        return jnp.mean(jnp.square(logits)), updated["batch_stats"]

    run = jax.jit(jax.grad(loss, has_aux=True) if differentiate else loss)
    gradient, batch_stats = run(variables["params"])
    assert jax.tree.structure(batch_stats) == jax.tree.structure(variables["batch_stats"])
    for part, statistics in batch_stats.items():
        before = jax.tree.leaves(variables["batch_stats"][part])
        changed = [
            not np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(statistics), before, strict=True)
        ]
        assert not any(changed) if part in frozen else all(changed), part
    for part, tree in gradient.items() if differentiate else ():
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
        assert (largest == 0) == (part in frozen), part


def test_a_frozen_decoder_passes_the_gradient_on():
    images = weights.images((1, 32, 32, 3))
    net = make()
    variables = weights.randomise(shapes_of(net, images))

    def loss(kernel):
        params = jax.tree.map(jnp.asarray, variables["params"])
        params["encoder"]["conv1"]["kernel"] = kernel
        now = {"params": params, "batch_stats": variables["batch_stats"]}
        return jnp.sum(net.apply(now, images, False, ("decoder",)))

    kernel = variables["params"]["encoder"]["conv1"]["kernel"]
    assert jnp.abs(jax.jit(jax.grad(loss))(kernel)).max() > 0


@pytest.mark.parametrize("decoder", ["linear", "deeplabv3"])
def test_sizes_that_are_no_multiples_move_nothing(decoder):
    """A ViT pads what it sees: the same answer as of the padded picture, cropped."""
    images = weights.images((1, 40, 50, 3))
    large = np.pad(images, ((0, 0), (0, 8), (0, 14), (0, 0)), mode="edge")
    settings = {"output_stride": 16} if decoder == "deeplabv3" else {"probe_stages": (4, 8, 32)}
    net = models.SegmentationNet("vit_tiny", 3, decoder, CHANNELS, **settings)
    variables = weights.randomise(shapes_of(net, images))
    run = jax.jit(lambda v, x: net.apply(v, x, False))
    logits = run(variables, large)
    assert logits.shape == (1, 3, 4, 3)
    expected = jax.image.resize(logits, (1, 48, 64, 3), "bilinear")[:, :40, :50]
    np.testing.assert_allclose(run(variables, images), expected, rtol=1e-5, atol=1e-5)


def test_a_probe_s_stages_stay_in_register_at_any_size():
    """Of 36 rows stage 32 has two, which show 64, and stage 8 five, which show 40."""
    images = weights.images((1, 36, 32, 3))
    net, encoder = make("linear", probe_stages=(8, 32)), models.make_encoder("tiny")
    variables = weights.randomise(shapes_of(net, images))
    part = {collection: parts["encoder"] for collection, parts in variables.items()}
    features, head = encoder.apply(part, images, False), variables["params"]["head"]
    coarse = jax.image.resize(features[32], (1, 8, 4, features[32].shape[-1]), "bilinear")[:, :5]
    joined = np.concatenate([features[8], coarse], axis=-1) @ head["kernel"][0, 0] + head["bias"]
    expected = jax.image.resize(joined, (1, 40, 32, 3), "bilinear")[:, :36]
    logits = net.apply(variables, images, False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stages", [(32,), (32, 8)])
def test_linear_probe_is_a_product_by_hand(stages):
    images = weights.images((2, 32, 64, 3))
    net, encoder = make("linear", probe_stages=stages), models.make_encoder("tiny")
    variables = weights.randomise(shapes_of(net, images))

    @jax.jit
    def run(variables):
        part = {collection: parts["encoder"] for collection, parts in variables.items()}
        return net.apply(variables, images, False), encoder.apply(part, images, False)

    logits, features = run(variables)
    fine = features[min(stages)]
    joined = [
        jax.image.resize(features[s], (*fine.shape[:3], features[s].shape[-1]), "bilinear")
        for s in sorted(stages)
    ]
    head = variables["params"]["head"]
    expected = np.concatenate(joined, axis=-1) @ head["kernel"][0, 0] + head["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_normalisation_belongs_to_the_weights():
    images = weights.images((1, 8, 8, 3))
    for kind, expected in (
        ("monodepth2", (images - 0.45) / 0.225),
        ("imagenet", (images - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    ):
        ours = resnet.normalise(jnp.asarray(images), kind)
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    # What the paper's own code gave its first convolution, see tests/paper_code.py.
    images = weights.images((1, 5, 6, 3))
    once = [0.33497754752170295, 1.7691581051997756, 1.0597634315490723]
    twice = [-0.49221309406889807, 33.182536844694056, 1.9485055208206177]
    for seen, recorded in ((images, once), (resnet.normalise(images), twice)):
        ours = resnet.normalise(seen, "monodepth2")
        np.testing.assert_allclose(digest(ours), recorded, rtol=1e-5)
    # Stage 2 alone: what comes after it is not compiled.
    net = make("linear", probe_stages=(2,))
    other = make("linear", probe_stages=(2,), normalisation="monodepth2")
    variables = weights.randomise(shapes_of(net, images))
    difference = jax.jit(lambda v: net.apply(v, images, False) - other.apply(v, images, False))(
        variables
    )
    assert np.abs(difference).max() > 1e-3


def test_computes_in_bfloat16_and_answers_in_float32():
    images = jnp.zeros((1, 64, 64, 3))
    for decoder in segmentation.DECODERS:
        net = make(decoder, dtype=jnp.bfloat16)
        variables = shapes_of(net, images)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
        assert jax.eval_shape(lambda v, n=net: n.apply(v, images, False), variables).dtype == (
            jnp.float32
        )


@pytest.mark.parametrize(
    ("settings", "frozen", "message"),
    [
        ({"decoder": "fcn"}, (), "decoder 'fcn' is not one of unet, dpt, deeplabv3, linear"),
        ({"decoder": "deeplabv3", "output_stride": 32}, (), "output_stride 32 is not one of"),
        ({"decoder": "linear", "probe_stages": (3,)}, (), r"probe_stages \(3,\)"),
        ({}, ("pose",), r"frozen: \['pose'\] are not among encoder, decoder, head"),
        ({"normalisation": "imagnet"}, (), "did you mean 'imagenet'"),
    ],
)
def test_refusals(settings, frozen, message):
    images = jnp.zeros((1, 32, 32, 3))
    with pytest.raises(ValueError, match=message):
        make(**settings).init(jax.random.key(0), images, False, frozen)
