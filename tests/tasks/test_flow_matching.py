"""What draws flows to matches: where it leads, how strongly, and until when."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.ops.sampling import reduce_mean
from geoseg_jax.settings import ConfigError, check
from geoseg_jax.tasks import make_task
from geoseg_jax.tasks.flow_matching import matching_loss
from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.one_step import assert_equal_on_eight_devices
from tests.tasks.test_flow import SIZE, make_batch, make_config

HEIGHT, WIDTH = 64, 160
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
    loss = jax.jit(lambda v: task.loss(v, jax.random.key(1), batch))

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


def test_a_step_is_equal_on_eight_devices():
    config = make_config("paper,tiny")
    config.task.matches.update({"weight": 1.0, "reduction": 1})
    check(config)
    assert_equal_on_eight_devices(make_task(config), make_batch(8))


def test_a_search_that_would_have_no_effect_is_refused():
    with pytest.raises(ConfigError, match=r"matches.weight=1.0: has no effect"):
        check(make_config("supervised", task__matches__weight=1.0))
    with pytest.raises(ConfigError, match=r"matches.reduction=3 must be 1, 2, 4 or 8"):
        check(make_config("strong", task__matches__reduction=3))
    with pytest.raises(ConfigError, match=r"matches.end=0.0"):
        check(make_config("strong", task__matches__end=0.0))


def test_flow_of_the_pictures_size_is_as_smooth_as_at_a_quarter():
    config = make_config("strong,tiny", task__occlusion="none")
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.random((1, 2, *SIZE, 3)), jnp.float32)
    whole = jnp.asarray(rng.normal(0, 3, (1, 2, *SIZE, 2)), jnp.float32)
    quarter = reduce_mean(whole, SIZE[0] // 4, SIZE[1] // 4)

    def smoothness(flow):
        return float(photometric_loss((flow,), frames, config.task)[1]["smoothness"])

    assert smoothness(whole) == pytest.approx(smoothness(quarter), rel=1e-5)


def test_a_convex_network_has_one_more_flow_and_learns():
    config = make_config("strong,tiny", model__flow_upsampling="convex")
    config.task.scale_weights = (1.0,) * 5
    check(config)
    task, batch = make_task(config), make_batch(2)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    step = jax.jit(
        jax.grad(lambda p: task.loss({**variables, "params": p}, jax.random.key(1), batch)[0])
    )
    slopes = step(variables["params"])["flow"]["enlarge"]["weights"]
    assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes))
    config.task.scale_weights = (1.0,) * 6
    with pytest.raises(ConfigError, match="there are 5 scales at most"):
        check(config)
