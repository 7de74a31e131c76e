"""A pre-training beside the answer that ignores the picture, by hand."""

import json
import math
from types import SimpleNamespace

import pytest

from geoseg_jax.study import gather


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"abs_rel": 0.3, "abs_rel_constant": 0.31}, ("abs_rel", 0.3, 0.31, True)),
        ({"abs_rel": 0.31, "abs_rel_constant": 0.31}, ("abs_rel", 0.31, 0.31, False)),
        ({"top1": 0.2, "top1_constant": 0.1}, ("top1", 0.2, 0.1, True)),
        ({"top1": 0.05, "top1_constant": 0.1}, ("top1", 0.05, 0.1, False)),
        # Of two answers that know nothing the better one counts.
        (
            {"epe": 2.0, "epe_zero": 2.9, "epe_constant": 1.7, "fl": 0.1},
            ("epe", 2.0, 1.7, False),
        ),
        ({"epe": 2.0, "epe_zero": 2.9}, ("epe", 2.0, 2.9, True)),
        ({"l1": 0.1, "l1_constant": 0.2, "l1_surroundings": 0.05}, ("l1", 0.1, 0.2, True)),
        ({"mse": 1.0, "mse_constant": 0.9}, ("mse", 1.0, 0.9, False)),
        ({"abs_rel": 0.3}, None),
        ({"miou": 0.3}, None),
        ({}, None),
    ],
)
def test_of_a_run(numbers, expected):
    assert gather.own_task(numbers) == expected


def test_a_run_whose_score_is_no_number_beats_nothing():
    name, score, constant, beaten = gather.own_task({"abs_rel": None, "abs_rel_constant": 0.3})
    assert (name, constant, beaten) == ("abs_rel", 0.3, False)
    assert math.isnan(score)


def test_of_several_seeds(tmp_path):
    jobs = []
    for seed, score in enumerate((0.2, 0.3, None)):
        workdir = tmp_path / str(seed)
        workdir.mkdir()
        if score is not None:
            numbers = {"abs_rel": score, "abs_rel_constant": 0.3}
            (workdir / "eval.json").write_text(json.dumps(numbers))
        jobs.append(SimpleNamespace(encoder="tiny", workdir=workdir))
    (found,) = gather.own_tasks(jobs)
    assert found == {
        **{"encoder": "tiny", "number": "AbsRel", "score": pytest.approx(0.25)},
        **{"constant": 0.3, "runs": 2, "beaten": 1},
        # -0.05 -+ t(1) = 12.706 times a standard error of 0.05.
        **{"low": pytest.approx(-0.6853, abs=1e-4), "high": pytest.approx(0.5853, abs=1e-4)},
    }
    (one,) = gather.own_tasks(jobs[:1])
    assert math.isnan(one["low"])
