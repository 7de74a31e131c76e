import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops import camera, disparity, photometric, reprojection, sampling, smoothness
from tests.ops import transforms

HEIGHT, WIDTH = 12, 16
INTRINSICS = np.array([[10, 0, 7.5], [0, 11, 5.5], [0, 0, 1]], np.float32)
RANGE = {"min_depth": 0.5, "max_depth": 20.0}
STATIC = (
    "min_depth", "max_depth", "ssim_weight", "smoothness", "smoothness_order", "automask",
    "enlarged", "align_corners",
)  # fmt: skip
# Compiled once for all tests that share shapes and options: most of their time is compilation.
fused_loss = jax.jit(reprojection.reprojection_loss, static_argnames=STATIC)


@functools.partial(jax.jit, static_argnames=STATIC)
def fused_gradients(*arguments, **options):
    """Loss, and derivatives with respect to all arguments."""

    def loss(*arguments):
        return reprojection.reprojection_loss(*arguments, **options)[0]

    return jax.value_and_grad(loss, argnums=(0, 1, 2, 3, 4))(*arguments)


def make(seed=0, batch=2, views=2, scales=2, motion=0.1):
    """disparities, poses, target, sources, intrinsics; some pixels leave the sources."""
    random = np.random.default_rng(seed)
    disparities = [
        random.uniform(0.05, 0.95, (batch, HEIGHT >> s, WIDTH >> s)) for s in range(scales)
    ]
    twists = jnp.asarray(random.normal(size=(batch, views, 6)) * motion)
    pictures = random.random((batch, 1 + views, HEIGHT, WIDTH, 3))
    intrinsics = np.broadcast_to(INTRINSICS.astype(np.float64), (batch, 3, 3))
    arrays = (camera.pose_from_twist(twists), pictures[:, 0], pictures[:, 1:], intrinsics)
    return [jnp.asarray(d) for d in disparities], *map(jnp.asarray, arrays)


def plain_loss(
    disparities, poses, target, sources, intrinsics,
    *, ssim_weight=0.85, weight=1e-3, order=1, automask=True, mask_counts=True, depths=(),
):  # fmt: skip
    """The composition of the plain kernels, as the paper says it; depths: in place of its own."""
    total, views, matrix = 0.0, target[:, None], intrinsics[:, None]
    for scale, level in enumerate(disparities):
        up = sampling.resize_bilinear(level[..., None], HEIGHT, WIDTH)[..., 0]
        depth = depths[scale] if depths else disparity.disparity_to_depth(up, **RANGE)
        depth = depth[:, None]
        warped, valid = camera.warp_with_depth(sources, depth, matrix, matrix, poses)
        errors = photometric.photometric_error(warped, views, ssim_weight)
        error, any_valid = photometric.minimum_reprojection(errors, valid)
        identity = photometric.photometric_error(sources, views, ssim_weight)
        if automask and not mask_counts:
            error = jnp.where(any_valid, error, jnp.maximum(error, identity.min(axis=1)))
        elif automask:
            error, _ = photometric.automask(error, any_valid, identity)
        picture = sampling.resize_bilinear(target, *level.shape[1:])
        level = smoothness.mean_normalised(level)
        maps = smoothness.edge_aware_smoothness(level, picture, order)
        total += error.mean() + weight / 2**scale * sum(m.mean() for m in maps)
    return total / len(disparities)


def test_depth_enlarged_with_its_corners_aligned_is_torchs():
    torch = pytest.importorskip("torch")
    arguments = make()
    settings = {"mode": "bilinear", "align_corners": True}
    depths = []
    for level in arguments[0]:
        depth = torch.tensor(np.asarray(disparity.disparity_to_depth(level, **RANGE)))[:, None]
        up = torch.nn.functional.interpolate(depth, (HEIGHT, WIDTH), **settings)[:, 0]
        depths.append(jnp.asarray(up.numpy()))
    expected = plain_loss(*arguments, depths=depths)
    options = {"enlarged": "depth", "align_corners": True}
    found, _ = fused_loss(*arguments, **RANGE, **options)
    assert found == pytest.approx(float(expected), rel=1e-5)
    usual, _ = fused_loss(*arguments, **RANGE)
    assert abs(usual - found) > 1e-4
    with pytest.raises(ValueError, match="enlarged is 'dept'"):
        reprojection.reprojection_loss(*arguments, enlarged="dept")


