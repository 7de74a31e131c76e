import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.transform import Rotation

from geoseg_jax.ops import camera
from tests.ops import transforms
from tests.ops.transforms import grad

RANDOM = np.random.default_rng(0)
INTRINSICS = np.array([[10.0, 0.5, 4.0], [0.0, 12.0, 3.0], [0.0, 0.0, 1.0]], np.float32)
IDENTITY = np.eye(4, dtype=np.float32)


def test_backproject_and_project_by_hand():
    depth = np.full((7, 9), 2.0, np.float32)
    points = camera.backproject(depth, np.array([[10, 0, 4], [0, 12, 3], [0, 0, 1]], np.float32))
    np.testing.assert_allclose(points[3, 4], [0, 0, 2], atol=1e-6)
    np.testing.assert_allclose(points[0, 0], [-0.8, -0.5, 2], atol=1e-6)
    xy, z = camera.project(jnp.array([[[1.0, -0.5, 2.0]]]), INTRINSICS)
    np.testing.assert_allclose(xy[0, 0], [10 * 0.5 - 0.5 * 0.25 + 4, 12 * -0.25 + 3], atol=1e-6)
    assert z[0, 0] == 2


def test_project_undoes_backproject():
    depth = RANDOM.uniform(0.5, 50, (2, 7, 9)).astype(np.float32)
    intrinsics = np.stack([INTRINSICS, INTRINSICS * [[1.5], [1], [1]]]).astype(np.float32)
    xy, z = camera.project(camera.backproject(depth, intrinsics), intrinsics)
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(7)), -1)
    np.testing.assert_allclose(xy, np.stack([grid, grid]), atol=1e-4)
    np.testing.assert_allclose(z, depth)


def test_inverse_intrinsics():
    product = INTRINSICS @ camera.inverse_intrinsics(INTRINSICS)
    np.testing.assert_allclose(product, np.eye(3), atol=1e-6)


def test_points_not_in_front_are_outside_and_finite():
    points = jnp.array(
        [[[0, 0, 0], [1, 1, -2], [0, 0, 1e-9], [jnp.nan, 0, 1], [0, 0, jnp.nan], [jnp.inf, 0, 1]]],
        jnp.float32,
    )
    xy, _ = camera.project(points, INTRINSICS)
    np.testing.assert_array_equal(xy, camera.NOWHERE)
    gradient = grad(lambda p: camera.project(p, INTRINSICS)[0].sum())(points)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.3, 0.499, 0.501, 2.0, 3.14159])
def test_pose_from_twist_is_the_matrix_exponential(angle):
    axis = RANDOM.normal(size=3)
    w, v = axis / np.linalg.norm(axis) * angle, RANDOM.normal(size=3)
    twist = np.zeros((4, 4))
    twist[:3, :3] = [[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]]
    twist[:3, 3] = v
    with jax.enable_x64(True):
        pose = camera.pose_from_twist(jnp.asarray(np.concatenate([v, w])))
    np.testing.assert_allclose(pose, linalg.expm(twist), atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_rotvec(w).as_matrix(), atol=1e-12)
    pose = camera.pose_from_twist(jnp.asarray(np.concatenate([v, w]), jnp.float32))
    np.testing.assert_allclose(pose, linalg.expm(twist), atol=2e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.4999, 0.6])
def test_pose_gradient_matches_finite_differences(angle):
    random = np.random.default_rng(3)
    weights = random.normal(size=(4, 4))
    with jax.enable_x64(True):
        twist = np.concatenate([random.normal(size=3), np.array([0.6, -0.64, 0.48]) * angle])
        total = jax.jit(lambda t: (camera.pose_from_twist(t) * weights).sum())
        wanted = transforms.numeric_gradient(total, twist)
        np.testing.assert_allclose(grad(total)(jnp.asarray(twist)), wanted, atol=1e-8)


