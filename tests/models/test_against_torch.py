"""Values, statistics and gradients against plain PyTorch networks with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from tests.models import weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
twin = pytest.importorskip("benchmarks.torch_twin")

STRIDES = (2, 4, 8, 16, 32)


def nchw(x):
    return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)


def assert_close(ours, theirs, what, tolerance=1e-4):
    """Within a share of the largest value: rounding grows with what is summed, not with the sum."""
    ours, theirs = np.asarray(ours), np.asarray(theirs.detach())
    error = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6)
    assert error < tolerance, f"{what}: {error:.2g} of the largest value"


def assert_statistics(module, batch_stats):
    state = module.state_dict()
    for name, value in twin.flax_to_torch(batch_stats).items():
        assert_close(value, state[name], name)


@pytest.mark.parametrize(
    ("kind", "frames", "train"),
    [("resnet18", 1, False), ("resnet18", 1, True), ("resnet50", 2, True)],
)
def test_every_stage_of_a_resnet(kind, frames, train):
    x = weights.images((2, 64, 96, 3 * frames))
    encoder = models.make_encoder(kind, frames=frames)
    variables = weights.randomise(jax.eval_shape(lambda: encoder.init(jax.random.key(0), x, False)))
    theirs = twin.ResNet(kind, frames)
    twin.load_flax(theirs, variables)
    theirs.train(train)
    run = jax.jit(lambda v, x: encoder.apply(v, x, train, mutable=["batch_stats"]))
    features, updated = run(variables, x)
    assert tuple(features) == STRIDES
    with torch.no_grad():
        for (stride, ours), expected in zip(features.items(), theirs(nchw(x)), strict=True):
            expected = expected.permute(0, 2, 3, 1)
            # Fifty batch norms over as few as 12 values amplify rounding.
            assert_close(ours, expected, f"stride {stride}", 5e-4 if train else 1e-4)
    # In evaluation both must be what they were.
    assert_statistics(theirs, updated["batch_stats"])


def test_depth_and_pose_networks_and_their_gradients():
    images = weights.images((2, 64, 96, 3))
    pairs = weights.images((4, 64, 96, 6), seed=2)
    channels = (4, 4, 8, 8, 16)
    net = models.SelfSupDepthNet("tiny", channels, pose_encoder="tiny")
    variables = weights.randomise(
        jax.eval_shape(lambda: net.init(jax.random.key(0), images, pairs, False))
    )
    theirs = twin.DepthNet("tiny", "tiny", "reflect", channels)
    twin.load_flax(theirs, variables)

    def loss(params):
        variables_now = {"params": params, "batch_stats": variables["batch_stats"]}
        outputs, updated = net.apply(variables_now, images, pairs, True, mutable=["batch_stats"])
        disparities, twists = outputs
        value = sum(jnp.mean(jnp.square(d)) for d in disparities) + jnp.sum(jnp.square(twists))
        return value, (outputs, updated["batch_stats"])

    (_, (outputs, batch_stats)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        variables["params"]
    )
    disparities, twists = theirs(nchw(images), nchw(pairs))
    (sum(torch.mean(d**2) for d in disparities) + torch.sum(twists**2)).backward()
    for scale, (ours, expected) in enumerate(zip(outputs[0], disparities, strict=True)):
        assert_close(ours, expected, f"disparity {scale}")
    assert_close(outputs[1], twists, "twists")
    assert_statistics(theirs, batch_stats)
    expected = twin.gradients(theirs)
    ours = twin.flax_to_torch(gradient)
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        assert_close(value, expected[name], name, 2e-3)
