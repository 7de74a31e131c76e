"""The page: that it needs nothing else, that text stays text, and that it works in a browser."""

import base64
import hashlib
import html
import html.parser
import json
import re
from importlib import resources

import numpy as np
import pytest

from geoseg_jax.report import page
from tests.report import made_up

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>&amp;'\""


class Parsed(html.parser.HTMLParser):
    """Every start tag with its attributes, and the text within script, style and title."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts, self._within = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        self.texts.append((self._within, data))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def within(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return page.render(made_up.study())


def test_one_file_asks_for_nothing(text):
    assert "://" not in text
    parsed = Parsed(text)
    addresses = [a[k] for _, a in parsed.tags for k in ("src", "href", "action") if k in a]
    assert {a.split(",")[0].split(";")[0] for a in addresses} == {"data:", "#main"}
    assert not re.search(r"url\(|@import|@font-face", text)
    assert parsed.all("link") == [{"rel": "icon", "href": "data:,"}]


def test_an_address_in_a_text_stays_a_text():
    study = made_up.study(arms=2, replicates=2, pictures=False) | {
        "question": "https://example.org"
    }
    parsed = Parsed(page.render(study))
    assert "https://example.org" in parsed.within("p")
    assert not [a for _, attributes in parsed.tags for a in attributes.values() if a and "://" in a]


def test_only_this_script_and_this_style_may_run(text):
    parsed = Parsed(text)
    [policy] = [m["content"] for m in parsed.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag in ("style", "script"):
        last = parsed.within(tag)[-1].encode()
        digest = base64.b64encode(hashlib.sha256(last).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_answer_is_there_without_a_script(text):
    study = made_up.study()
    before = html.unescape(text[: text.index("<main")])
    assert all(sentence in before for sentence in study["answer"])
    assert study["title"] in before
    assert study["question"] in before


def test_hostile_text_is_no_markup():
    parsed = Parsed(page.render(made_up.hostile(HOSTILE)))
    assert len(parsed.all("script")) == 2
    assert not parsed.all("img")
    assert not [k for _, attributes in parsed.tags for k in attributes if k.startswith("on")]
    assert "".join(parsed.within("title")) == HOSTILE
    assert json.loads(parsed.within("script")[0])["commands"] == [HOSTILE]


@pytest.mark.parametrize("value", [HOSTILE, "\u2028\u2029", "<!--<script>", "ü ∑ 漢"])
def test_embedded_json_is_the_value(value):
    text = page.embedded({value: [value]})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {value: [value]}


def test_embedded_numbers():
    given = {
        "a": [1, 0.25, float("nan"), float("inf"), None, True],
        "b": np.array([1.5, np.nan]),
        "c": np.float32(0.5),
        "d": (np.int64(3), np.bool_(False)),
        8: "eight",
    }
    wanted = {
        "a": [1, 0.25, None, None, None, True],
        "b": [1.5, None],
        "c": 0.5,
        "d": [3, False],
        "8": "eight",
    }
    assert json.loads(page.embedded(given)) == wanted


@pytest.mark.parametrize("where", ["panels", "pca"])
def test_a_picture_elsewhere_is_refused(where):
    study = made_up.study(arms=2, replicates=2)
    panels = study["panels"] if where == "panels" else study["features"]["pca"]
    panels[0]["pictures"][1]["src"] = "https://example.org/a.png"
    with pytest.raises(ValueError, match=r"'.+' of '.+' is at 'https://example.org/a.png': embed"):
        page.render(study)


def test_a_csv_of_other_rows_is_refused():
    study = made_up.study(arms=2, replicates=1, pictures=False)
    with pytest.raises(ValueError, match="the csv has 1 rows, the study 12"):
        page.render(study, "cell,arm\na,random\n")


def test_every_file_is_used_and_none_writes_markup():
    folder = resources.files("geoseg_jax.report") / "page"
    names = {file.name for file in folder.iterdir()}
    assert names == {*page.SCRIPTS, "page.html", "page.css"}
    for name in page.SCRIPTS:
        source = (folder / name).read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 450
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", source)