def test_pose_of_zero_twist_and_its_gradient_by_hand():
    np.testing.assert_array_equal(camera.pose_from_twist(jnp.zeros(6)), IDENTITY)
    jacobian = jax.jacobian(camera.pose_from_twist)(jnp.zeros(6))
    assert np.isfinite(jacobian).all()
    # The translation part moves the translation, a rotation about x turns y towards z.
    np.testing.assert_array_equal(jacobian[:3, 3, :3], np.eye(3))
    assert jacobian[2, 1, 3] == 1
    assert jacobian[1, 2, 3] == -1


def test_compose_and_inverse():
    a, b = camera.pose_from_twist(jnp.asarray(RANDOM.normal(size=(2, 6)), jnp.float32))
    point = np.array([1.0, -2.0, 3.0, 1.0])
    wanted = np.asarray(a) @ (np.asarray(b) @ point)
    np.testing.assert_allclose(camera.compose(a, b) @ point, wanted, atol=1e-5)
    np.testing.assert_allclose(camera.inverse(a), np.linalg.inv(a), atol=1e-5)
    np.testing.assert_allclose(camera.compose(camera.inverse(a), a), IDENTITY, atol=1e-6)


def test_warp_by_the_identity_returns_the_source():
    source = RANDOM.random((7, 9, 3), np.float32)
    depth = RANDOM.uniform(1, 50, (7, 9)).astype(np.float32)
    image, valid = camera.warp_with_depth(source, depth, INTRINSICS, INTRINSICS, IDENTITY)
    np.testing.assert_allclose(image, source, atol=1e-4)
    assert valid.all()


def test_sideways_camera_shifts_by_focal_length_times_baseline_over_depth():
    source = RANDOM.random((7, 9, 3), np.float32)
    pose = IDENTITY.copy()
    pose[0, 3] = 0.4  # points appear 10 * 0.4 / 2 = 2 pixels further right in the source
    image, valid = camera.warp_with_depth(
        source, np.full((7, 9), 2.0, np.float32), INTRINSICS, INTRINSICS, pose
    )
    np.testing.assert_allclose(image[:, :-2], source[:, 2:], atol=1e-5)
    assert valid[:, :-2].all()
    assert not valid[:, -2:].any()


def test_warp_is_finite_and_invalid_behind_the_camera_and_at_zero_depth():
    source = RANDOM.random((7, 9, 3), np.float32)
    depth = np.array([0, 1, -1, np.nan, 5, np.inf, 1e-30, 1e30, 2], np.float32)
    depth = np.broadcast_to(depth, (7, 9))
    pose = IDENTITY.copy()
    pose[2, 3] = -3.0  # the source camera is three metres ahead

    def warp(depth, pose):
        return camera.warp_with_depth(source, depth, INTRINSICS, INTRINSICS, pose)

    image, valid = warp(depth, pose)
    assert np.isfinite(image).all()
    assert not np.asarray(valid)[:, [0, 1, 2, 3, 5, 6, 8]].any()
    assert np.asarray(valid)[3, 4]
    gradients = grad(lambda d, p: warp(d, p)[0].sum(), argnums=(0, 1))(depth, pose)
    assert np.isfinite(gradients[0]).all()
    assert np.isfinite(gradients[1]).all()


def test_same_under_transformations():
    depth = RANDOM.uniform(1, 9, (8, 7, 9)).astype(np.float32)
    intrinsics = np.broadcast_to(INTRINSICS, (8, 3, 3)).copy()
    twists = (RANDOM.normal(size=(8, 6)) * 0.1).astype(np.float32)
    sources = RANDOM.random((8, 7, 9, 3), np.float32)
    points = RANDOM.normal((0, 0, 3), size=(8, 7, 9, 3)).astype(np.float32)

    def poses(twist):
        pose = camera.pose_from_twist(twist)
        return pose, camera.compose(pose, pose), camera.inverse(pose)

    transforms.check_transforms(poses, twists)
    transforms.check_transforms(camera.backproject, depth, intrinsics)
    transforms.check_transforms(camera.project, points, intrinsics)

    def warp(source, depth, intrinsics, twist):
        pose = camera.pose_from_twist(twist)
        return camera.warp_with_depth(source, depth, intrinsics, intrinsics, pose)

    transforms.check_transforms(warp, sources, depth, intrinsics, twists, tolerance=1e-4)
