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

PAIRS = ((0, 1), (0, 2), (1, 2))


def crossed(generator, sizes=(4, 4, 4), stds=(0.02, 0.005, 0.01), pairs=(0, 0, 0), last=0.008):
    """Replicate -> score with effects of these spreads: of one factor, of two, and of all."""
    x = 0.4 + generator.normal(0, last, sizes)
    for axes, std in zip((*((i,) for i in range(3)), *PAIRS), (*stds, *pairs), strict=True):
        x += generator.normal(0, std, [n if i in axes else 1 for i, n in enumerate(sizes)])
    return {place: float(x[place]) for place in itertools.product(*map(range, sizes))}


def test_by_hand():
    """Scores .4 and .5 of the first subset's seeds, .6 and .9 of the second's."""
    scores = {(0, 0, 7): 0.4, (0, 1, 7): 0.5, (1, 0, 7): 0.6, (1, 1, 7): 0.9}
    parts = components.parted(scores)
    assert list(parts) == ["subset", "seed", "together"]
    # Means by subset .45 and .75, by seed .5 and .7; what is left is -+.05 each, on one degree.
    last = 4 * 0.05**2
    assert parts["together"].std == pytest.approx(math.sqrt(last))
    assert parts["subset"].std == pytest.approx(math.sqrt((0.3**2 - last) / 2))
    assert parts["seed"].std == pytest.approx(math.sqrt((0.2**2 - last) / 2))


def test_an_interval_by_hand():
    """Two subsets, three seeds. Quantiles at .025 and .975 are those of printed tables."""
    x = np.array([[0.10, 0.16, 0.22], [0.30, 0.32, 0.46]])
    scores = {(i, j, 0): float(x[i, j]) for i in range(2) for j in range(3)}
    parts = components.parted(scores)
    # Squares: of subsets .06 on 1 degree, of seeds .0208 on 2, of what is left .0016 on 2.
    error = 0.0016 / 2
    low = (0.06 - 38.506 * error) / (3 * 5.0239)
    high = (0.06 - error / 799.50) / (3 * 0.00098207)
    assert parts["subset"].low == pytest.approx(math.sqrt(low), rel=1e-3)
    assert parts["subset"].high == pytest.approx(math.sqrt(high), rel=1e-3)
    low, high = 0.0208 / 2 - 39.0 * error, 0.0208 / 2 - error / 39.0
    assert low < 0
    assert parts["seed"].low == 0
    assert parts["seed"].high == pytest.approx(math.sqrt(high * 2 / (2 * 0.050636)), rel=1e-3)
    assert parts["together"].low == pytest.approx(math.sqrt(0.0016 / 7.3778), rel=1e-3)
    assert parts["together"].high == pytest.approx(math.sqrt(0.0016 / 0.050636), rel=1e-3)


def test_effects_that_add_are_found_exactly():
    scores = crossed(np.random.default_rng(0), (3, 2, 4), last=0.0)
    parts = components.parted(scores)
    x = np.array(list(scores.values())).reshape(3, 2, 4)
    for axis, name in enumerate(REPLICATE):
        means = x.mean(axis=tuple({0, 1, 2} - {axis}))
        assert parts[name].std == pytest.approx(np.std(means, ddof=1))
    assert parts["together"].std == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("sizes", [(4, 5, 1), (3, 4, 3)])
