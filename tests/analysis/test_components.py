"""The parts of a spread: by hand, beside restricted maximum likelihood, and on made-up studies."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize

from geoseg_jax.analysis import components
from geoseg_jax.analysis.units import REPLICATE
from tests.study.made_up import failed, row


def crossed(generator, sizes=(4, 4, 4), stds=(0.02, 0.005, 0.01), rest=0.008):
    """Replicate -> score with effects of these spreads."""
    effects = [generator.normal(0, std, size) for std, size in zip(stds, sizes, strict=True)]
    return {
        places: 0.4
        + sum(float(effect[i]) for effect, i in zip(effects, places, strict=True))
        + float(generator.normal(0, rest))
        for places in itertools.product(*map(range, sizes))
    }


def test_by_hand():
    """Two subsets and two seeds, by which a run of three has 0.4, one 0.1 and one 0.2 more."""
    scores = {(0, 0, 7): 0.4, (0, 1, 7): 0.5, (1, 0, 7): 0.6, (1, 1, 7): 0.9}
    parts = components.parted(scores)
    assert list(parts) == ["subset", "seed", "rest"]
    # Means by subset 0.45 and 0.75, by seed 0.5 and 0.7; what is left is -+0.05 each, on 1 degree.
    rest = 4 * 0.05**2
    assert parts["rest"].std == pytest.approx(math.sqrt(rest))
    assert parts["subset"].std == pytest.approx(math.sqrt((0.3**2 - rest) / 2))
    assert parts["seed"].std == pytest.approx(math.sqrt((0.2**2 - rest) / 2))


def test_effects_without_rest_are_found_exactly():
    generator = np.random.default_rng(0)
    parts = components.parted(crossed(generator, (3, 2, 4), rest=0.0))
    again = np.random.default_rng(0)
    for name, std, size in zip(REPLICATE, (0.02, 0.005, 0.01), (3, 2, 4), strict=True):
        effects = again.normal(0, std, size)
        assert parts[name].std == pytest.approx(np.std(effects, ddof=1))
    assert parts["rest"].std == pytest.approx(0, abs=1e-8)


def test_as_restricted_maximum_likelihood():
    """On balanced numbers both agree, where no part would be negative."""
    scores = crossed(np.random.default_rng(3), (3, 4, 3))
    places, values = np.array(list(scores)), np.array(list(scores.values()))
    same = [np.equal.outer(column, column).astype(float) for column in places.T]
    ones = np.ones((len(values), 1))

    def loss(logs):
        whole = sum(math.exp(2 * v) * of for v, of in zip(logs, (*same, np.eye(36)), strict=True))
        inverse = np.linalg.inv(whole)
        gram = float((ones.T @ inverse @ ones)[0, 0])
        left = values - float((ones.T @ inverse @ values)[0]) / gram
        return np.linalg.slogdet(whole)[1] + math.log(gram) + left @ inverse @ left

    start = np.log([0.01] * 4)
    found = scipy.optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6})
    parts = components.parted(scores)
    assert [parts[name].std for name in (*REPLICATE, "rest")] == pytest.approx(
        np.exp(found.x), rel=1e-3
    )


def test_intervals_hold_the_truth_and_the_estimates_are_unbiased():
    generator = np.random.default_rng(1)
    truth = {"subset": 0.02, "seed": 0.005, "pretraining_seed": 0.01, "rest": 0.008}
    found = [components.parted(crossed(generator)) for _ in range(600)]
    for name, std in truth.items():
        held = np.mean([part[name].low <= std <= part[name].high for part in found])
        assert 0.92 < held <= 0.99, name
    for name in ("subset", "pretraining_seed", "rest"):  # the seed's are often cut off at 0
        mean = np.mean([part[name].std ** 2 for part in found])
        assert mean == pytest.approx(truth[name] ** 2, rel=0.12), name


@pytest.mark.parametrize(
    "replicates",
    [
        [(k, k, k) for k in range(8)],  # vary together
        [(k, 0, 0) for k in range(8)],  # one alone varies
        [(0, 0, 0), (0, 1, 0), (1, 0, 0)],  # a combination is missing
    ],
)
def test_a_study_that_cannot_tell(replicates):
    scores = {r: 0.4 + 0.01 * i for i, r in enumerate(replicates)}
    assert components.parted(scores) == {}
    rows = [row("depth", v, 8, *r[:2], pretraining_seed=r[2]) for r, v in scores.items()]
    assert components.components(rows) == []


def test_of_every_arm_and_condition_that_is_whole():
    generator = np.random.default_rng(2)
    rows = [
        row(arm, score, labels, subset, seed, pretraining_seed=encoder)
        for arm, labels in itertools.product(("depth", "flow"), (8, 16))
        for (subset, seed, encoder), score in crossed(generator, (2, 3, 2)).items()
    ]
    rows[-1] = failed(arm="flow", labels=16, subset=1, seed=2, pretraining_seed=1)
    draws = {r["cell"]: 0.4 + 0.03 * generator.standard_normal(4000) for r in rows}
    resampled = SimpleNamespace(scores=draws, count=25, pooled=False)
    found = components.components(rows, resampled=resampled)
    assert [(f["arm"], f["labels"]) for f in found] == [("depth", 8), ("depth", 16), ("flow", 8)]
    for part in found:
        assert part["pictures"]["std"] == pytest.approx(0.03 * math.sqrt(25 / 24), rel=0.02)
        assert part["seed"]["low"] <= part["seed"]["std"] <= part["seed"]["high"]
    assert {f["pictures"] for f in components.components(rows)} == {None}
