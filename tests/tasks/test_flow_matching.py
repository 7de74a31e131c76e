"""What draws flows to matches: where it leads, how strongly, and until when; and finer flows.

That a step is equal on eight devices tests/tasks/test_displacement.py has.
"""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops.sampling import reduce_mean
from geoseg_jax.settings import ConfigError, check
from geoseg_jax.tasks import make_task
from geoseg_jax.tasks.flow_distillation import distillation_loss
from geoseg_jax.tasks.flow_matching import matching_loss
from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.tasks.test_flow import SIZE, make_batch, make_config

KEY = jax.random.key(1)
HEIGHT, WIDTH = 48, 144
SHIFT = (60, -8)  # pixels of the picture, 30 and -4 of one that is half as large
SETTINGS = {"reduction": 2}


def moving_scenes(count: int) -> jax.Array:
    """[count, 2, HEIGHT, WIDTH, 3], by SHIFT; coarse enough to be seen at half the size."""
    pairs = []
    for seed in range(count):
        noise = np.random.default_rng(seed).random((HEIGHT + 8, WIDTH + 60, 3))
        scene = cv2.GaussianBlur(noise, (0, 0), 1.6)
        scene = (scene - scene.min()) / np.ptp(scene)
        pairs.append((scene[:HEIGHT, 60:], scene[8:, :WIDTH]))
    return jnp.asarray(np.array(pairs), jnp.float32)


