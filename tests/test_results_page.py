"""The pages of results say what the results that are kept beside them give, to the last digit."""

import copy
import importlib.util
import json
import pathlib
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from geoseg_jax.analysis import pretrainings, results
from geoseg_jax.report import tables
from tests.analysis.test_pretrainings import row as pretraining
from tests.report import made_up
from tests.study import made_up as runs

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


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


def test_the_readme_says_what_the_quick_study_gives():
    rows = re.findall(
        r"^\| (.+ − .+) \| (.+) \| (.+) \| (\w+) \|$", README.read_text(), re.MULTILINE
    )
    text = (ROOT / "docs" / "study.md").read_text()
    given = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    for name, difference, p, verdict in rows:
        arm = name.removesuffix(" − Random weights")
        assert [arm, verdict, difference, p] in [[*row[:3], *row[4:5]] for row in given], name
    assert len(rows) == 3


@pytest.fixture
def kept(page, tmp_path, monkeypatch):
    """A function that keeps a study as results/street, of a page with a place for it."""
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "KEPT", tmp_path / "results")
    (tmp_path / "another.md").write_text("Of something else.")
    (tmp_path / "page.md").write_text(
        "# Above\n\n## Street: where it went\n\n" + page.BLOCK.format("street", "") + "\n\nBelow.\n"
    )

    def keep(study, pretrained=(), *options):
        pretrainings.write_csv(tmp_path / "pretrainings.csv", pretrained)
        (tmp_path / "results.json").write_text(json.dumps(study))
        results.write_csv(tmp_path / "results.csv", study["rows"])
        assert run(page, monkeypatch, "--take", tmp_path, "street", *options) == 0
        assert run(page, monkeypatch, "--check") == 0
        return tmp_path / "results"

    return keep


def test_a_study_is_kept_and_one_digit_that_differs_is_told(page, kept, monkeypatch, capsys):
    study = made_up.study(arms=3)
    folder = kept(study)
    text = (page.DOCS / "page.md").read_text()
    assert text.startswith("# Above")
    assert text.endswith("Below.\n")
    assert "| Classification" in text
    assert (folder / "street.md").read_text().startswith("# street\n\n<!-- street: written by")
    assert sorted(path.name for path in (folder / "street").iterdir()) == [
        *("about.json", "cka.png", "curves.png", "differences.png", "labels.png"),
        *("pretrainings.csv", "results.csv"),
    ]
    whole = (folder / "street.md").read_text()
    assert "Random (reference)" in whole
    assert "](street/curves.png)" in whole
    rows = folder / "street" / "results.csv"
    first = study["rows"][0]["miou"]
    rows.write_text(rows.read_text().replace(repr(first), repr(first + 0.004)))
    capsys.readouterr()
    assert run(page, monkeypatch, "--check") == 1
    assert "-| Random (reference)" in capsys.readouterr().out


def test_panels_are_kept_where_they_are_asked_for(page, kept):
    study = made_up.study(arms=3, replicates=1)
    folder = kept(study)
    assert not (folder / "street" / "panels.png").exists()
    kept(study, (), "--panels")
    assert (folder / "street" / "panels.png").exists()
    assert "](street/panels.png)" in (folder / "street.md").read_text()
    figure = page.panels(study)
    rows = [panel for panel in study["panels"] if not panel.get("legend")]
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == sum(len(row["pictures"]) for row in rows)
    assert [axes.get_title() for axes in figure.axes][: len(rows[0]["pictures"])] == [
        of["caption"] for of in rows[0]["pictures"]
    ]


