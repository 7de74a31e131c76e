"""The page in a browser: it opens, shows the study's numbers, filters, and asks for nothing."""

import csv
import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from geoseg_jax.analysis import results
from geoseg_jax.report import page
from geoseg_jax.report.explanation import explanation, multiple
from tests.report import browser, made_up
from tests.report.test_page import HOSTILE


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    study, folder = made_up.study(), tmp_path_factory.mktemp("page")
    results.write_csv(folder / "results.csv", study["rows"])
    text = page.render(study, (folder / "results.csv").read_text(encoding="utf-8"))
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


@pytest.fixture
def opened(chromium, file):
    """The page in a window of 1280 x 900, and afterwards no error and no request but the file."""
    chromium.prefer("light")
    chromium.open(file)
    yield chromium
    assert chromium.errors == []
    assert chromium.requests == [file.as_uri()]


def words(tab: browser.Browser, selector: str) -> list[str]:
    """What a reader sees of every element that the selector finds."""
    return tab.run(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.innerText)"
    )


def shown(x: float, sign: bool = False) -> str:
    return f"{100 * x:{'+' if sign else ''}.1f}".replace("-", "−")


def test_it_opens_with_every_section(opened):
    sections = opened.run(
        "[...document.querySelectorAll('section:not([hidden])')].map((s) => s.id)"
    )
    assert sections[:5] == ["overall", "glance", "labels", "comparisons", "efficiency"]
    assert sections[5] == "learning"
    last = ["classes", "panels", "cka", "pca", "own", "arms", "unfinished", "repeat"]
    assert sections[6:] == last
    box = opened.run("document.querySelector('.answer').getBoundingClientRect().bottom")
    assert box < 450
    assert "190 runs, 2 more failed or missing" in words(opened, "#facts")[0]


