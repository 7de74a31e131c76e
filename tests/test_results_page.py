"""The pages of results say what the results that are kept beside them give, to the last digit."""

import importlib.util
import json
import pathlib

import pytest

from geoseg_jax.analysis import results
from tests.report import made_up

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def page():
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "docs" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(page, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["results.py", *map(str, arguments)])
    return page.main()


def test_the_page_is_what_its_results_give(page, monkeypatch):
    assert run(page, monkeypatch, "--check") == 0, "run `python docs/results.py`"


def test_a_study_is_kept_and_one_digit_that_differs_is_told(page, tmp_path, monkeypatch, capsys):
    study = made_up.study(arms=3)
    workdir = tmp_path / "w"
    workdir.mkdir()
    (workdir / "results.json").write_text(json.dumps(study))
    results.write_csv(workdir / "results.csv", study["rows"])
    monkeypatch.setattr(page, "PAGE", tmp_path / "results.md")
    monkeypatch.setattr(page, "KEPT", tmp_path / "results")
    page.PAGE.write_text("Above.\n\n" + page.BLOCK.format("street", "") + "\n\nBelow.\n")
    assert run(page, monkeypatch, "--take", workdir, "street") == 0
    text = page.PAGE.read_text()
    assert text.startswith("Above.")
    assert text.endswith("Below.\n")
    assert "| Classification" in text
    assert sorted(path.name for path in (tmp_path / "results" / "street").iterdir()) == [
        *("about.json", "cka.png", "curves.png", "differences.png", "labels.png", "results.csv")
    ]
    whole = (tmp_path / "results" / "street.md").read_text()
    assert "Random (reference)" in whole
    assert "](street/curves.png)" in whole
    assert run(page, monkeypatch, "--check") == 0
    kept = tmp_path / "results" / "street" / "results.csv"
    first = study["rows"][0]["miou"]
    kept.write_text(kept.read_text().replace(repr(first), repr(first + 0.004)))
    capsys.readouterr()
    assert run(page, monkeypatch, "--check") == 1
    assert "-| Random (reference)" in capsys.readouterr().out


def test_a_folder_that_is_no_study_is_refused(page, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="has no results"):
        run(page, monkeypatch, "--take", tmp_path, "x")
