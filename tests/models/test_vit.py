"""Vision transformers: sizes, values and gradients against PyTorch, tokens, positions, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax import models
from geoseg_jax.interop import vits
from geoseg_jax.models import encoders, positions, vit
from tests.models import weights
from tests.models.test_recorded import digest

# Published counts (timm, 1000 classes; DINOv2, none) less the classifier's and what is not here:
# the position vector of the class token, and DINOv2's smaller patches.
PARAMETERS = {
    "vit_s16": 22_050_664 - 385_000 - 384,
    "vit_l16": 304_326_632 - 1_025_000 - 1024,
    "vit_s16_dinov2": 22_056_192 - 384 + 3 * (16**2 - 14**2) * 384,
}
# Every kind of layer: registers, layer scale, a grid of its own.
SMALL = {"registers": 2, "layer_scale": 0.1, "grid": 5}
# Of each map, printed by `python -m tests.models.test_vit` from what PyTorch computes.
RECORDED = {
    4: [0.0397612, 1.70795, 0.801085],
    8: [0.041324, 1.7242, 0.860333],
    16: [0.0344108, 1.74071, 0.89172],
    32: [-0.0144716, 1.0359, 0.222272],
}


def encoder_and_variables(**changes):
    encoder = vit.ViTTiny(**SMALL | changes)
    images = jnp.zeros((1, 32, 32, 3))
    shapes = jax.eval_shape(lambda: encoder.init(jax.random.key(0), images, False))
    return encoder, weights.randomise(shapes)


IMAGES = weights.images((2, 48, 112, 3))


def torch_net(variables, **changes):
    """The twin with the same weights, by timm's names."""
    import torch

    from benchmarks import torch_vit

    encoder = vit.ViTTiny(**SMALL | changes)
    net = torch_vit.ViT(
        *(encoder.width, encoder.depth, encoder.heads, encoder.grid),
        registers=encoder.registers,
        scaled=True,
        place_cls=0,
    )
    net.load_state_dict({n: torch.tensor(a) for n, a in as_timm(variables).items()}, strict=True)
    return net