def test_all_that_a_study_has_comes_through(page, kept):
    """The page's tables are those of the study's own report: of scatter and pictures too."""
    rows = runs.study({"random": 0.0, "depth": 0.1}, subsets=2, seeds=2)
    drawn = {r["cell"]: r["miou"] + np.array([-0.02, 0.0, 0.02]) for r in rows}
    resampled = SimpleNamespace(scores=drawn, count=21, what="pictures", pictures=21, pooled=False)
    rates = {"arm": "depth", "kind": "pre-training", "encoder": "resnet18", "metric": "abs_rel"}
    rates |= {"less": True, "tried": [[1e-4, 0.2], [3e-4, 0.3]], "chosen": 1e-4}
    pretrained = [pretraining(seed, 0.2 + 0.01 * seed, encoder="resnet18") for seed in range(2)]
    own = pretrainings.summary(pretrained)
    arms = [{"name": "random", "own_task": []}, {"name": "depth", "own_task": own}]
    study = results.assemble(
        rows, "random", resampled=resampled, rates=[rates], arms=arms, bound=0.01
    )
    folder = kept(study, pretrained)
    report = tables.markdown(study).partition("\n\n")[2]
    assert "other test pictures" in report
    assert report in (folder / "street.md").read_text()
    assert "| other test pictures |" in (page.DOCS / "page.md").read_text()
    assert "verdict" not in (page.DOCS / "page.md").read_text()
    assert (folder / "street" / "rates.png").exists()


def test_contrasts_of_all_studies_are_drawn_together(page, kept, monkeypatch):
    """Those of one kind in one panel; filled where the corrected p says so."""
    arms = {"random": 0.0, "classification": 0.01, "depth_mono": 0.1}
    rows = runs.study(arms, subsets=6, trainings=("fine_tuned", "frozen"))
    names = {"classification": "Classification", "depth_mono": "Depth, mono"}
    given = [{"name": name, "label": names.get(name, "Random")} for name in arms]
    pair = ("depth_mono", "classification")
    study = results.assemble(rows, "random", arms=given, contrasts=[pair], bound=0.01)
    less = copy.deepcopy(study)
    less["contrasts"][0] |= {"p_corrected": 0.06, "difference": -0.02}
    less["contrasts"][0] |= {"difference_low": -0.05, "difference_high": 0.01}
    figure = page.overview([("Street", study), ("Rooms", less)])
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Depth − classification"
    drawn = [text.get_text() for text in axes.get_yticklabels()]
    assert drawn == ["Street: depth, mono", "Rooms: depth, mono"]
    lines = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    shown, not_shown = (f"over all conditions, corrected p {sign} .05" for sign in "≤>")
    assert lines[shown] == [pytest.approx(100 * study["contrasts"][0]["difference"])]
    assert lines[not_shown] == [pytest.approx(-2)]
    drawn = {
        bar.lines[0].get_color(): bar.lines[0].get_xdata()
        for bar in axes.containers
        if bar.lines[0]
    }
    for training, colour in page.TRAININGS.items():
        of = 100 * study["contrasts"][0]["by_training"][training]
        assert drawn[colour] == pytest.approx([of, of])


def test_contrasts_of_one_way_to_train_and_of_arms_with_names_of_their_own(page):
    rows = runs.study({"random": 0.0, "chain": 0.01, "nyu": 0.1}, subsets=6)
    names = {"random": "Random", "chain": "Classification, then depth", "nyu": "NYUv2 depth"}
    given = [{"name": name, "label": text} for name, text in names.items()]
    study = results.assemble(rows, "random", arms=given, contrasts=[("nyu", "chain")])
    (axes,) = page.overview([("Street", study)]).axes
    assert axes.get_title(loc="left") == "NYUv2 − classification, then depth"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Street: NYUv2 depth"]
    table = page.merged([("Street", study), ("Rooms", study | {"bound": 0.01})], page.contrasts)
    assert table.header[-1] == "level p"
    assert [row[-1].text for row in table.rows][:1] == ["–"]


