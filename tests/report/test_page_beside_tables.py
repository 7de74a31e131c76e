"""What the page says of numbers: the texts and footnotes of table.md and of the answer."""

import itertools
import re

import pytest

from geoseg_jax.analysis import results
from geoseg_jax.report import page, tables
from tests.report import made_up, test_tables
from tests.report.test_page_in_browser import rich, words

EACH = {(arm, n): f"{n} of {made_up.ARMS[arm][0]}" for arm in made_up.ARMS for n in (8, 16, 64)}
FLAGS = """(() => {
  const all = (node, selector) => [...node.querySelectorAll(selector)];
  const letters = (node) => all(node, ":scope > .flag").map((f) => f.innerText).join();
  const name = (row) => row.querySelector(".arm").innerText;
  const listed = (id) => all(document, id + " .notes li").map((li) => [li.value, li.innerText]);
  return {
    overall: all(document, ".overall tbody tr").map((row) =>
      [row.querySelector(".arm > span").firstChild.textContent,
       letters(row.querySelector(".arm > span"))]),
    glance: all(document, ".glance tbody tr").map((row) =>
      [name(row), all(row, "td").map((td) => [letters(td), letters(td.querySelector(".below"))])]),
    comparisons: all(document, "#comparisons tr[data-arm]").map((row) =>
      [name(row), row.closest("tbody").querySelector(".condition").innerText.trim(),
       letters(row.children[1]), letters(row.children[2])]),
    notes: ["#overall", "#glance", "#comparisons"].map(listed),
  };
})()"""


def lettered(cell: str) -> tuple[str, str]:
    """A text of table.md and the letters of its footnotes, as 'a,b'."""
    text, marks = re.fullmatch(r"(.*?)(?: \[([a-z]+(?:, [a-z]+)*)\])?", cell).groups()
    return text, (marks or "").replace(" ", "")


TEXTS = """(() => {
  document.querySelectorAll(".flag").forEach((flag) => flag.remove());
  const text = (cell) => cell.innerText.replace(/\\s+/g, " ").trim();
  const texts = (row) => [...row.children].map(text);
  return (selector) => [...document.querySelectorAll(selector)].map(texts);
})()"""


def plain(cell: str) -> str:
    """A cell of table.md without its footnotes and emphasis."""
    return lettered(cell)[0].replace("**", "").replace("\\", "")


def test_every_number_is_the_same_text_everywhere(chromium, tmp_path):
    study, path = rich(), tmp_path / "rich.html"
    path.write_text(page.render(study), encoding="utf-8")
    chromium.open(path)
    overall, contrasts, scores, differences, _, _, _, own = test_tables.parsed(
        tables.markdown(study)
    )

    def texts(selector):
        return chromium.run(f"({TEXTS})({selector!r})")

    for section, table in (("overall", overall), ("contrasts", contrasts), ("own", own)):
        rows = {row[0]: [x for x in row[1:] if x] for row in texts(f"#{section} tbody tr")}
        assert rows == {
            plain(arm): [plain(cell) for cell in cells.values()] for arm, cells in table.items()
        }
    found, condition = {}, ""
    for row in texts("#comparisons tbody tr"):
        if len(row) == 1:
            condition = row[0] or condition
        else:
            found[row[0], condition] = row[1], f"{row[2]}, p = {row[4]}".replace("= <", "<")
    arms = {plain(arm).removesuffix(" (reference)"): cells for arm, cells in scores.items()}
    for (arm, cells), where in itertools.product(arms.items(), scores["Random (reference)"]):
        score, difference = found[arm, where]
        assert score == plain(cells[where])
        assert arm == "Random" or difference == plain(differences[arm][where])
    for at, row in enumerate(texts(".glance tbody tr")):
        arm = row[0].removesuffix(" reference")
        for where, cell in zip(scores["Random (reference)"], row[1:], strict=True):
            score, difference = found[arm, where]
            wanted = difference.partition(", p")[0].replace("(", "").replace(")", "")
            parts = cell.replace(" ●", "").split(" ")
            assert " ".join(parts[:3]) == score
            assert arm == "Random" or " ".join(parts[3:]) == wanted, at
    for paragraph, result in zip(study["answer"], [*overall.values()][-1:], strict=False):
        [number, low, high] = re.findall(r"[+−]\d+\.\d", paragraph)
        assert plain(result["difference"]) == f"{number} ({low} to {high})"
    assert f"p = {plain(overall['Depth, mono [a, b]']['corrected p'])} (perm" in study["answer"][-1]


@pytest.mark.parametrize("warnings", [made_up.WARNINGS, {("random", 16): "seen"}, EACH])
def test_flags_are_those_of_the_tables(chromium, tmp_path, warnings):
    """Every number has the same letters, and below a table are the texts of those within it."""
    study = made_up.study(warnings=warnings, pictures=False)
    path = tmp_path / "flags.html"
    path.write_text(page.render(study), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    text = tables.markdown(study)
    overall, scores, differences, *_ = test_tables.parsed(text)
    scores["Random"] = scores.pop("Random (reference)")
    nothing = dict.fromkeys(scores["Random"], "–")
    wanted = {
        (arm, condition): [
            lettered(of[condition])[1] for of in (cells, differences.get(arm, nothing))
        ]
        for arm, cells in scores.items()
        for condition in cells
    }
    found = chromium.run(FLAGS)
    assert {(arm, where): marks for arm, where, *marks in found["comparisons"]} == wanted
    at_a_glance = {
        (arm, condition): marks
        for arm, cells in found["glance"]
        for condition, marks in zip(scores["Random"], cells, strict=True)
    }
    assert at_a_glance == wanted
    assert dict(found["overall"]) == dict(map(lettered, overall))
    told = re.findall(r"^- \[(\w+)\] (.*)$", text, re.MULTILINE)
    used = [",".join(dict(found["overall"]).values())]
    used += 2 * [",".join(letters for marks in wanted.values() for letters in marks)]
    for notes, letters in zip(found["notes"], used, strict=True):
        listed = [
            (i, text) for i, (letter, text) in enumerate(told, 1) if letter in letters.split(",")
        ]
        assert [tuple(note) for note in notes] == listed


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
