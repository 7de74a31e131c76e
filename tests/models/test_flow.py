"""The flow networks: shapes, units, directions, and what dropping residuals does."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.models.flow import REACH, FlowHead, FlowNet
from geoseg_jax.models.flow_pyramid import DROPS, ContextNetwork, DenseDecoder

KEY = jax.random.key(0)
FRAMES = np.random.default_rng(0).random((2, 2, 32, 64, 3), np.float32)
SMALL = {"width": 8, "radius": 1, "layers": (8, 4), "context_layers": 2}


def shapes(**options):
    net = FlowNet(**options)

    def run():
        variables = net.init(KEY, FRAMES, False)
        return variables, net.apply(variables, FRAMES, False, both=True)

    return jax.eval_shape(run)


@pytest.mark.parametrize("encoder", ["resnet18", "vit_tiny"])
def test_parts_and_shapes(encoder):
    variables, flows = shapes(encoder_name=encoder)
    assert set(variables["params"]) == {"encoder", "flow"}
    sizes = [(8, 16), (4, 8), (2, 4), (1, 2)]
    assert [f.shape for f in flows] == [(2, 2, *size, 2) for size in sizes]
    assert {f.dtype for f in flows} == {jnp.dtype("float32")}
    decoder = "dpt" if encoder == "vit_tiny" else "unet"
    options = {"design": "concat", "decoder_name": decoder, "dpt_features": 8, "scales": 3}
    variables, flows = shapes(encoder_name=encoder, **options)
    assert set(variables["params"]) == {"encoder", "decoder", "head"}
    sizes = [(32, 64), (16, 32), (8, 16)]
    assert [f.shape for f in flows] == [(2, 2, *size, 2) for size in sizes]


def filled(net, **options):
    """Variables of the net's shapes: noise as small as its fan-in asks for; no compiling."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: net.init(KEY, FRAMES, False, **options))

    def fill(path, leaf):
        if jax.tree_util.keystr(path).endswith(("['var']", "['scale']")):
            return np.ones(leaf.shape, np.float32)
        spread = np.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.01
        return (spread * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes)


@pytest.fixture(scope="module")
def pyramid():
    net = FlowNet("tiny", **SMALL)
    variables = filled(net)
    return jax.jit(lambda frames, keep: net.apply(variables, frames, False, both=True, keep=keep))


def test_a_pyramid_starts_at_no_motion():
    x = jnp.asarray(np.random.default_rng(2).random((1, 2, 3, 5)), jnp.float32)
    for part in (DenseDecoder((4,)), ContextNetwork(((4, 1), (4, 2)))):
        answer = part.apply(part.init(KEY, x), x)
        flow, *context = answer if isinstance(answer, tuple) else (answer,)
        np.testing.assert_array_equal(flow, 0)
        assert all(np.abs(c).max() > 0 for c in context)


def test_a_concat_network_starts_at_no_motion():
    features = np.random.default_rng(2).random((1, 4, 8, 5), np.float32)
    head = FlowHead(scales=2)
    flows, variables = head.init_with_output(KEY, {0: features, 1: features[:, ::2, ::2]})
    assert all((np.asarray(flow) == 0).all() for flow in flows.values())
    # And all of it can be learned from the first step on.
    slopes = jax.grad(lambda v: head.apply(v, {0: features, 1: features})[0].sum())(variables)
    assert np.abs(slopes["params"]["flowconv_0"]["kernel"]).min() > 0


def test_both_directions_are_one_network(pyramid):
    apply = pyramid
    forward = apply(FRAMES, jnp.ones(DROPS))
    swapped = apply(FRAMES[:, ::-1], jnp.ones(DROPS))
    for a, b in zip(forward, swapped, strict=True):
        np.testing.assert_allclose(a, b[:, ::-1], atol=1e-5)
    assert np.abs(forward[0]).max() > 1e-3
    # Examples don't see each other.
    other = apply(FRAMES[::-1], jnp.ones(DROPS))
    np.testing.assert_allclose(forward[0], other[0][::-1], atol=1e-5)


def test_dropped_residuals_leave_the_coarser_flow(pyramid):
    apply = pyramid
    assert all((np.asarray(flow) == 0).all() for flow in apply(FRAMES, jnp.zeros(DROPS)))
    # Only the coarsest level speaks: what comes after is its flow, enlarged.
    flows = apply(FRAMES, jnp.zeros(DROPS).at[0].set(1.0))
    for fine, coarse in itertools.pairwise(flows):
        expected = jax.image.resize(coarse, fine.shape, "linear")
        np.testing.assert_allclose(fine, expected, atol=1e-4)
    assert np.abs(flows[0]).max() > 1e-4


def test_concatenated_flow_is_a_share_of_the_sides():
    net = FlowNet("tiny", "concat", decoder_channels=(4, 4, 4, 4, 4), scales=2)
    variables = filled(net)
    params = dict(variables["params"])
    # A bias that saturates the sigmoid: the flow is as long as it can be.
    params["head"] = jax.tree.map(lambda x: np.full_like(x, 50.0 * (x.ndim == 1)), params["head"])
    flows = jax.jit(lambda v: net.apply(v, FRAMES, False))({**variables, "params": params})
    assert [f.shape for f in flows] == [(2, 1, 32, 64, 2), (2, 1, 16, 32, 2)]
    for flow in flows:
        np.testing.assert_allclose(flow[..., 0], REACH * 64, rtol=1e-5)
        np.testing.assert_allclose(flow[..., 1], REACH * 32, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"design": "raft"}, (1, 2, 32, 32, 3), "'raft' is not one of concat, pyramid"),
        ({}, (1, 2, 48, 64, 3), "multiples of 32"),
        ({}, (1, 3, 32, 32, 3), r"expected \[B, 2"),
    ],
)
def test_bad_arguments_are_refused(options, shape, message):
    with pytest.raises(ValueError, match=message):
        FlowNet("tiny", **options).init(KEY, jnp.zeros(shape), False)