def test_as_restricted_maximum_likelihood(sizes):
    """On balanced numbers both agree, where no part would be negative."""
    generator = np.random.default_rng(0)
    scores = crossed(generator, sizes, (0.06, 0.05, 0.06), (0.02, 0.02, 0.02), 0.03)
    places, values = np.array(list(scores)), np.array(list(scores.values()))
    alike = [np.equal.outer(column, column).astype(float) for column in places.T]
    kinds = [alike[i] for i in range(3) if sizes[i] > 1]
    kinds += [alike[i] * alike[j] for i, j in PAIRS if sizes[2] > 1]
    kinds += [np.eye(len(values))]
    ones = np.ones((len(values), 1))

    def loss(logs):
        whole = sum(math.exp(2 * v) * of for v, of in zip(logs, kinds, strict=True))
        inverse = np.linalg.inv(whole)
        gram = float((ones.T @ inverse @ ones)[0, 0])
        left = values - float((ones.T @ inverse @ values)[0]) / gram
        return np.linalg.slogdet(whole)[1] + math.log(gram) + left @ inverse @ left

    found = np.exp(scipy.optimize.minimize(loss, np.log([0.015] * len(kinds))).x)
    assert found.min() > 1e-3
    parts = components.parted(scores)
    mains = [name for name, size in zip(REPLICATE, sizes, strict=True) if size > 1]
    assert [parts[name].std for name in mains] == pytest.approx(found[: len(mains)], rel=2e-3)
    assert parts["together"].std == pytest.approx(np.hypot.reduce(found[len(mains) :]), rel=2e-3)


@pytest.mark.parametrize("pairs", [(0, 0, 0), (0.015, 0, 0), (0.006, 0.006, 0.006)])
def test_intervals_hold_the_truth_and_estimates_are_unbiased(pairs):
    """What two factors do together is not taken for what one of them does."""
    generator = np.random.default_rng(1)
    stds = (0.02, 0.0, 0.01)
    found = [components.parted(crossed(generator, (4, 4, 5), stds, pairs)) for _ in range(400)]
    truth = dict(zip(REPLICATE, stds, strict=True))
    truth["together"] = math.sqrt(0.008**2 + sum(std**2 for std in pairs))
    for name, std in truth.items():
        told = [p[name] for p in found if std or not math.isnan(p[name].high)]
        held = np.mean([part.low <= std <= part.high for part in told])
        assert held > 0.92, name
    assert np.mean([part["seed"].low > 0 for part in found]) < 0.05
    for name in ("subset", "together"):
        mean = np.mean([part[name].std ** 2 for part in found])
        assert mean == pytest.approx(truth[name] ** 2, rel=0.15), name


def test_less_than_can_be_told_has_no_interval():
    x = np.array([[0.4, 0.5], [0.5, 0.4]])  # subsets and seeds of one mean
    parts = components.parted({(i, j, 0): float(x[i, j]) for i in range(2) for j in range(2)})
    assert parts["subset"].std == 0
    assert math.isnan(parts["subset"].high)


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


def study() -> list[dict]:
    generator = np.random.default_rng(2)
    return [
        row(arm, score, labels, subset, seed, pretraining_seed=encoder)
        for arm, labels in itertools.product(("depth", "flow"), (8, 16))
        for (subset, seed, encoder), score in crossed(generator, (2, 3, 2)).items()
    ]


def test_of_every_arm_and_condition_that_is_whole():
    rows = study()
    rows[-1] = failed(arm="flow", labels=16, subset=1, seed=2, pretraining_seed=1)
    found = components.components(rows)
    assert [(f["arm"], f["labels"]) for f in found] == [("depth", 8), ("depth", 16), ("flow", 8)]
    assert {f["pictures"] for f in found} == {None}
    with pytest.raises(ValueError, match="a replicate would count twice"):
        components.components([*rows, rows[0]])


def test_over_pictures():
    """A draw without a score is passed over; without draws, or of few pictures, there is none."""
    rows, generator = study(), np.random.default_rng(3)
    draws = {r["cell"]: 0.4 + 0.03 * generator.standard_normal(4000) for r in rows}
    draws[rows[0]["cell"]][:100] = math.nan
    draws[rows[-1]["cell"]][:] = math.nan
    del draws[rows[12]["cell"]]

    def pictures(**changes):
        resampled = {"scores": draws, "count": 25, "pooled": False} | changes
        found = components.components(rows, resampled=SimpleNamespace(**resampled))
        return [part["pictures"] for part in found]

    first, second, *others = pictures()
    assert first["std"] == pytest.approx(0.03 * math.sqrt(25 / 24), rel=0.02)
    assert math.isnan(first["low"])
    assert (second, others[-1]) == (None, None)
    assert pictures(pooled=True) == pictures(count=4) == [None] * 4