def test_results_of_all_studies_that_a_page_links_stand_on_it(page, kept, monkeypatch):
    arms = {"random": 0.0, "classification": 0.01, "depth": 0.1}
    rows = runs.study(arms, subsets=6, trainings=("fine_tuned", "frozen"))
    pair = ("depth", "classification")
    folder = kept(results.assemble(rows, "random", contrasts=[pair], bound=0.01))
    place = "\n\n".join(page.BLOCK.format(name, "") for name in page.MERGED)
    (page.DOCS / "results.md").write_text(f"# All\n\n[street](results/street.md)\n\n{place}\n")
    assert run(page, monkeypatch, "--check") == 1
    assert run(page, monkeypatch) == 0
    rows = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]]
        for line in (page.DOCS / "results.md").read_text().splitlines()
        if line.startswith("| street")
    ]
    found = page.findings(folder / "street")
    gain = f"+{100 * found['contrasts'][0]['difference']:.1f} ("
    assert [row[:2] for row in rows] == [
        *(["street", "depth − classification"], ["street", "classification"], ["street", "depth"]),
    ]
    assert rows[0][3].startswith(gain)
    halves = [page._of_training(found, training)[0] for training in page.TRAININGS]
    assert [f"+{100 * half['difference']:.1f}" for half in halves] == rows[0][-2:]
    assert (folder / "contrasts.png").exists()


def test_what_people_wrote_on_the_page_of_a_study_stays(page, kept, monkeypatch):
    study = results.assemble(runs.study({"random": 0.0, "depth": 0.1}), "random")
    own = kept(study) / "street.md"
    own.write_text(
        "# Streets: rendered\n\nMine.\n\n" + page.BLOCK.format("street", "of another day")
    )
    assert run(page, monkeypatch, "--check") == 1
    assert run(page, monkeypatch) == 0
    assert own.read_text().startswith("# Streets: rendered\n\nMine.\n\n<!-- street: written by")
    assert "of another day" not in own.read_text()
    own.write_text("# Streets: rendered\n\nMine.\n")
    with pytest.raises(SystemExit, match=r"street.md has no place for <!-- street"):
        run(page, monkeypatch, "--check")


def test_a_place_on_the_page_of_a_later_study_is_filled(page, kept, monkeypatch):
    folder = kept(results.assemble(runs.study({"random": 0.0, "depth": 0.1}), "random"))
    shutil.copytree(folder / "street", folder / "zoo")
    text = "# Zoo\n\n" + page.BLOCK.format("zoo", "") + "\n\n" + page.BLOCK.format("street", "x")
    (folder / "zoo.md").write_text(text)
    assert run(page, monkeypatch) == 0
    assert (folder / "zoo.md").read_text().count("| depth") > 2
    (folder / "zoo.md").write_text(text.replace("<!-- end of zoo -->", ""))
    with pytest.raises(SystemExit, match="only one of <!-- zoo"):
        run(page, monkeypatch, "--check")


@pytest.mark.parametrize("name", ["nyu-64", "contrasts", "../x"])
def test_names_that_no_page_could_have_are_refused(page, kept, monkeypatch, name):
    folder = kept(results.assemble(runs.study({"random": 0.0, "depth": 0.1}), "random"))
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit, match="can't be named"):
        run(page, monkeypatch, "--take", folder.parent, name)
    with pytest.raises(SystemExit, match="has no panels"):
        run(page, monkeypatch, "--take", folder.parent, "street", "--panels")
    assert sorted(folder.rglob("*")) == before


def test_how_many_all_labels_are_is_kept(page, kept):
    """Else nothing could be said of the labels that an arm needs."""
    rows = runs.study({"random": 0.0, "depth": 0.1}, labels=(16, 0), seeds=7)
    study = results.assemble([r | {"labelled": r["labels"] or 367} for r in rows], "random")
    assert len(study["efficiency"]) == 1
    assert tables.markdown(study).partition("\n\n")[2] in (kept(study) / "street.md").read_text()


def test_a_page_of_a_study_that_is_gone(page, kept, monkeypatch):
    rows = runs.study({"random": 0.0, "depth": 0.1}, labels=(8,), seeds=1)
    folder = kept(results.assemble(rows, "random"))
    (folder / "street").rename(folder / "road")
    with pytest.raises(SystemExit, match=r"names street, but .* has no results"):
        run(page, monkeypatch, "--check")


def test_a_folder_that_is_no_study_is_refused(page, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="has no results"):
        run(page, monkeypatch, "--take", tmp_path, "x")
