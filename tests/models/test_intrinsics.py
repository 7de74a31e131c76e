"""Learned cameras: the matrix by hand, mirroring, and that a camera that turns is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.data.transforms import flip
from geoseg_jax.models.intrinsics import LearnedIntrinsics, inverse_softplus
from geoseg_jax.ops import camera, reprojection, sampling
from geoseg_jax.training import sharding

HEIGHT, WIDTH = 32, 48


def given(focal=1.0, batch=1):
    """Intrinsics [batch, 3, 3], the axis in the middle of the picture."""
    middle = [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]
    matrix = [[focal * WIDTH, 0, middle[0]], [0, focal * WIDTH, middle[1]], [0, 0, 1]]
    return jnp.broadcast_to(jnp.asarray(matrix), (batch, 3, 3))


def apply(params, matrix, video=(0,), flipped=(False,), **settings):
    net = LearnedIntrinsics(**{"videos": 1, "initial_fov": 60.0} | settings)
    args = matrix, jnp.asarray(video), jnp.asarray(flipped), HEIGHT, WIDTH
    return net.apply({"params": params}, *args)


def init(**settings):
    net = LearnedIntrinsics(**{"videos": 1, "initial_fov": 60.0} | settings)
    return net.init(jax.random.key(0), method="numbers")["params"]


@pytest.mark.parametrize("principal_point", [True, False])
def test_it_starts_at_the_field_of_view_whatever_the_records_guess(principal_point):
    squeezed = given(3.0).at[:, 1].multiply(0.5)
    matrix = apply(init(principal_point=principal_point), squeezed, principal_point=principal_point)
    focal = WIDTH / 2 / np.tan(np.pi / 6)
    np.testing.assert_allclose(matrix[0, [0, 1], [0, 1]], [focal, focal / 2], rtol=1e-6)
    np.testing.assert_allclose(matrix[0, :, 2], squeezed[0, :, 2])


def test_each_video_has_its_own():
    first = {"focal_x": 1.0, "focal_y": 2.0, "offset_x": 0.1, "offset_y": -0.2}
    params = {name: jnp.asarray([value, 2 * value]) for name, value in first.items()}
    matrix = apply(params, given(batch=3), (1, 0, 1), (False,) * 3, videos=2)
    np.testing.assert_array_equal(matrix[0], matrix[2])
    soft = np.log1p(np.exp([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(matrix[1, [0, 1], [0, 1]], WIDTH * soft[:2], rtol=1e-6)
    np.testing.assert_allclose(matrix[0, [0, 1], [0, 1]], WIDTH * soft[1:], rtol=1e-6)
    moved = given()[0, :2, 2] + np.array([0.2 * WIDTH, -0.4 * HEIGHT])
    np.testing.assert_allclose(matrix[0, :2, 2], moved, rtol=1e-6)


def test_it_turns_with_a_mirrored_record():
    """What is learned from mirrored records is the camera of the others."""
    params = init() | {"offset_x": jnp.asarray([0.1]), "offset_y": jnp.asarray([0.2])}
    record = {"image": np.zeros((HEIGHT, WIDTH, 3), np.uint8)}
    plain = record | {"intrinsics": np.asarray(apply(params, given())[0])}
    expected = flip(plain)["intrinsics"]
    mirrored = flip(record | {"intrinsics": np.asarray(given()[0])})["intrinsics"]
    got = apply(params, mirrored[None], flipped=(True,))[0]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert abs(got[0, 2] - plain["intrinsics"][0, 2]) > 5


def test_derivatives_are_the_same_where_the_batch_is_divided():
    """Examples of one video may lie on different devices."""
    mesh = sharding.make_mesh(jax.devices()[:8])
    video, weight = np.arange(8, dtype=np.int32) % 3, np.arange(8.0, dtype=np.float32)
    arguments = np.asarray(given(batch=8)), video, video == 1, weight

    def total(params, matrix, video, flipped, weight):
        net = LearnedIntrinsics(3, 60.0)
        matrices = net.apply({"params": params}, matrix, video, flipped, HEIGHT, WIDTH)
        return jnp.sum(matrices * weight[:, None, None])

    params = init(videos=3)
    slope = jax.jit(jax.grad(total))
    divided = [jax.device_put(a, sharding.split(mesh)) for a in arguments]
    alone, together = slope(params, *arguments), slope(params, *divided)
    for name in params:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5)
    sums = np.bincount(video, weight)
    np.testing.assert_allclose(alone["offset_x"], WIDTH * sums * [1, -1, 1], rtol=1e-5)


def test_inverse_softplus():
    for value in (1e-3, 0.5, 0.9, 30.0):
        assert float(jax.nn.softplus(inverse_softplus(value))) == pytest.approx(value, rel=1e-5)


def panorama(rays):
    """A smooth picture infinitely far away: colours [..., 3] of directions [..., 3]."""
    x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
    waves = [np.sin(9 * x + 2 * y), np.sin(7 * y - 3 * x), np.sin(11 * x + 5 * y + 1)]
    return 0.5 + 0.4 * np.stack(waves, axis=-1)


def turning(focal, angle):
    """What a camera sees before and after it has turned to either side, and the poses."""
    matrix = np.asarray(given(focal)[0], float)
    grid = np.asarray(sampling.pixel_grid(HEIGHT, WIDTH))
    rays = np.concatenate([grid, np.ones((HEIGHT, WIDTH, 1))], -1) @ np.linalg.inv(matrix).T
    twists = jnp.asarray([[0, 0, 0, 0.8 * a, a, 0] for a in (angle, -angle)])
    poses = np.asarray(camera.pose_from_twist(twists), float)
    # A source's pixel with the ray r sees what lies in the target's direction R^T r.
    sources = np.stack([panorama(rays @ pose[:3, :3]) for pose in poses])
    return panorama(rays), sources, poses


def test_a_camera_that_turns_is_found():
    """From 90 degrees to the true 53, by nothing but the photometric error; in float64, by which
    the derivative is held against finite differences before.
    """
    with jax.enable_x64(True):
        target, sources, poses = (jnp.asarray(a)[None] for a in turning(1.0, 0.15))
        level = jnp.full((1, HEIGHT, WIDTH), 0.5)
        params = jax.tree.map(lambda p: jnp.asarray(p, float), init(initial_fov=90.0))

        def loss(params):
            matrix = apply(params, given(0.7).astype(float))
            arguments = [level], poses, target, sources, matrix
            return reprojection.reprojection_loss(*arguments, automask=False, smoothness=0.0)[0]

        slope = jax.jit(jax.value_and_grad(loss))
        start, by_params = slope(params)
        for name in params:
            moved = (params | {name: params[name] + s} for s in (1e-6, -1e-6))
            numeric = np.subtract(*(slope(p)[0] for p in moved)) / 2e-6
            assert by_params[name][0] == pytest.approx(numeric, rel=1e-3, abs=1e-7), name
        for step in range(80):
            value, by = slope(params)
            reach = 0.08 * 0.95**step
            params = {name: p - reach * np.sign(by[name]) for name, p in params.items()}
        found = {name: float(p[0]) for name, p in params.items()}
    assert float(value) < 0.1 * float(start)
    assert np.log1p(np.exp(found["focal_x"])) == pytest.approx(1.0, rel=0.03)
    assert np.log1p(np.exp(found["focal_y"])) == pytest.approx(1.0, rel=0.05)
    assert abs(found["offset_x"]) < 0.02
