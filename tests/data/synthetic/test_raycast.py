"""Rays against closed forms, against points inside the shapes, and against testing everything."""

import numpy as np
import pytest

from geoseg_jax.data.synthetic import shapes
from geoseg_jax.data.synthetic.raycast import View, blocked, pose, trace_grid
from geoseg_jax.data.synthetic.scene import (
    Light,
    Material,
    Motion,
    SceneBuilder,
    Sky,
    rotation_x,
    rotation_y,
    rotation_z,
)
from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.data.synthetic.truth import trace

INTRINSICS = np.array([[40.0, 0, 23.5], [0, 40.0, 15.5], [0, 0, 1]])
GRAY = Material((0.5, 0.5, 0.5))


def scene_of(*primitives):
    builder = SceneBuilder(np.random.default_rng(0))
    for kind, centre, half, *rest in primitives:
        rotation = rest[0] if rest else None
        motion = rest[1] if len(rest) > 1 else Motion()
        builder.add(kind, centre, half, GRAY, 0, rotation, motion)
    return builder.build(Light(), Sky())


def view_from(eye=(0.0, 0.0, 0.0), rotation=None, time=0.0, intrinsics=INTRINSICS):
    rotation = np.eye(3) if rotation is None else rotation
    camera = np.eye(4)
    camera[:3, :3], camera[:3, 3] = rotation.T, -rotation.T @ np.asarray(eye, float)
    return View(intrinsics, camera, 32, 48, time)


def test_ground_depth_is_height_times_focal_over_rows_below_the_horizon():
    scene = scene_of((shapes.QUAD, (0, 0, 0), (100, 1, 100)))
    depth = trace(scene, view_from(eye=(0, -1.6, 0))).depth
    assert np.isinf(depth[:16]).all()  # the horizon lies between rows 15 and 16
    rows = np.arange(16, 32)
    expected = 1.6 * 40 / (rows - 15.5)
    expected[expected > 100] = np.inf
    np.testing.assert_allclose(depth[16:], np.repeat(expected[:, None], 48, 1), rtol=1e-12)


def test_sphere_depth_through_the_centre_and_beside_it():
    view = view_from(intrinsics=np.array([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]]))
    depth = trace(scene_of((shapes.SPHERE, (0, 0, 10), (2, 2, 2))), view).depth
    assert depth[16, 24] == pytest.approx(8)
    # The ray (0.1, 0, 1) t meets the sphere where 1.01 t^2 - 20 t + 96 = 0.
    assert depth[16, 28] == pytest.approx((20 - np.sqrt(400 - 4 * 1.01 * 96)) / 2.02)
    # It is tangent at 2 / sqrt(100 - 4) = 0.2041 of the depth, 8.16 pixels from the middle.
    assert np.isfinite(depth[16, 32])
    assert np.isinf(depth[16, 33])


def test_box_turned_by_45_degrees_shows_its_edge():
    view = view_from(intrinsics=np.array([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]]))
    scene = scene_of((shapes.BOX, (0, 0, 10), (1, 1, 1), rotation_y(np.pi / 4)))
    depth = trace(scene, view).depth
    assert depth[16, 24] == pytest.approx(10 - np.sqrt(2))
    # Beside the edge the face runs back at 45 degrees: z = 10 - sqrt(2) + x with x = 0.05 z.
    assert depth[16, 26] == pytest.approx((10 - np.sqrt(2)) / 0.95)
    assert depth[16, 22] == pytest.approx((10 - np.sqrt(2)) / 0.95)


def test_cylinder_cone_and_prism_by_hand():
    view = view_from(intrinsics=np.array([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]]))
    depth = trace(scene_of((shapes.CYLINDER, (0, 0, 10), (1, 3, 1))), view).depth
    assert depth[16, 24] == pytest.approx(9)
    depth = trace(scene_of((shapes.CONE, (0, 0, 10), (1, 2, 1))), view).depth
    assert depth[16, 24] == pytest.approx(9.5)  # half-way up it is half as wide
    roof = scene_of((shapes.PRISM, (0, 0, 10), (2, 1, 3), rotation_y(np.pi / 2)))
    depth = trace(roof, view).depth
    assert depth[16, 24] == pytest.approx(9)  # the slope is half its width, 1, out at mid height


def inside(kind, p, slack):
    """Membership in the unit shapes, written apart from the code that intersects them."""
    x, y, z = np.moveaxis(p, -1, 0)
    radius = np.hypot(x, z)
    return {
        shapes.BOX: (np.abs(p) < 1 + slack).all(-1),
        shapes.SPHERE: (p * p).sum(-1) < 1 + slack,
        shapes.CYLINDER: (radius < 1 + slack) & (np.abs(y) < 1 + slack),
        shapes.CONE: (radius < (y + 1) / 2 + slack) & (np.abs(y) < 1 + slack),
        shapes.PRISM: (np.abs(x) < (y + 1) / 2 + slack) & (np.abs(z) < 1 + slack) & (y < 1 + slack),
    }[kind]