def as_timm(variables):
    """The export, of an encoder that is under no name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoders.ENCODERS, "vit_small_test", functools.partial(vit.ViTTiny, **SMALL))
        vits.shapes_of.cache_clear()
        return vits.to_timm({"params": {"encoder": variables["params"]}}, "vit_small_test")


@pytest.mark.parametrize("kind", PARAMETERS)
def test_encoders_have_the_published_size(kind):
    encoder, images = models.make_encoder(kind), jnp.zeros((1, 96, 128, 3))
    init = lambda: encoder.init_with_output(jax.random.key(0), images, True)  # noqa: E731
    stages, variables = jax.eval_shape(init)
    assert set(variables) == {"params"}
    assert sum(p.size for p in jax.tree.leaves(variables)) == PARAMETERS[kind]
    assert {s: f.shape for s, f in stages.items()} == {
        s: (1, 6, 8, encoder.width) for s in (4, 8, 16, 32)
    }


def test_every_quarter_and_its_gradients():
    """Against PyTorch where it is, and what it gave elsewhere."""
    encoder, variables = encoder_and_variables()

    @jax.jit
    def run(params):
        def loss(params):
            maps = encoder.apply({"params": params}, IMAGES, True)
            return sum(jnp.mean(jnp.square(m)) for m in maps.values()), maps

        return jax.grad(loss, has_aux=True)(params)

    gradient, maps = run(variables["params"])
    assert tuple(maps) == (4, 8, 16, 32)
    for stride, values in RECORDED.items():
        np.testing.assert_allclose(digest(maps[stride]), values, rtol=1e-4, atol=1e-5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; recorded values agreed")
    net = torch_net(variables)
    theirs, _ = net(torch.tensor(IMAGES).permute(0, 3, 1, 2))
    sum(m.square().mean() for m in theirs).backward()
    for ours, expected in zip(maps.values(), theirs, strict=True):
        expected = expected.detach().permute(0, 2, 3, 1).numpy()
        assert np.abs(ours - expected).max() < 1e-4 * np.abs(expected).max()
    expected = {name: p.grad.numpy() for name, p in net.named_parameters()}
    ours = as_timm({"params": jax.tree.map(np.asarray, gradient)})
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        error = np.abs(value - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-3, f"{name}: {error:.2g} of the largest value"


def test_tokens_of_some_patches():
    encoder, variables = encoder_and_variables()
    count = 3 * 7
    assert encoder.prefix == 3
    permuted = np.stack([np.random.default_rng(i).permutation(count) for i in range(2)])

    @jax.jit
    def run(variables, images, keep):
        return encoder.apply(variables, images, keep, method="tokens")

    @jax.jit
    def run_all(variables, images):
        whole = encoder.apply(variables, images, method="tokens")
        shuffled = encoder.apply(variables, images, permuted, method="tokens")
        return whole, shuffled, encoder.apply(variables, images, False)[32]

    whole, shuffled, last = run_all(variables, IMAGES)
    np.testing.assert_allclose(whole[:, 3:].reshape(last.shape), last, atol=1e-5)
    # All patches in another order: attention has none, positions go with their patches.
    np.testing.assert_allclose(shuffled[:, :3], whole[:, :3], atol=1e-5)
    expected = np.take_along_axis(np.asarray(whole[:, 3:]), permuted[..., None], axis=1)
    np.testing.assert_allclose(shuffled[:, 3:], expected, atol=1e-5)
    # Patches that are left out have no influence, those that are seen have.
    keep = permuted[:, :5]
    seen = run(variables, IMAGES, keep)
    assert seen.shape == (2, 3 + 5, 32)
    patches = vit.patchify(IMAGES).copy()
    for picture, left_out in enumerate(permuted[:, 5:]):
        patches[picture, left_out] = 0.5
    other = patches.reshape(2, 3, 7, 16, 16, 3).swapaxes(2, 3).reshape(IMAGES.shape)
    np.testing.assert_array_equal(run(variables, other, keep), seen)
    assert np.abs(run(variables, 1 - IMAGES, keep) - seen).max() > 1e-2


def test_patches_by_hand():
    picture = np.arange(4 * 6 * 2).reshape(1, 4, 6, 2)
    patches = vit.patchify(picture, 2)
    assert patches.shape == (1, 6, 8)
    # The second patch: rows 0 and 1, columns 2 and 3.
    np.testing.assert_array_equal(patches[0, 1], picture[0, :2, 2:4].reshape(-1))
    np.testing.assert_array_equal(patches[0, 3], picture[0, 2:, :2].reshape(-1))


def test_positions_start_as_sines_and_cosines():
    grid = positions.sincos(3, 5, 8)
    for y, x in ((0, 0), (2, 4)):
        slow = 1e4**-0.5
        by_hand = [f(v * w) for v in (x, y) for f in (np.sin, np.cos) for w in (1, slow)]
        np.testing.assert_allclose(grid[y, x], by_hand, atol=1e-6)
    with pytest.raises(ValueError, match="multiple of 4"):
        positions.sincos(2, 2, 6)
    encoder = vit.ViTTiny()
    params = jax.eval_shape(lambda: encoder.init(jax.random.key(0), IMAGES, False))["params"]
    assert params["pos_embed"].shape == (14, 14, 32)


def test_positions_are_resampled_as_timm_does():
    grid = np.random.default_rng(0).standard_normal((7, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(positions.resample(jnp.asarray(grid), 7, 7), grid)
    flat = positions.resample(jnp.full((7, 7, 3), 2.0), 4, 20)
    np.testing.assert_allclose(flat, 2.0, atol=1e-5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    theirs = torch.nn.functional.interpolate(
        torch.tensor(grid).permute(2, 0, 1)[None], (3, 20), mode="bicubic", antialias=True
    )
    ours = positions.resample(jnp.asarray(grid), 3, 20)  # coarser one way, finer the other
    np.testing.assert_allclose(ours, theirs[0].permute(1, 2, 0).numpy(), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 20), (37, 16), (16, 16), (2, 7)])
def test_positions_are_resampled_as_dino_does(shape):
    """interpolate_pos_encoding of DINOv2 without registers: a scale, not a size, is asked for."""
    grid = np.random.default_rng(0).standard_normal((7, 7, 3)).astype(np.float32)
    ours = positions.resample(jnp.asarray(grid), *shape, "dino")
    flat = positions.resample(jnp.full((7, 7, 3), 2.0), *shape, "dino")
    np.testing.assert_allclose(flat, 2.0, atol=1e-5)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    theirs = torch.nn.functional.interpolate(
        torch.tensor(grid).permute(2, 0, 1)[None],
        scale_factor=tuple((side + 0.1) / 7 for side in shape),
        mode="bicubic",
        antialias=False,
    )
    np.testing.assert_allclose(ours, theirs[0].permute(1, 2, 0).numpy(), atol=1e-5)


def test_each_encoder_resamples_as_its_weights_were_trained():
    ways = {kind: models.make_encoder(kind).resampling for kind in PARAMETERS}
    dino = {kind for kind, way in ways.items() if way == "dino"}
    assert dino == {kind for kind in PARAMETERS if kind.endswith("dinov2")} != set()
    _, variables = encoder_and_variables()
    both = [vit.ViTTiny(**SMALL, resampling=way) for way in positions.WAYS]
    timm, dino = jax.jit(lambda v: [e.apply(v, IMAGES, False)[32] for e in both])(variables)
    assert np.abs(timm - dino).max() > 1e-3


def test_bfloat16_is_near_and_keeps_parameters_float32():
    encoder, variables = encoder_and_variables()
    images, half = IMAGES[:1, :32, :32], vit.ViTTiny(**SMALL, dtype=jnp.bfloat16)
    shapes = jax.eval_shape(lambda: half.init(jax.random.key(0), images, False))
    assert {p.dtype for p in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    run = jax.jit(lambda v: [e.apply(v, images, False)[32] for e in (half, encoder)])
    near, exact = run(variables)
    assert near.dtype == jnp.bfloat16
    error = np.abs(near.astype(np.float32) - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.05


def test_refusals_name_the_remedy():
    def init(encoder, shape):
        return jax.eval_shape(lambda: encoder.init(jax.random.key(0), jnp.zeros(shape), False))

    with pytest.raises(ValueError, match=r"40x32 are not whole patches.*multiples of 16"):
        init(models.make_encoder("vit_tiny"), (1, 32, 40, 3))
    with pytest.raises(ValueError, match=r"\(1, 32, 32, 6\).*3 channels"):
        init(models.make_encoder("vit_tiny"), (1, 32, 32, 6))
    with pytest.raises(ValueError, match=r"output_stride 8 is finer.*use 16"):
        init(models.make_encoder("vit_tiny", output_stride=8), (1, 32, 32, 3))
    pair = init(models.make_encoder("vit_tiny", frames=2), (1, 32, 32, 6))
    assert pair["params"]["patch_embed"]["kernel"].shape == (16, 16, 6, 32)
    assert {k for k in models.ENCODERS if models.is_vit(k)} == {
        k for k in models.ENCODERS if k.startswith("vit")
    }


if __name__ == "__main__":
    import torch

    with torch.no_grad():
        found, _ = torch_net(encoder_and_variables()[1])(torch.tensor(IMAGES).permute(0, 3, 1, 2))
    for name, value in zip((4, 8, 16, 32), found, strict=True):
        numbers = digest(value.permute(0, 2, 3, 1).numpy())
        print(f"    {name}: [{', '.join(f'{v:.6g}' for v in numbers)}],")


def test_every_block_of_a_step_costs_the_same():
    """Else gradients of the sum that goes through all blocks are added up anew in each of them."""

    def operations(depth):
        model, images = vit.ViT(depth=depth, width=64, heads=2), jnp.zeros((2, 32, 48, 3))
        params = jax.eval_shape(lambda: model.init(jax.random.key(0), images, True))["params"]

        def loss(params, images):
            features = model.apply({"params": params}, images, True)
            return sum(jnp.square(feature).sum() for feature in features.values())

        return jax.jit(jax.grad(loss)).lower(params, images).compile().cost_analysis()["flops"]

    four, eight, twelve = map(operations, (4, 8, 12))
    assert twelve - eight == pytest.approx(
        eight - four, rel=2e-3
    )  # a hundredth more where they are
