"""Displaced frames against the motion that they were made with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.tasks import displacement, make_task
from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.one_step import assert_equal_on_eight_devices
from tests.tasks.test_flow import SIZE, make_batch, make_config

HEIGHT, WIDTH = SIZE
MOTION, SHIFT = (3.0, 1.0), (5.0, -4.0)


def a_pair():
    """Frames [1, 2, H, W, 3] whose content moves by MOTION, and SHIFT as [1, 2]."""
    batch = make_batch(1, tuple(map(int, MOTION)))
    frames = jnp.stack((batch["image"], batch["sources"][:, 0]), axis=1) / 255
    return frames, jnp.asarray([SHIFT])


def test_displaced_content_lies_where_the_shift_says():
    frames, shift = a_pair()
    moved = np.asarray(displacement.displace(frames, shift))
    np.testing.assert_array_equal(moved[:, 0], frames[:, 0])
    np.testing.assert_allclose(moved[0, 1, :-4, 5:], frames[0, 1, 4:, :-5], atol=1e-5)
    # Beyond, the border goes on.
    np.testing.assert_allclose(moved[0, 1, -4:, 5:], [frames[0, 1, -1, :-5]] * 4, atol=1e-5)


def test_undone_flows_are_those_of_the_frames_as_they_were():
    """Of a field that differs from pixel to pixel, on a map at half the size."""
    _, shift = a_pair()
    y, x = np.mgrid[: HEIGHT // 2, : WIDTH // 2].astype(np.float32)
    true_back = np.stack((0.5 * x - y, x + 0.25 * y), axis=-1)  # at q, of the frames as they were
    # The displaced frame shows at q + shift what lay at q; SHIFT is (2.5, -2) pixels of the map.
    column, row = x - 2.5, y + 2
    seen_back = np.stack((0.5 * column - row, column + 0.25 * row), axis=-1) - np.float32(SHIFT)
    seen_there = np.full_like(seen_back, MOTION) + np.float32(SHIFT)
    seen = jnp.asarray(np.stack((seen_there, seen_back)))[None]
    got = np.asarray(displacement.undo(seen, shift, HEIGHT, WIDTH))
    np.testing.assert_allclose(got[0, 0], np.full_like(seen_back, MOTION), atol=1e-5)
    known = np.asarray(displacement.known(shift / 2, 2, HEIGHT // 2, WIDTH // 2)[0])
    assert (known[0] == 1).all()
    np.testing.assert_array_equal(known[1], (x + 2.5 <= WIDTH // 2 - 1) & (y - 2 >= 0))
    inside = known[1] > 0
    np.testing.assert_allclose(got[0, 1][inside], true_back[inside], atol=1e-4)
    one_way = displacement.undo(seen[:, :1], shift, HEIGHT, WIDTH)
    np.testing.assert_array_equal(one_way, got[:, :1])


def test_what_was_not_seen_does_not_count():
    """Flows that are wrong there cost nothing, and have no slope; but for the three pixels next to
    what was seen, of which census sees a part.
    """
    frames, shift = a_pair()
    config = make_config("strong,tiny", task__occlusion="none", task__smoothness=0.0)
    there = jnp.broadcast_to(jnp.asarray(MOTION), (1, 1, *SIZE, 2))
    flows = jnp.concatenate((there, -there), axis=1)
    deep = shift - 3 * jnp.sign(shift)
    unseen = displacement.known(deep, 2, *SIZE)[..., None] == 0
    assert unseen.any()

    @jax.jit
    def loss(flows, shift):
        return photometric_loss((flows,), frames, config.task, True, shift)[0]

    wrong = jnp.where(unseen, flows + 7, flows)
    assert float(loss(wrong, shift)) == float(loss(flows, shift))
    assert float(loss(wrong, 0 * shift)) > 1.05 * float(loss(flows, 0 * shift))
    slope = jax.grad(loss)(wrong, shift)
    assert np.abs(np.where(unseen, slope, 0)).max() == 0 < np.abs(slope).max()


def test_each_example_moves_on_its_own_by_whole_pixels_within_the_share():
    ids = jnp.arange(400)
    shift = np.asarray(displacement.draw(jax.random.key(0), ids, 0.25, HEIGHT, WIDTH))
    np.testing.assert_array_equal(shift, np.round(shift))
    assert (np.abs(shift).max(axis=0) == (WIDTH / 4, HEIGHT / 4)).all()
    assert len(np.unique(shift, axis=0)) > 200
    assert (np.abs(shift.mean(axis=0)) < (1.5, 0.75)).all()
    turned = np.asarray(displacement.draw(jax.random.key(0), ids[::-1], 0.25, HEIGHT, WIDTH))
    np.testing.assert_array_equal(turned[::-1], shift)


@pytest.mark.parametrize("arg", ["supervised", "strong"])
def test_the_loss_is_that_of_the_pair_whatever_the_network_saw(arg, monkeypatch):
    """Of a network that finds the displaced pair's flow exactly, it doesn't tell of the shift."""
    config = make_config(f"{arg},tiny", task__jitter__probability=0.0, task__smoothness=0.0)
    config.task.update({"level_dropout": 0.0, "occlusion": "none", "displacement": 0.2})
    config.task.distillation.weight = 0.0
    batch = make_batch(2)
    task = make_task(config)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    monkeypatch.setattr(displacement, "draw", lambda *_: jnp.tile(jnp.asarray(SHIFT), (2, 1)))

    def loss():
        return float(task.loss(variables, jax.random.key(1), batch)[0])

    # The untrained network says no motion, so that after undoing it says minus the shift.
    untrained = loss()
    exact = jnp.asarray(MOTION) + jnp.asarray(SHIFT)

    def perfect(own, frames, keep, train, both):
        there = jnp.broadcast_to(exact, (2, 1, *SIZE, 2))
        flows = jnp.concatenate((there, -there), axis=1) if both else there
        return (flows,) * 4, {"batch_stats": own["batch_stats"]}

    arm = task.loss.__self__
    monkeypatch.setattr(arm, "_run", perfect)
    trained = loss()
    assert trained < 0.5 * untrained
    if arg == "supervised":
        # (0 + 0.01)^0.4 at all scales: exact.
        assert trained == pytest.approx(0.01**0.4 * 2, rel=1e-4)


def test_a_step_is_equal_on_eight_devices():
    """Drawn to matches too, which `paper` may not reach, but its network compiles faster."""
    strong = make_config("strong,tiny").task.to_dict()
    config = make_config("paper,tiny", task__level_dropout=0.0)
    config.task.update(strong | {"level_dropout": 0.0, "displacement": 0.2})
    config.task.distillation.weight = 0.0
    config.task.matches.update({"weight": 1.0, "reduction": 1})
    assert_equal_on_eight_devices(make_task(config), make_batch(8))
