"""Which replicates are independent, by hand; and that only then intervals hold what they should."""

import numpy as np
import pytest
import scipy.stats

from geoseg_jax.analysis import comparisons, statistics, units
from tests.study.made_up import row

SPREAD, NOISE = 0.01, 0.0075  # between pre-trainings, and between runs of one


def of(*replicates):
    """Rows of one arm with these (subset, seed, pre-training seed)."""
    return [row("depth", 0.4, subset=k, seed=s, pretraining_seed=p) for k, s, p in replicates]


@pytest.mark.parametrize(
    ("replicates", "name", "expected"),
    [
        # Seeds alone, subsets alone, pre-trainings alone.
        ([(0, 0, 0), (0, 1, 0)], "seed", [[0], [1]]),
        ([(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)], "subset", [[0, 1], [2, 3]]),
        ([(0, 0, 0), (0, 1, 1), (0, 2, 1)], "pre-training", [[0], [1, 2]]),
        # All three together.
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], "replicate", [[0], [1], [2]]),
        # Two subsets within each pre-training, and two pre-trainings on each subset.
        ([(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 0, 1)], "pre-training", [[0, 1], [2, 3]]),
        ([(0, 0, 0), (0, 0, 1), (1, 0, 2), (1, 0, 3)], "subset", [[0, 1], [2, 3]]),
        # Linked over another: 0-1 by subset, 1-2 by pre-training.
        ([(0, 0, 0), (0, 0, 1), (1, 0, 1), (2, 0, 2)], "block", [[0, 1, 2], [3]]),
    ],
)
def test_units(replicates, name, expected):
    found = units.units(of(*replicates))
    assert (found.name, found.crossed) == (name, False)
    parts = {}
    for number, replicate in enumerate(replicates):
        parts.setdefault(found.of[replicate], []).append(number)
    assert list(parts.values()) == expected


def test_where_all_subsets_meet_all_pretrainings():
    """No two are independent then: pre-trainings count, and subsets are said to be these."""
    found = units.units(of(*((k, 0, p) for k in (0, 1) for p in (0, 1, 2))))
    assert (found.name, found.crossed) == ("pre-training", True)
    assert len(set(found.of.values())) == 3


def test_a_unit_is_the_mean_of_its_runs():
    found = units.units(of((0, 0, 0), (1, 0, 0), (2, 0, 1)))
    values = {(0, 0, 0): 0.2, (1, 0, 0): 0.4, (2, 0, 1): 0.5}
    assert list(found.average(values).values()) == pytest.approx([0.3, 0.5])
    arrays = {key: np.array([v, 2 * v]) for key, v in values.items()}
    assert found.average(arrays)[0, 0, 0].tolist() == pytest.approx([0.3, 0.6])


def test_how_many_encoders_an_arm_has():
    rows = of((0, 0, 0), (1, 1, 1)) + [row("imagenet", 0.4, subset=k) for k in (0, 1)]
    assert units.encoders(rows) == {"depth": 2, "imagenet": 1}
    starts = ["depth-0", "depth-1", "r18.pth", "r18.pth"]
    rows = [r | {"start": start} for r, start in zip(rows, starts, strict=True)]
    rows += [row("random", 0.4, start="")]
    assert units.encoders(rows) == {"depth": 2, "imagenet": 1, "random": 0}


def draws(replicates: int, paired: bool, studies: int = 3000, arms: int = 1) -> np.ndarray:
    """Differences [studies, replicates] of an arm to random weights where there is no effect.

    arms: 2 where the other one has an encoder as well.
    """
    generator = np.random.default_rng(11)
    encoder = generator.normal(0, SPREAD * np.sqrt(arms), (studies, replicates if paired else 1))
    runs = generator.normal(0, NOISE, (2, studies, replicates))
    return encoder + runs[0] - runs[1]


@pytest.mark.parametrize(
    ("replicates", "arms", "expected"),
    [(3, 1, 0.84), (5, 1, 0.70), (10, 1, 0.51), (3, 2, 0.77), (5, 2, 0.57), (10, 2, 0.39)],
)
def test_one_pretraining_is_pseudo_replication(replicates, arms, expected):
    """More replicates make it worse; by closed form, and by the intervals as they are made.

    arms: how many of the two have an encoder of their own.
    """
    sets = draws(replicates, paired=False, arms=arms)
    half = scipy.stats.t.ppf(0.975, replicates - 1)
    wider = np.sqrt(1 + replicates * arms * SPREAD**2 / (2 * NOISE**2))
    assert 2 * scipy.stats.t.cdf(half / wider, replicates - 1) - 1 == pytest.approx(
        expected, abs=0.01
    )
    ends = np.array([statistics.interval(x) for x in sets])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("replicates", [3, 5, 10])
def test_paired_pretraining_seeds_cover(replicates):
    ends = np.array([statistics.interval(x) for x in draws(replicates, paired=True)])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_studys_own_intervals_cover_a_spread_of_pretrainings(seeds):
    """Through rows and units: four pre-trainings, each on its subset, with some seeds."""
    generator, held = np.random.default_rng(5), []
    for _ in range(250):
        rows = []
        for k in range(4):
            encoder = generator.normal(0, SPREAD)
            for s in range(seeds):
                own, other = 0.4 + generator.normal(0, NOISE, 2)
                place = {"subset": k, "seed": s, "pretraining_seed": k}
                rows += [row("depth", own + encoder, **place), row("random", other, **place)]
        _, found = sorted(comparisons.groups(rows, "random"), key=lambda g: g["n_pairs"])
        assert found["pair_units"] == 4
        held.append(found["difference_low"] <= 0 <= found["difference_high"])
    assert np.mean(held) == pytest.approx(0.95, abs=0.045)