def flows_of(there, count: int = 1, directions: int = 2) -> tuple[jax.Array, ...]:
    """Flows of two scales, the same everywhere, and back."""
    both = jnp.stack((jnp.asarray(there, jnp.float32), -jnp.asarray(there, jnp.float32)))
    both = both[None, :directions, None, None]
    return tuple(
        jnp.broadcast_to(both, (count, directions, HEIGHT // s, WIDTH // s, 2)) for s in (4, 16)
    )


@pytest.mark.parametrize("directions", [1, 2])
def test_it_is_the_distance_to_the_matches(directions):
    frames = moving_scenes(2)
    loss = jax.jit(lambda flows: matching_loss(flows, frames, SETTINGS))
    # Up to robust_error's epsilon, and the few matches that are off by a pixel.
    assert float(loss(flows_of(SHIFT, 2, directions))) == pytest.approx(0.01, abs=0.05)
    # In pixels of pictures half as large, as many from afar as from nearby.
    for off in ((-8, 0), (0, 6), (-60, 8)):
        moved = (SHIFT[0] + off[0], SHIFT[1] + off[1])
        wanted = (abs(off[0]) + abs(off[1])) / 2
        assert float(loss(flows_of(moved, 2, directions))) == pytest.approx(wanted, rel=0.03)


def test_the_slope_leads_from_no_motion_to_the_match():
    frames = moving_scenes(1)
    slope = jax.jit(jax.grad(lambda flows: matching_loss(flows, frames, SETTINGS)))(
        flows_of((0, 0))
    )
    for scale in slope:
        there, back = (np.asarray(scale[0, d]).sum((0, 1)) for d in (0, 1))
        assert there[0] < 0 < there[1]
        assert back[1] < 0 < back[0]


def test_its_weight_falls_to_nothing():
    config = make_config("strong,tiny", task__level_dropout=0.0, task__smoothness=0.0)
    config.task.distillation.weight = 0.0
    config.task.matches.update({"weight": 3.0, "end": 0.5, "reduction": 1})
    check(config)
    task, batch = make_task(config), make_batch(2)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    loss = jax.jit(lambda v: task.loss(v, KEY, batch))

    def terms(share):
        progress = {"progress": {"share": jnp.float32(share)}}
        stats = {**variables["batch_stats"], **progress}
        value, aux = loss({**variables, "batch_stats": stats})
        assert float(value) == pytest.approx(float(aux.terms["data"] + aux.terms["matches"]))
        return float(aux.terms["matches"])

    # A network that has learned nothing says no motion; the pictures move by (3, 1).
    assert terms(0.0) == pytest.approx(3 * (3 + 1), rel=0.1)
    assert terms(0.25) == pytest.approx(terms(0.0) / 2)
    assert terms(0.5) == terms(0.9) == 0


def test_what_the_network_did_not_see_is_not_drawn():
    frames = moving_scenes(1)
    shift = jnp.asarray([[40.0, 0.0]])  # of frame 1 the last 40 columns were out of sight
    flows = flows_of((0, 0))
    slope = jax.jit(jax.grad(lambda f: matching_loss(f, frames, SETTINGS, shift)))(flows)[0]
    there, back = np.abs(np.asarray(slope[0])).sum((1, 3))
    edge = (WIDTH - 40) // 4
    assert not back[edge + 1 :].any()
    assert back[: edge - 1].any()
    assert there[15 : (WIDTH - 60) // 4].any()  # what lies there is seen in frame 0 all the same


def test_a_flow_finer_than_the_pictures_is_drawn_as_a_whole():
    frames = moving_scenes(1)
    fine = jnp.zeros((1, 2, HEIGHT, WIDTH, 2))
    loss = jax.grad(lambda f: matching_loss((f,), frames, {"reduction": 4}))
    slope = np.asarray(jax.jit(loss)(fine))[0, 0]
    blocks = slope.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 2)
    assert np.abs(blocks).any()
    np.testing.assert_allclose(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))


def test_a_search_that_would_have_no_effect_is_refused():
    with pytest.raises(ConfigError, match=r"matches.weight=1.0: has no effect"):
        check(make_config("supervised", task__matches__weight=1.0))
    with pytest.raises(ConfigError, match=r"matches.reduction=16 must be 1, 2, 4 or 8"):
        check(make_config("strong", task__matches__reduction=16))
    with pytest.raises(ConfigError, match=r"matches.end=0.0"):
        check(make_config("strong", task__matches__end=0.0))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_finer_flow_is_as_smooth_as_at_a_quarter(stride):
    config = make_config("strong,tiny", task__occlusion="none")
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.random((1, 2, *SIZE, 3)), jnp.float32)
    size = SIZE[0] // stride, SIZE[1] // stride
    fine = jnp.asarray(rng.normal(0, 3, (1, 2, *size, 2)), jnp.float32)
    quarter = reduce_mean(fine, SIZE[0] // 4, SIZE[1] // 4)

    def smoothness(flow):
        return float(photometric_loss((flow,), frames, config.task)[1]["smoothness"])

    assert smoothness(fine) == pytest.approx(smoothness(quarter), rel=1e-5)


def test_a_finer_teacher_weighs_as_much_as_one_at_a_quarter():
    frames = jnp.zeros((1, 2, *SIZE, 3))

    def distilled(stride):
        shape = (1, 2, SIZE[0] // stride, SIZE[1] // stride, 2)

        def teacher(_):
            return jnp.zeros(shape)

        def student(_):  # away from there and back, so that the teacher is believed
            return jnp.full(shape, 30.0)

        return float(distillation_loss(teacher, student, frames, frames, 0.1))

    assert distilled(1) == pytest.approx(distilled(4), rel=1e-5)
    assert distilled(4) == pytest.approx(30 / 4, rel=1e-2)


def test_settings_of_convex_upsampling_that_contradict_are_refused():
    convex = {"model__flow_upsampling": "convex"}
    check(make_config("strong", task__coarse_weights=(0.0, 1.0), **convex))
    for changes, message in (
        ({"task__scale_weights": (1.0,) * 6}, "there are 5 scales at most"),
        ({"task__coarse_weights": (1.0,)}, r"coarse_weights=.*is not coarse; put a 0 first"),
        ({"model__flow": "concat", "task__level_dropout": 0.0}, "flow_upsampling=convex: has no"),
        ({"model__flow_upsampling": "cubic"}, "must be one of bilinear, convex"),
    ):
        with pytest.raises(ConfigError, match=message):
            check(make_config("strong", **(convex | changes)))
    with pytest.raises(ConfigError, match="there are 4 scales at most"):
        check(make_config("strong", task__scale_weights=(1.0,) * 5))
    with pytest.raises(ConfigError, match=r"matches.weight=1.0: matches may lie beyond"):
        check(make_config("paper", task__matches__weight=1.0))
