"""Schedules and rules against values by hand; frozen parts do not move by a bit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.training.optimizers import make_optimizer, make_schedule, multipliers

PARAMS = {
    "encoder": {
        "conv": {"kernel": jnp.array([[1.0, -2.0]])},
        "norm": {"scale": jnp.array([-0.0])},
    },
    "head": {"kernel": jnp.array([[3.0]]), "bias": jnp.array([0.5])},
}
STATS = {"encoder": {"norm": {"mean": jnp.zeros(1)}, "plain": {"mean": jnp.zeros(1)}}}
GRADS = jax.tree.map(lambda p: jnp.full_like(p, 2.0), PARAMS)


def build(steps=10, **changes):
    config = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0} | changes
    return make_optimizer(config, steps, PARAMS, STATS)


def update(optimizer, params=PARAMS, grads=GRADS, times=1):
    state = optimizer.transform.init(params)
    for _ in range(times):
        updates, state = optimizer.transform.update(
            grads, state, params, rate=optimizer.schedule(0)
        )
        params = optax.apply_updates(params, updates)
    return params


def test_step_schedule():
    schedule = make_schedule(
        {"learning_rate": 1.0, "schedule": "step", "decay_at": 0.75, "decay_factor": 0.1}, 8
    )
    np.testing.assert_allclose([schedule(i) for i in range(8)], [1] * 6 + [0.1] * 2)


def test_cosine_schedule_after_warmup():
    schedule = make_schedule({"learning_rate": 2.0, "schedule": "cosine", "warmup_steps": 4}, 12)
    rising = [0.5, 1.0, 1.5, 2.0]
    # Half a cosine over the 8 steps left: 1 + cos(pi k / 8).
    falling = [1 + np.cos(np.pi * k / 8) for k in range(8)]
    np.testing.assert_allclose([schedule(i) for i in range(12)], rising + falling, rtol=1e-5)


def test_poly_schedule_by_hand():
    # 2 (1 - t / 4)^0.9: 2, 2 * 0.75^0.9, 2 * 0.5^0.9, 2 * 0.25^0.9, and 0 at the end.
    schedule = make_schedule({"learning_rate": 2.0, "schedule": "poly"}, 4)
    expected = [2.0, 1.543779, 1.071773, 0.574349, 0.0]
    np.testing.assert_allclose([schedule(i) for i in range(5)], expected, rtol=1e-5, atol=1e-6)


def test_poly_schedule_after_warmup_with_another_power():
    config = {"learning_rate": 1.0, "schedule": "poly", "power": 2.0, "warmup_steps": 2}
    # (1 - t / 4)^2 over the 4 steps left.
    expected = [0.5, 1, 1, 9 / 16, 1 / 4, 1 / 16]
    schedule = make_schedule(config, 6)
    np.testing.assert_allclose([schedule(i) for i in range(6)], expected, rtol=1e-5)


def test_warmup_does_not_shift_the_decay():
    schedule = make_schedule(
        {
            "learning_rate": 1.0,
            "schedule": "step",
            "decay_at": 0.5,
            "decay_factor": 0.5,
            "warmup_steps": 2,
        },
        8,
    )
    np.testing.assert_allclose([schedule(i) for i in range(8)], [0.5, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])


def test_rules_scale_the_rate_and_the_first_match_wins():
    optimizer = build(rules=(("head/bias", 3.0), ("head/.*", 0.5)))
    moved = jax.tree.map(lambda a, b: a - b, update(optimizer), PARAMS)
    np.testing.assert_allclose(moved["head"]["bias"], [-0.1 * 2 * 3], rtol=1e-6)
    np.testing.assert_allclose(moved["head"]["kernel"], [[-0.1 * 2 * 0.5]], rtol=1e-6)
    np.testing.assert_allclose(moved["encoder"]["conv"]["kernel"], [[-0.2, -0.2]], rtol=1e-6)


def test_frozen_parameters_have_no_optimiser_state():
    optimizer = build(name="adam", rules=(("encoder/.*", 0.0),))
    state = optimizer.transform.init(PARAMS)
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert any("head" in p for p in paths)
    assert not any("encoder" in p for p in paths)
    assert optimizer.frozen_params["encoder"] == {"conv": {"kernel": True}, "norm": {"scale": True}}
    assert optimizer.frozen_params["head"] == {"kernel": False, "bias": False}


def test_statistics_are_frozen_with_their_module():
    frozen = build(rules=(("encoder/.*", 0.0),)).frozen_stats["encoder"]
    assert frozen == {"norm": {"mean": True}, "plain": {"mean": True}}
    # By the module's parameters, though this expression does not match the statistics' own path.
    frozen = build(rules=(("encoder/norm/scale", 0.0),)).frozen_stats["encoder"]
    assert frozen == {"norm": {"mean": True}, "plain": {"mean": False}}
    assert build().frozen_stats["encoder"] == {"norm": {"mean": False}, "plain": {"mean": False}}


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_rate_of_zero_moves_nothing_and_leaves_statistics_free(name):
    optimizer = build(name=name, learning_rate=0.0, weight_decay=0.1, warmup_steps=2)
    after = update(optimizer, times=3)
    jax.tree.map(np.testing.assert_array_equal, after, PARAMS)
    assert not any(jax.tree.leaves((optimizer.frozen_params, optimizer.frozen_stats)))


def test_adam_first_step_is_the_learning_rate():
    moved = jax.tree.map(lambda a, b: a - b, update(build(name="adam")), PARAMS)
    np.testing.assert_allclose(moved["head"]["kernel"], [[-0.1]], rtol=1e-5)


def test_weight_decay_spares_vectors():
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    new = update(build(name="adamw", weight_decay=0.01), grads=zero)
    np.testing.assert_allclose(new["head"]["kernel"], [[3.0 * (1 - 0.1 * 0.01)]], rtol=1e-6)
    np.testing.assert_array_equal(new["head"]["bias"], [0.5])


def test_clipping_is_by_the_norm_of_what_is_trained():
    # Trained alone: head, gradients (2, 2), norm 2 sqrt(2); clipped to norm 1.
    new = update(build(clip_norm=1.0, rules=(("encoder/.*", 0.0),)))
    np.testing.assert_allclose(new["head"]["bias"], [0.5 - 0.1 / np.sqrt(2)], rtol=1e-6)


def test_momentum():
    # 0.1 * 2, then 0.1 * (0.9 * 2 + 2)
    new = update(build(momentum=0.9), times=2)
    np.testing.assert_allclose(new["head"]["bias"], [0.5 - 0.2 - 0.38], rtol=1e-5)


# Gradients of five steps, in which signs change.
SEVERAL = np.array([2.0, -0.5, -3.0, 0.25, 1.0])


def accumulated(**changes):
    """A parameter that starts at 0.5, after each of the updates by SEVERAL."""
    optimizer = build(accumulate_gradients=True, **changes)
    params, state, values = PARAMS, optimizer.transform.init(PARAMS), []
    for gradient in SEVERAL:
        grads = jax.tree.map(lambda p, g=gradient: jnp.full_like(p, g), params)
        updates, state = optimizer.transform.update(
            grads, state, params, rate=optimizer.schedule(0)
        )
        params = optax.apply_updates(params, updates)
        values.append(float(params["head"]["bias"][0]))
    return values


def adam(gradients, rate=0.1):
    """Kingma and Ba, ICLR 2015, algorithm 1, from 0.5."""
    value, first, second, values = 0.5, 0.0, 0.0, []
    for t, gradient in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value -= rate * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        values.append(value)
    return values


def test_accumulated_gradients_are_the_sum_of_all_so_far():
    totals = np.cumsum(SEVERAL)
    np.testing.assert_allclose(accumulated(), 0.5 - 0.1 * np.cumsum(totals), rtol=1e-5)
    # Clipped is the sum; its norm is that of 5 equal numbers.
    clipped = np.clip(totals, -1 / np.sqrt(5), 1 / np.sqrt(5))
    found = accumulated(clip_norm=1.0)
    np.testing.assert_allclose(found, 0.5 - 0.1 * np.cumsum(clipped), rtol=1e-5)


def test_adams_moments_see_the_sum():
    found = accumulated(name="adam")
    np.testing.assert_allclose(found, adam(np.cumsum(SEVERAL)), rtol=1e-5)
    assert np.abs(np.subtract(found, adam(SEVERAL))).max() > 0.05


def test_accumulated_gradients_are_those_of_a_loop_that_never_clears_them():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    parameter = torch.nn.Parameter(torch.tensor([0.5]))
    theirs, values = torch.optim.Adam([parameter], lr=0.1), []
    for gradient in SEVERAL:
        (float(gradient) * parameter).sum().backward()  # without zero_grad()
        theirs.step()
        values.append(parameter.item())
    np.testing.assert_allclose(accumulated(name="adam"), values, rtol=1e-5)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((("encoder/convv/.*", 0.0),), r"matches no parameter.*encoder/conv/"),
        ((("encoder", 0.0),), r"matches no parameter.*the whole path"),
        ((("head/.*", 0.0), ("head/bias", 1.0)), r"'head/bias' is never reached"),
        ((("head/(", 0.0),), "is not a regular expression"),
    ],
)
def test_rules_that_can_not_be_meant(rules, said):
    with pytest.raises(ConfigError, match=said):
        multipliers(rules, PARAMS)
