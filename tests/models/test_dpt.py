"""Reassembling and DPT: values against PyTorch, sizes on either kind of encoder, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.models import decoders, dpt, reassemble
from geoseg_jax.ops import sampling
from tests.models import weights
from tests.models.test_recorded import digest

FEATURES, WIDTH = 8, 32
# Printed by `python -m tests.models.test_dpt` from what PyTorch computes.
RECORDED = {
    3: [0.0268317, 0.845225, -1.23279],
    2: [-0.0314143, 0.851949, 0.903832],
    1: [0.210635, 1.32565, -2.57111],
    0: [0.249163, 0.336873, 0],
}


def maps(height=64, width=96):
    generator = np.random.default_rng(5)
    shape = (2, height // 16, width // 16, WIDTH)
    return {s: generator.standard_normal(shape).astype(np.float32) for s in (4, 8, 16, 32)}


def decoder_and_variables():
    decoder = dpt.DPTDecoder(FEATURES)
    shapes = jax.eval_shape(lambda: decoder.init(jax.random.key(0), maps()))
    return decoder, weights.randomise(shapes)


def torch_net(variables):
    import torch

    from tests.models import dpt_twin

    net, state = dpt_twin.DPT(WIDTH, FEATURES), {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]):
        *modules, last = (p.key for p in path)
        enlarges = modules[-1] in ("resample_4", "resample_8")
        if leaf.ndim == 4:
            leaf = leaf.transpose((2, 3, 0, 1) if enlarges else (3, 2, 0, 1))
        state[".".join([*modules, {"kernel": "weight"}.get(last, last)])] = torch.tensor(leaf)
    net.load_state_dict(state, strict=True)
    return net


def run_torch(variables):
    import torch

    with torch.no_grad():
        found = torch_net(variables)([torch.tensor(m).permute(0, 3, 1, 2) for m in maps().values()])
    return {scale: m.permute(0, 2, 3, 1).numpy() for scale, m in found.items()}


def test_dpt_is_the_papers():
    """Against PyTorch's in the paper's order where it is; recorded values elsewhere."""
    decoder, variables = decoder_and_variables()
    ours = jax.jit(decoder.apply)(variables, maps())
    assert {s: m.shape for s, m in ours.items()} == {
        **{s: (2, 64 >> s, 96 >> s, FEATURES) for s in (1, 2, 3)},
        0: (2, 64, 96, 32),
    }
    for scale, values in RECORDED.items():
        np.testing.assert_allclose(digest(ours[scale]), values, rtol=1e-4, atol=1e-5)
    pytest.importorskip("torch", reason="PyTorch is not installed; the recorded values agreed")
    expected = run_torch(variables)
    assert ours.keys() == expected.keys()
    for scale, theirs in expected.items():
        assert np.abs(ours[scale] - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_twice_the_size_about_pixel_centres():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    expected = sampling.resize_bilinear(jnp.asarray(x), 6, 10)
    np.testing.assert_allclose(dpt.double(jnp.asarray(x)), expected, atol=1e-6)


def test_enlarging_by_hand():
    layer = reassemble.Enlarge(2, 2)
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    variables = weights.randomise(jax.eval_shape(lambda: layer.init(jax.random.key(0), x)))
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    y = layer.apply(variables, x)
    assert y.shape == (1, 4, 6, 2)
    # Row 2 * 1 + 1 and column 2 * 2 + 0 come from the pixel (1, 2) by the tap (1, 0).
    np.testing.assert_allclose(y[0, 3, 4], x[0, 1, 2] @ kernel[1, 0] + bias, atol=1e-5)


def shapes(kind, size, **settings):
    """Of the reassembled features of an encoder."""
    module = reassemble.Reassemble(**settings)

    def run():
        images = jnp.zeros((1, *size, 3))
        encoder = models.make_encoder(kind)
        features, _ = encoder.init_with_output(jax.random.key(0), images, False)
        return module.init_with_output(jax.random.key(0), features, *size)

    found, variables = jax.eval_shape(run)
    return {s: m.shape[1:] for s, m in found.items()}, set(variables["params"])


def test_both_kinds_of_encoder_give_true_strides():
    for kind, size in (("vit_tiny", (48, 80)), ("tiny", (40, 70))):
        found, names = shapes(kind, size, width=(3, 4, 5, 6))
        assert found == {
            s: (-(-size[0] // s), -(-size[1] // s), c)
            for s, c in zip((4, 8, 16, 32), (3, 4, 5, 6), strict=True)
        }
        resampled = {"resample_4", "resample_8", "resample_32"} if kind == "vit_tiny" else set()
        assert names == {f"project_{s}" for s in (4, 8, 16, 32)} | resampled
    found, _ = shapes("tiny", (64, 64), width=7, strides=(2, 8))
    assert found == {2: (32, 32, 7), 8: (8, 8, 7)}
    with pytest.raises(ValueError, match=r"no stage of stride 2 among \[4, 8, 16, 32\]"):
        shapes("vit_tiny", (32, 32), strides=(2,))
    with pytest.raises(ValueError, match="features of 5x3 belong to no picture of 64x48"):
        reassemble.true_stride((3, 5), 48, 64, 4)


@pytest.mark.parametrize(("kind", "size"), [("vit_tiny", (48, 80)), ("tiny", (64, 96))])
def test_dpt_goes_with_both_kinds_of_encoder(kind, size):
    def run():
        images = jnp.zeros((1, *size, 3))
        features, _ = models.make_encoder(kind).init_with_output(jax.random.key(0), images, False)
        decoder = decoders.make_decoder("dpt", kind, dpt_features=4)
        return decoder.init_with_output(jax.random.key(0), features)[0]

    found = jax.eval_shape(run)
    assert {s: m.shape[1:3] for s, m in found.items()} == {
        s: (size[0] >> s, size[1] >> s) for s in range(4)
    }


def test_decoders_by_name():
    with pytest.raises(ValueError, match=r"'vit_tiny' does not have; choose decoder='dpt'"):
        decoders.make_decoder("unet", "vit_tiny")
    with pytest.raises(ValueError, match=r"'fpn' is not one of unet, dpt"):
        decoders.make_decoder("fpn", "tiny")
    assert decoders.make_decoder("unet", "tiny", channels=[1, 2, 3, 4, 5]).channels[1] == 2
    assert (decoders.smallest_multiple("vit_tiny"), decoders.smallest_multiple("tiny")) == (16, 32)


if __name__ == "__main__":
    for name, value in run_torch(decoder_and_variables()[1]).items():
        print(f"    {name}: [{', '.join(f'{v:.6g}' for v in digest(value))}],")