@pytest.mark.parametrize(
    ("automask", "mask_counts", "views", "order", "ssim_weight", "weight"),
    [
        (True, True, 2, 1, 0.85, 1e-3), (False, True, 3, 2, 0.7, 0.1),
        (True, False, 2, 1, 0.85, 1e-3),
    ],
)  # fmt: skip
def test_equals_the_plain_composition_in_value_and_derivative(
    automask, mask_counts, views, order, ssim_weight, weight
):
    with jax.enable_x64(True):
        arguments = make(views=views)

        def plain(disparities, poses, intrinsics):
            return plain_loss(
                disparities, poses, *arguments[2:4], intrinsics, automask=automask,
                mask_counts=mask_counts, ssim_weight=ssim_weight, weight=weight, order=order,
            )  # fmt: skip

        options = {"ssim_weight": ssim_weight, "smoothness": weight, "smoothness_order": order}
        options |= {"automask": automask, "mask_counts": jnp.asarray(mask_counts)}
        got = fused_gradients(*arguments, **RANGE, **options)
        wanted = jax.jit(jax.value_and_grad(plain, argnums=(0, 1, 2)))(*arguments[:2], arguments[4])
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-12)
    for picture in got[1][2:4]:
        np.testing.assert_array_equal(picture, 0)  # pictures are data: no derivative
    # Of the intrinsics those entries count that a camera has: fx, skew, cx, fy, cy.
    entries = np.triu_indices(2, m=3)
    cameras = [by[:, *entries] for by in (got[1][4], wanted[1][2])]
    pairs = zip(jax.tree.leaves(got[1][:2]), jax.tree.leaves(wanted[1][:2]), strict=True)
    for a, b in [*pairs, cameras]:
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, atol=1e-10 * np.abs(b).max())


def test_derivative_matches_finite_differences():
    with jax.enable_x64(True):
        disparities, poses, *rest = make()

        def loss(coarse, poses, intrinsics=rest[-1]):
            options = {"ssim_weight": 0.85, "smoothness": 1e-3, "smoothness_order": 1}
            arguments = [disparities[0], coarse], poses, *rest[:-1], intrinsics
            return fused_gradients(*arguments, **RANGE, **options, automask=True)

        _, ((_, by_coarse), by_poses, *_, by_cameras) = loss(disparities[1], poses)
        wanted = transforms.numeric_gradient(
            lambda d: loss(d, poses)[0], np.asarray(disparities[1]), 1e-7
        )
        np.testing.assert_allclose(by_coarse, wanted, atol=1e-4 * np.abs(wanted).max())
        wanted = transforms.numeric_gradient(
            lambda p: loss(disparities[1], p)[0], np.asarray(poses), 1e-7
        )
        np.testing.assert_allclose(by_poses, wanted, atol=1e-3 * np.abs(wanted).max())
        wanted = transforms.numeric_gradient(
            lambda k: loss(disparities[1], poses, k)[0], np.asarray(rest[-1]), 1e-7
        )
        np.testing.assert_allclose(by_cameras, wanted, atol=1e-3 * np.abs(wanted).max())


def test_true_depth_and_motion_leave_no_error():
    # A wall two metres away, seen by a camera 0.4 metres to the left: two pixels, 10 * 0.4 / 2.
    random = np.random.default_rng(0)
    wide = random.random((HEIGHT, WIDTH + 2, 3), np.float32)
    target, source = wide[None, :, 2:], wide[None, None, :, :-2]
    poses = np.broadcast_to(np.eye(4, dtype=np.float32), (1, 1, 4, 4)).copy()
    poses[..., 0, 3] = 0.4
    level = disparity.depth_to_disparity(np.full((1, HEIGHT, WIDTH), 2, np.float32), **RANGE)
    intrinsics = INTRINSICS[None]
    arguments = [level], poses, target, source, intrinsics
    loss, terms = fused_loss(*arguments, **RANGE, smoothness=0.0)
    # Only the pixels whose window leaves the source, three columns, have an error left.
    assert terms["reprojected"] >= (WIDTH - 3) / WIDTH
    assert loss < 0.5 * 3 / WIDTH  # random pictures differ by about a half
    wrong = [disparity.depth_to_disparity(np.full((1, HEIGHT, WIDTH), 5, np.float32), **RANGE)]
    assert fused_loss(wrong, *arguments[1:], **RANGE, smoothness=0.0)[0] > 2 * loss


def test_where_nothing_is_seen_the_loss_is_the_identity_error():
    disparities, poses, target, sources, intrinsics = make()
    away = jnp.asarray(poses).at[..., 2, 3].set(-100.0)  # all points lie behind the sources

    identity = photometric.photometric_error(sources, target[:, None]).min(axis=1).mean()
    for automask in (True, False):
        loss, gradients = fused_gradients(
            disparities, away, target, sources, intrinsics, **RANGE, smoothness=0.0,
            automask=automask,
        )  # fmt: skip
        if automask:
            np.testing.assert_allclose(loss, identity, rtol=1e-5)
        for gradient in jax.tree.leaves(gradients):
            np.testing.assert_array_equal(gradient, 0)


