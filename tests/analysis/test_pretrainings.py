"""A pre-training beside the answer that ignores the picture, by hand."""

import math

import pytest

from geoseg_jax.analysis import pretrainings


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
    found = pretrainings.scored(numbers)
    assert (found and (*found, found.beaten)) == expected


def test_a_run_whose_score_is_no_number_beats_nothing():
    found = pretrainings.scored({"abs_rel": None, "abs_rel_constant": 0.3})
    assert (found.number, found.constant, found.beaten) == ("abs_rel", 0.3, False)
    assert math.isnan(found.score)


def row(seed: int, score: float, **others) -> dict:
    return {
        **{"pretraining": f"depth-tiny-seed{seed}", "arm": "depth", "encoder": "tiny"},
        **{"seed": seed, "status": "done", "number": "abs_rel", "score": score, "constant": 0.3},
        **{"seconds": 12.5, "parameters_sha256": "ab12", "revision": "c890f2f, jax 0.10.2"},
    } | others


NOTHING = {"number": "", "score": math.nan, "constant": math.nan, "status": "missing"}


def test_of_several_seeds():
    rows = [row(0, 0.2), row(1, 0.3), row(2, **NOTHING)]
    (found,) = pretrainings.summary(rows)
    assert found == {
        **{"encoder": "tiny", "number": "AbsRel", "score": pytest.approx(0.25)},
        **{"constant": 0.3, "runs": 2, "beaten": 1},
        # -0.05 -+ t(1) = 12.706 times a standard error of 0.05.
        **{"low": pytest.approx(-0.6853, abs=1e-4), "high": pytest.approx(0.5853, abs=1e-4)},
    }
    (one,) = pretrainings.summary(rows[:1])
    assert math.isnan(one["low"])
    assert [of["encoder"] for of in pretrainings.summary([rows[0], row(0, 0.1, encoder="b")])] == [
        *("tiny", "b")
    ]


def test_the_file_comes_back(tmp_path):
    path, rows = tmp_path / "pretrainings.csv", [row(0, 0.1 + 0.2), row(1, **NOTHING)]
    pretrainings.write_csv(path, rows)
    first, second = pretrainings.read_csv(path)
    assert first == rows[0]
    assert math.isnan(second.pop("score"))
    assert second == {k: pytest.approx(v, nan_ok=True) for k, v in rows[1].items() if k != "score"}
    path.write_text("arm,seed\ndepth,0\n")
    with pytest.raises(ValueError, match=r"no pretrainings.csv of a study: 'score'"):
        pretrainings.read_csv(path)