def test_it_says_what_is_missing(chromium, tmp_path):
    path = tmp_path / "bare.html"
    path.write_text(page.render(made_up.bare()), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    headings = words(chromium, "section:not([hidden]) h2")
    assert headings == ["Runs without a result"]
    assert "ValueError: no labels" in words(chromium, "#unfinished")[0]
    assert "no numbers yet" in words(chromium, "#facts")[0]


def test_what_encoders_are_looked_at_with(opened):
    [about, _] = words(opened, "#cka .about")
    assert "for the first encoder and resolution (resnet18, 192×64)" in about
    assert "with the batch statistics of these pictures, not those of training." in about


def test_the_limits_of_few_pairs_are_told(opened):
    assert words(opened, "#comparisons .note") == [explanation(made_up.study())]


def test_ticks_of_a_narrow_range_differ(chromium, tmp_path):
    rows = made_up.study(arms=2, pictures=False)["rows"]
    for row in rows:
        row |= {"miou": row["miou"] and 0.05 + row["miou"] / 1000}
        row |= {"curve": [(step, 0.05 + value / 1000) for step, value in row["curve"]]}
    path = tmp_path / "narrow.html"
    path.write_text(page.render(results.assemble(rows, "random")), encoding="utf-8")
    chromium.open(path)
    for chart in ("#labels", "#learning"):
        ticks = chromium.run(
            f"[...document.querySelector('{chart} svg').querySelectorAll('.tick.end')]"
            ".map((t) => t.textContent)"
        )
        assert len(ticks) == len(set(ticks)) > 2, chart


def test_all_labels_stand_at_the_end(chromium, tmp_path):
    rows = made_up.study(arms=2, pictures=False)["rows"]
    # 64 become 0, all there are; and an underscore that must stay.
    rows = [row | {"labels": row["labels"] % 64, "encoder": "vit_s16"} for row in rows]
    path = tmp_path / "all.html"
    path.write_text(page.render(results.assemble(rows, "random")), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    assert (
        words(chromium, ".glance thead tr:last-child th")
        == ["8 labels", "16 labels", "all labels"] * 2
    )
    ticks = chromium.run(
        "[...document.querySelectorAll('#labels .tick.middle')].map((t) => t.textContent)"
    )
    assert ticks == ["8", "16", "all"] * 2
    assert "vit_s16" in words(chromium, "#repeat")[0]


def test_a_label_of_26_letters_stands_whole_beside_its_line(chromium, tmp_path):
    made = made_up.study(arms=2, pictures=False)
    made["arms"][1]["label"] = label = "Classification, then depth"
    path = tmp_path / "label.html"
    path.write_text(page.render(made), encoding="utf-8")
    chromium.open(path)
    shown = chromium.run(
        "[...document.querySelectorAll('#labels svg text.direct')].map((t) => [t.textContent,"
        " t.getBoundingClientRect().right <= t.ownerSVGElement.getBoundingClientRect().right])"
    )
    assert [label, True] in shown


def rich() -> dict:
    """Replicates with pre-trainings of their own, contrasts, a bound, and test pictures drawn."""
    made = made_up.study(arms=4, replicates=9, pictures=False)
    rows = [
        {k: math.nan if v is None else v for k, v in row.items()}
        | {"subset": row["seed"], "pretraining_seed": row["seed"]}
        for row in made["rows"]
    ]
    draws = np.random.default_rng(0).normal(0, 0.02, (len(rows), 99))
    scores = {row["cell"]: draw for row, draw in zip(rows, draws, strict=True)}
    return results.assemble(
        rows,
        "random",
        arms=made["arms"],
        contrasts=[("depth_mono", "reconstruction"), ("classification", "depth_mono")],
        bound=0.04,
        resampled=SimpleNamespace(
            scores=scores, count=64, what="pictures", pictures=64, pooled=False
        ),
    )


def test_verdicts_contrasts_and_what_is_needed(chromium, tmp_path):
    """What isn't shown is not claimed."""
    study, path = rich(), tmp_path / "rich.html"
    path.write_text(page.render(study), encoding="utf-8")
    chromium.open(path)
    assert chromium.errors == []
    about = words(chromium, "#learning .about")[0]
    for need in study["steps"]:
        assert (multiple(need) in about) == need["shown"]
    heads = ["Verdict", "Difference", "p", "Corrected p", "Level p", "Bootstrap"]
    heads += ["Over test pictures", "Fine-tuned", "Frozen", "Ahead in"]
    assert [head.strip() for head in words(chromium, "#overall thead th")[1:]] == heads
    assert {o["verdict"] for o in study["overall"]} == {"better", "level"}
    assert words(chromium, "#contrasts tbody th")[0].strip() == "Depth, mono − Reconstruction"
    efficient = {e["ratio"]: e for e in study["efficiency"]}
    values = words(chromium, "#efficiency .value")
    texts = chromium.run(
        "[...document.querySelectorAll('#efficiency .value')].map((t) => t.textContent)"
    )
    order = sorted(efficient.values(), key=lambda e: (e["training"] == "frozen", e["ratio"]))
    assert len(values) == len(order) == 6
    for text, told in zip(texts, order, strict=True):
        assert text.endswith(" ×") if told["shown"] else text == "not shown"
    assert {bool(e["shown"]) for e in order} == {True, False}
    assert words(chromium, "#own .best") == ["no"]
    chromium.resize(390)
    assert chromium.run("document.documentElement.scrollWidth") == 390


def test_filters_by_mouse_and_keyboard(opened):
    count = "document.querySelectorAll('#comparisons tbody tr:not(.runs):not(.condition)').length"
    assert opened.run(count) == 48
    opened.click("document.querySelector('input[data-value=frozen]')")
    assert opened.run(count) == 24
    assert words(opened, ".glance .lot") == ["fine-tuned"]
    assert len(words(opened, "#labels figure")) == 1
    opened.run("document.querySelector('input[data-value=flow_paper]').focus()")
    opened.press(" ")
    assert opened.run(count) == 21
    for section in (
        "glance",
        "labels",
        "comparisons",
        "learning",
        "classes",
        "panels",
        "cka",
        "pca",
    ):
        assert "Flow, paper" not in words(opened, f"#{section}")[0]
    assert words(opened, "#said") == ["21 of 48 results shown"]
    opened.press("Tab", " ")  # flow_strong, the next
    assert opened.run(count) == 18
    opened.click("document.getElementById('reset')")
    assert opened.run(count) == 48


def test_filters_that_leave_nothing(opened):
    for value in ("8", "16", "64"):
        opened.click(f"document.querySelector('input[data-value=\"{value}\"]')")
    assert "Nothing is left" in words(opened, "#nothing")[0]


def test_hover_shows_values(opened):
    group = made_up.study()["groups"][1]  # classification, 8 labels, fine-tuned
    opened.place("document.querySelector('#labels .chart')")
    x, y = opened.place("document.querySelector('#labels [data-arm=\"1\"] .mark')")
    opened.point(x + 1, y + 1)
    [tip] = words(opened, "#tip")
    assert tip.startswith("Classification")
    for value in ("mean", "low", "high"):
        assert shown(group[value]) in tip
    assert shown(group["difference_low"], True) in tip
    corner = opened.run(
        "(() => { const b = document.querySelector('#labels .chart').getBoundingClientRect();"
        " return [b.left + 2, b.bottom - 2]; })()"
    )
    opened.point(*corner)  # within the chart, far from every mark
    assert opened.run("document.getElementById('tip').hidden")


@pytest.mark.parametrize("section", ["glance", "labels", "classes", "cka"])
def test_a_tap_shows_values_until_the_next_elsewhere(opened, section):
    # At a glance, the number itself is a link to its runs.
    places = {"labels": '[data-arm="1"] .mark', "glance": "td .below"}
    within = places.get(section, "tbody td")
    opened.place(f"document.querySelector('#{section} table, #{section} .chart')")
    opened.tap(*opened.place(f"document.querySelector('#{section} {within}')"))
    assert words(opened, "#tip dd") != []
    assert not opened.run("document.getElementById('tip').hidden")
    opened.tap(3, 3)
    assert opened.run("document.getElementById('tip').hidden")


def test_arrow_keys_go_through_a_chart(opened):
    opened.place("document.querySelector('#labels .chart')")
    opened.run("document.querySelector('#labels .chart').focus()")
    tips = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp"):
        opened.press(key)
        tips += words(opened, "#tip")
    facts = [tip.split("\n") for tip in tips]
    assert [f[0] for f in facts[:3]] == ["Random"] * 3
    assert [f[f.index("labels") + 1] for f in facts] == ["8", "16", "64", "64"]
    assert facts[3][0] != "Random"
    opened.press("Escape")
    assert opened.run("document.getElementById('tip').hidden")


def test_a_number_leads_to_its_runs(opened):
    opened.click("document.querySelector('.glance .number')")
    runs = words(opened, ".runs:not([hidden]) tbody tr")
    rows = [r for r in made_up.study()["rows"] if r["arm"] == "depth_stereo"][:4]
    assert [f"{100 * r['miou']:.2f}" in text for r, text in zip(rows, runs, strict=True)] == [
        True
    ] * 4
    assert [r["command"] in text for r, text in zip(rows, runs, strict=True)] == [True] * 4
    assert opened.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    opened.press("Enter")
    assert words(opened, ".runs:not([hidden])") == []


def test_sorting(opened):
    opened.click("document.querySelector('[data-sort=arm]')")
    first = words(opened, "#comparisons tbody:nth-of-type(1) .arm")
    assert first == sorted(first)
    assert words(opened, "#comparisons [aria-sort=ascending]") == ["Arm ↑"]
    opened.press("Enter")
    assert words(opened, "#comparisons tbody:nth-of-type(1) .arm") == first[::-1]
    opened.click("document.querySelector('[data-sort=difference]')")
    found = words(opened, "#comparisons tbody:nth-of-type(1) td:nth-child(3)")
    numbers = [float(x.split()[0].replace("−", "-")) for x in found if x != "reference"]
    assert numbers == sorted(numbers, reverse=True)
    assert found[-1] == "reference"  # without a number, last


def test_pictures_in_one_place(opened):
    opened.click("document.querySelectorAll('.picture')[2]")
    assert words(opened, "#zoom b") == ["Random"]
    opened.press("ArrowRight")
    assert words(opened, "#zoom b") == ["Classification"]
    opened.press("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert words(opened, "#zoom b") == ["Flow, strong"]
    opened.press("Escape")
    assert not opened.run("document.getElementById('zoom').open")


def test_light_and_dark(opened, file):
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.run(background)
    opened.click("document.getElementById('theme')")
    dark = opened.run(background)
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (light, dark)]
    assert brightness[0] > 700
    assert brightness[1] < 100
    opened.open(file)
    assert opened.run(background) == dark  # the choice is kept
    opened.run("localStorage.clear()")
    opened.open(file)
    assert opened.run(background) == light
    opened.prefer("dark")
    assert opened.run(background) == dark  # and else the system's is taken


def test_a_printer_gets_light_and_no_buttons(opened):
    opened.prefer("dark", media="print")
    opened.resize(720)  # A4 within its margins
    assert opened.run("document.documentElement.scrollWidth") == 720
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 251)"
    assert opened.run("getComputedStyle(document.getElementById('filters')).display") == "none"
    opened.prefer("light")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_sticks_out(opened, width):
    opened.resize(width)
    assert opened.run("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() =>"
                      " r(document.documentElement.scrollWidth))))") == width  # fmt: skip
    charts = opened.run("[...document.querySelectorAll('.chart')].map((c) => c.clientWidth)")
    assert len(charts) == 10
    assert all(200 < chart <= width for chart in charts)


SAVE = """new Promise((done) => {
  URL.createObjectURL = (blob) => { blob.text().then(done); return "#"; };
  HTMLAnchorElement.prototype.click = () => {};
  [...document.querySelectorAll("button")].find((b) => /CSV/.test(b.innerText)).click();
})"""


def test_the_runs_as_csv(opened, file, tmp_path):
    """All of them are results.csv itself, and what the filters leave is of the same kind."""
    whole = (file.parent / "results.csv").read_text(encoding="utf-8")
    assert opened.run(SAVE) == whole
    opened.click("document.querySelector('input[data-value=frozen]')")
    opened.click("document.querySelector('input[data-value=random]')")
    assert "Save the 84 runs shown as CSV" in words(opened, "#repeat button")
    (tmp_path / "shown.csv").write_text(opened.run(SAVE), encoding="utf-8")
    with open(tmp_path / "shown.csv", newline="") as handle:
        shown = list(csv.DictReader(handle))
    kept = [
        r
        for r in made_up.study()["rows"]
        if (r["training"], r["arm"] != "random") == ("fine_tuned", True)
    ]
    assert [r["cell"] for r in shown] == [r["cell"] for r in kept]
    assert [float(r["miou"]) for r in shown if r["miou"]] == [r["miou"] for r in kept if r["miou"]]
    assert set((tmp_path / "shown.csv").read_text().splitlines()) < set(whole.splitlines())


def test_hostile_text_in_a_browser(chromium, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_text(page.render(made_up.hostile(HOSTILE)), encoding="utf-8")
    chromium.open(path)
    chromium.run("document.querySelectorAll('.fold').forEach((b) => b.click())")
    chromium.click("document.querySelector('.picture')")
    assert chromium.errors == []
    assert chromium.requests == [path.as_uri()]
    assert chromium.run("document.title") == HOSTILE
    assert chromium.run("document.querySelectorAll('script').length") == 2
    sources = chromium.run("[...document.images].map((i) => i.src.slice(0, 11))")
    assert set(sources) == {"data:image/"}
    for selector in ("h1", ".answer p", ".glance .arm", "#classes th", "#zoom b", ".runs td"):
        assert any(HOSTILE in word for word in words(chromium, selector)), selector