def test_while_the_mask_is_held_back_points_out_of_view_are_no_way_out():
    disparities, poses, target, sources, intrinsics = make()
    away = jnp.asarray(poses).at[..., 0, 3].set(1000.0)  # all points lie beside the sources
    rest = target, sources, intrinsics
    options = RANGE | {"smoothness": 0.0, "automask": True}
    held, terms = fused_loss(disparities, away, *rest, **options, mask_counts=jnp.asarray(False))
    identity = photometric.photometric_error(sources, target[:, None]).min(axis=1)
    border = fused_loss(disparities, away, *rest, **options | {"automask": False})[0]
    assert held > identity.mean()
    assert held > border
    assert terms["reprojected"] == 0
    counted = fused_loss(disparities, away, *rest, **options, mask_counts=jnp.asarray(True))[0]
    np.testing.assert_allclose(counted, identity.mean(), rtol=1e-5)


def test_gradients_are_finite_at_rest_and_at_the_ends_of_the_range():
    _, _, target, sources, intrinsics = make()
    poses = jnp.broadcast_to(jnp.eye(4), (2, 2, 4, 4))
    for value in (0.0, 1.0):
        level = jnp.full((2, HEIGHT, WIDTH), value)
        _, ((by_level,), by_poses, *_) = fused_gradients(
            [level], poses, target, sources, intrinsics, **RANGE, automask=False
        )
        assert np.isfinite(by_level).all()
        assert np.isfinite(by_poses).all()
        # A camera that stands still must be able to learn to move.
        assert np.abs(by_poses[..., :3, 3]).max() > 1e-4


def test_terms_add_up_to_the_loss():
    loss, terms = fused_loss(*make(), **RANGE, smoothness=0.1)
    np.testing.assert_allclose(loss, terms["photometric"] + terms["smoothness"], rtol=1e-6)
    assert 0 < terms["reprojected"] < 1
    assert terms["smoothness"] > 0


def test_pictures_show_what_the_loss_sees():
    disparities, poses, target, sources, intrinsics = make()
    pictures = jax.jit(functools.partial(reprojection.reprojection_pictures, **RANGE))
    warped, mask = pictures(disparities[0], poses, target, sources, intrinsics)
    assert warped.shape == sources.shape
    _, terms = fused_loss(disparities[:1], poses, target, sources, intrinsics, **RANGE)
    np.testing.assert_allclose(mask.mean(), terms["reprojected"], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: []}, "at least one scale"),
        ({0: [jnp.zeros((3, 4, 4))]}, r"scale 0 has shape \[3, 4, 4\]"),
        ({1: jnp.zeros((2, 1, 4, 4))}, r"poses has shape \[2, 1, 4, 4\]"),
        ({2: jnp.zeros((2, 4, 4, 3))}, r"target has shape \[2, 4, 4, 3\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, message):
    arguments = list(make())
    for position, value in change.items():
        arguments[position] = value
    with pytest.raises(ValueError, match=message):
        reprojection.reprojection_loss(*arguments)


def test_same_under_transformations():
    arguments = make(batch=8, views=1)
    fine, coarse = arguments[0]

    def of_example(fine, coarse, *rest):
        def loss(fine, coarse, poses, *rest):
            levels = [fine[None], coarse[None]]
            rest = (poses, *rest)
            return reprojection.reprojection_loss(levels, *(a[None] for a in rest), **RANGE)[0]

        value, gradient = jax.value_and_grad(loss, argnums=(0, 1, 2))(fine, coarse, *rest)
        return value, *gradient

    def of_batch(*arrays):
        batched = arrays[0].ndim == 3
        return (jax.vmap(of_example) if batched else of_example)(*arrays)

    arrays = [np.asarray(a, np.float32) for a in (fine, coarse, *arguments[1:])]
    transforms.check_transforms(of_batch, *arrays, tolerance=1e-4)


@pytest.mark.parametrize(("platform", "sizes"), [("tpu", "1, 12"), ("cpu", "1, 1, 6")])
def test_a_tpu_reads_rows_of_a_table(platform, sizes):
    """Whose instruction for it wants rows: slices that begin anywhere become a loop over pixels."""
    arrays = make(batch=1, scales=1)
    lowered = jax.jit(fused_loss).trace(*arrays).lower(lowering_platforms=(platform,))
    found = re.findall(r"slice_sizes = array<i64: ([\d, ]+)>", lowered.as_text())
    assert set(found) == {sizes}


@pytest.mark.parametrize("order", [1, 2])
def test_a_level_too_small_to_have_a_slope_adds_nothing(order):
    _, poses, target, sources, intrinsics = make()
    levels = [jnp.full((2, rows, columns), 0.3) for rows, columns in ((4, 8), (1, 2))]
    losses = [
        fused_loss(
            levels[:n], poses, target, sources, intrinsics, **RANGE, smoothness=1.0,
            smoothness_order=order,
        )[1]["smoothness"]
        for n in (1, 2)
    ]  # fmt: skip
    np.testing.assert_array_equal(losses, 0)