@pytest.mark.parametrize(
    "kind", [shapes.BOX, shapes.SPHERE, shapes.CYLINDER, shapes.CONE, shapes.PRISM]
)
def test_hits_lie_on_the_shape_and_nothing_of_it_is_before_them(kind):
    rng = np.random.default_rng(kind)
    for _ in range(6):
        turn = (
            rotation_y(rng.uniform(0, 6))
            @ rotation_x(rng.uniform(0, 6))
            @ rotation_z(rng.uniform(0, 6))
        )
        centre, half = rng.uniform((-1, -1, 6), (1, 1, 8)), rng.uniform(0.5, 2.5, 3)
        scene = scene_of((kind, centre, half, turn))
        hits = trace(scene, view_from())
        x, y = np.meshgrid(np.arange(48.0), np.arange(32.0))
        rays = np.stack([(x - 23.5) / 40, (y - 15.5) / 40, np.ones_like(x)], -1)
        steps = np.linspace(0.02, 14, 700)
        points = (rays[:, :, None] * steps[:, None] - centre) @ turn / half
        within = inside(kind, points, -1e-6)
        seen = np.isfinite(hits.depth)
        assert seen.sum() > 10
        assert not within[~seen].any()
        first = np.where(within.any(-1), steps[within.argmax(-1)], np.inf)
        assert (hits.depth[seen] <= first[seen] + 1e-9).all()
        surface = (rays[seen] * hits.depth[seen][:, None] - centre) @ turn / half
        assert inside(kind, surface, 1e-6).all()
        assert not inside(kind, surface, -1e-6).any()
        # Half a step behind its entry the ray is within, unless it only cuts a corner.
        assert np.mean(first[seen] - hits.depth[seen] < 0.0201) > 0.9


def test_normals_are_the_gradient_of_the_surface():
    rng = np.random.default_rng(0)
    for kind in (shapes.BOX, shapes.SPHERE, shapes.CYLINDER, shapes.CONE, shapes.PRISM):
        hits = trace(scene_of((kind, (0.1, 0.2, 4), (1, 1, 1))), view_from((0.5, -1.5, 0)))
        y, x = np.nonzero(np.isfinite(hits.depth))
        rays = np.stack([(x - 23.5) / 40, (y - 15.5) / 40, np.ones(len(x))], -1)
        points = rays * hits.depth[y, x][:, None] + (0.5, -1.5, 0) - np.array([0.1, 0.2, 4])
        normals = shapes.normals(kind, points)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        assert (np.sum(normals * rays, 1) < 1e-9).all()  # they face the camera
        tangent = np.cross(normals, rng.normal(size=normals.shape))
        # A small step along the surface stays on it, to second order; edges aside.
        shifted = points + 1e-4 * tangent
        assert np.mean(inside(kind, shifted - 1e-5 * normals, 0)) > 0.95
        assert np.mean(inside(kind, shifted + 1e-5 * normals, 0)) < 0.05


def everywhere(posed):
    """The same, tested against every ray: nothing is culled."""
    bounds = np.tile([-1e9, 1e9, -1e9, 1e9], (len(posed.near), 1))
    near = np.zeros_like(posed.near)
    return posed._replace(bounds=bounds, near=near, order=np.arange(len(near)))


@pytest.mark.parametrize("world", ["street", "room"])
def test_culling_changes_nothing(world):
    source = SyntheticSource(world, size=3, seed=5, height=24, width=48)
    for i in range(3):
        scene, view, others = source.shot(i)
        posed = pose(scene, view)
        x, y = np.arange(48.0), np.arange(24.0)
        culled, whole = (trace_grid(scene, p, x, y) for p in (posed, everywhere(posed)))
        np.testing.assert_array_equal(culled.index, whole.index)
        np.testing.assert_allclose(culled.depth, whole.depth, rtol=1e-12)
        rng = np.random.default_rng(i)
        posed = pose(scene, others[0])
        spots = rng.uniform(0, 1, (2, 400)) * [[47], [23]]
        reach = rng.uniform(1, 60, 400)
        culled, whole = (
            blocked(scene, p, *spots, reach, (24, 48)) for p in (posed, everywhere(posed))
        )
        np.testing.assert_array_equal(culled, whole)
        assert 0.1 < culled.mean() < 0.99


def test_small_and_large_primitives_hide_one_another_alike():
    wall = (shapes.BOX, (0, 0, 9), (20, 20, 0.5))
    near = (shapes.SPHERE, (0, 0, 5), (0.3, 0.3, 0.3))
    behind = (shapes.SPHERE, (0, 0, 12), (0.3, 0.3, 0.3))
    hits = trace(scene_of(behind, wall, near), view_from())
    assert set(np.unique(hits.index)) == {1, 2}
    assert hits.index[16, 24] == 2


def test_moving_primitives_are_where_their_motion_takes_them():
    motion = Motion((1.0, 0, -2.0), np.pi / 2, (0, 0, 10))
    scene = scene_of((shapes.SPHERE, (1, 0, 10), (0.5, 0.5, 0.5), None, motion))
    rotation, centre = scene.at(1.0)
    # A quarter turn about (0, 0, 10) takes x to -z; then it goes on by the velocity.
    np.testing.assert_allclose(centre[0], (0 + 1, 0, 9 - 2), atol=1e-12)
    np.testing.assert_allclose(rotation[0], rotation_y(np.pi / 2), atol=1e-12)
    assert scene.moving.all()
