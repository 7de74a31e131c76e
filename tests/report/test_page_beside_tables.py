"""What the page says of numbers: the texts and footnotes of table.md and of the answer."""

import itertools
import re

import pytest

from geoseg_jax.analysis import results
from geoseg_jax.report import page, tables
from tests.report import made_up, test_tables
from tests.report.test_page_in_browser import rich, words
from tests.study import made_up as runs

EACH = {(arm, n): f"{n} of {made_up.ARMS[arm][0]}" for arm in made_up.ARMS for n in (8, 16, 64)}
TEXTS = """((selector) => [...document.querySelectorAll(selector)].map((row) =>
  [...row.children].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim())))"""


def shown(cell: str) -> str:
    """A cell of table.md as the page shows it: its footnotes' letters behind it, no emphasis."""
    pattern = r"(.*?)(?: \[([a-z]+(?:, [a-z]+)*)\])?"
    text, letters = re.fullmatch(pattern, cell.replace("**", "").replace("\\", "")).groups()
    return text + (letters or "").replace(" ", "")


def with_warnings(warnings):
    return made_up.study(warnings=warnings, pictures=False)


@pytest.mark.parametrize(
    "study",
    [rich(), *map(with_warnings, (made_up.WARNINGS, {("random", 16): "seen"}, EACH))],
    ids=["rich", "few", "reference", "each"],
)
def test_every_number_is_the_same_text_everywhere(chromium, tmp_path, study):
    """With the same letters; and below a table are the footnotes of those within it."""
    path, text = tmp_path / "report.html", tables.markdown(study)
    path.write_text(page.render(study), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []

    def texts(selector):
        return chromium.run(f"({TEXTS})({selector!r})")

    found = test_tables.parsed(text)
    sections = ["overall", *(["contrasts"] if study["contrasts"] else [])]
    scores, differences = found[len(sections) :][:2]
    for section, table in zip(
        [*sections, "own"], [*found[: len(sections)], found[-1]], strict=True
    ):
        rows = {row[0]: [x for x in row[1:] if x] for row in texts(f"#{section} tbody tr")}
        assert rows == {
            shown(arm): [shown(cell) for cell in cells.values()] for arm, cells in table.items()
        }
    scores["Random"] = scores.pop("Random (reference)")
    single, condition = {}, ""
    for row in texts("#comparisons tbody tr"):
        if len(row) == 1:
            condition = row[0] or condition
        else:
            difference, letters = re.fullmatch(r"(.*?)([a-z,]*)", row[2]).groups()
            single[row[0], condition] = row[1], f"{difference}, p = {row[4]}{letters}"
    for (arm, cells), where in itertools.product(scores.items(), scores["Random"]):
        assert single[arm, where][0] == shown(cells[where])
        assert arm == "Random" or single[arm, where][1] == shown(differences[arm][where])
    for row in texts(".glance tbody tr"):
        arm = row[0].removesuffix(" reference")
        for where, cell in zip(scores["Random"], row[1:], strict=True):
            score, difference = single[arm, where]
            parts = re.fullmatch(r"(\S+) \((.*)\), p = [\d.]+([a-z,]*)", difference)
            below = f" {parts[1]}{parts[3]} {parts[2]}" if parts else ""
            assert cell.replace(" ●", "") == score + below
    told = re.findall(r"^- \[(\w+)\] (.*)$", text.replace("\\", ""), re.MULTILINE)
    for section in ("overall", "glance", "comparisons"):
        used = {x for t in words(chromium, f"#{section} .flag") for x in t.split(",")}
        wanted = [note for letter, note in told if letter in used]
        assert words(chromium, f"#{section} .notes li") == wanted


def test_the_answer_has_the_numbers_of_the_tables():
    study = rich()
    overall, contrasts, *_ = test_tables.parsed(tables.markdown(study))
    results = [overall["Depth, mono [a, b]"], *contrasts.values()]
    for paragraph, result in zip(study["answer"], results, strict=False):
        number, low, high = re.findall(r"[+−]\d+\.\d", paragraph)
        assert result["difference"] == f"{number} ({low} to {high})"
    assert f"p = {shown(results[0]['corrected p'])} (permutation test" in study["answer"][-1]


def test_gains_of_classes_and_arms_are_flagged_too(chromium, tmp_path):
    """A gain is a difference as well; with the filters goes what they leave no number of."""
    text = page.render(made_up.study(arms=2, warnings={("random", 16): "seen"}, pictures=False))
    path = tmp_path / "flags.html"
    path.write_text(text, encoding="utf-8")
    chromium.open(path)
    assert "Random: seen" in words(chromium, "#classes .notes li")
    assert words(chromium, "#arms .notes li") == ["seen"]
    assert words(chromium, "#arms tr:has(.flag) .arm") == ["Randomc"]
    chromium.click("document.querySelector('input[data-value=\"16\"]')")
    for section in ("glance", "comparisons", "classes"):
        assert not any("seen" in note for note in words(chromium, f"#{section} .notes li"))


def test_arms_by_encoder_and_all_time(chromium, tmp_path):
    """Two encoders have two budgets, which are not added up; nor is time of pre-training cells'."""
    study = made_up.study(arms=2, pictures=False)
    rows = [
        r | {"encoder": e, "seconds": 10.0, "warning": f"{e} saw" if r["arm"] != "random" else ""}
        for r in study["rows"]
        for e in ("vit_s16", "resnet18")
    ]
    once = study["arms"][1]["spent"][0]
    study["arms"][1]["spent"] = [
        once | {"encoder": "vit_s16"},
        once | {"steps": 7, "seconds": 60.0},
    ]
    found = results.assemble(rows, "random", arms=study["arms"])
    path = tmp_path / "encoders.html"
    path.write_text(page.render(found | {"pretraining_seconds": 272.0}), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    table = [
        [" ".join(cell.split()) for cell in row.split("\t")] for row in words(chromium, "#arms tr")
    ]
    assert table[0][2:6] == ["Distinct pictures", "Through the encoder", "Steps", "FLOP"]
    assert [row[2:7] for row in table[2:]] == [
        ["500", "12,000", "1,500", "730 TFLOP", "3 min 32 s"],
        ["500", "12,000", "7", "730 TFLOP", "1 min 00 s"],
    ]
    names = ["Random, resnet18", "Classification, vit_s16a", "Classification, resnet18b"]
    assert [row[0] for row in table[1:]] == names
    assert words(chromium, "#arms .notes li") == ["vit_s16 saw", "resnet18 saw"]
    told = dict(zip(words(chromium, "#repeat dt"), words(chromium, "#repeat dd"), strict=True))
    assert told["Time of pre-trainings"] == "4 min 32 s"
    assert told["Time of all cells"] == f"{len(rows) // 6} min 00 s"
    assert "CSV" not in words(chromium, "#repeat")[0]


def last_table(chromium, tmp_path, study: dict, section: str) -> dict[str, list[str]]:
    """Reads a section of the page, whose rows are those of the last table of table.md."""
    path = tmp_path / "report.html"
    path.write_text(page.render(study), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    table = test_tables.parsed(tables.markdown(study))[-1]
    rows = {row[0]: row[1:] for row in chromium.run(f"({TEXTS})('#{section} tbody tr')")}
    assert rows == {arm: list(cells.values()) for arm, cells in table.items()}
    return rows


def test_learning_rates_that_were_tried(chromium, tmp_path):
    place = {"decoder": "unet", "resolution": "96x32", "encoder": "resnet18"}
    of_cells = {"kind": "segmentation", "metric": "miou", "training": "frozen", "less": False}
    tried = {"tried": [[1e-3, 0.2], [3e-3, 0.25]], "chosen": 3e-3}
    rates = [place | of_cells | {"arm": arm} | tried for arm in ("random", "depth")]
    rows = runs.study({"random": 0.0, "depth": 0.1}, trainings=("fine_tuned", "frozen"))
    study = results.assemble(rows, "random", rates=rates)
    rows = last_table(chromium, tmp_path, study, "rates")
    assert rows["depth"] == ["frozen, mIoU in %", "0.003", "0.001: 20.0; 0.003: 25.0"]


def test_where_runs_scatter_from(chromium, tmp_path):
    rows = runs.study({"random": 0.0, "depth": 0.1}, subsets=2, seeds=3)
    study = results.assemble(rows, "random")
    last_table(chromium, tmp_path, study, "sources")
    (told,) = words(chromium, "#sources")
    assert "Every subset of labels met every seed, so" in told
