"""What must be known of a number, by hand."""

import pytest

from geoseg_jax.analysis import results
from geoseg_jax.report import notes
from tests.study.made_up import failed, row


def test_letters():
    assert [notes.letters(n) for n in (0, 25, 26, 51, 52)] == ["a", "z", "aa", "az", "ba"]
    assert len({notes.letters(n) for n in range(800)}) == 800


@pytest.fixture
def study():
    """The reference has seen test pictures with 16 labels, depth with 8, and flow as it has."""
    rows = [row(arm, v, n) for n in (8, 16) for arm, v in zip("rdf", (0.4, 0.5, 0.3), strict=True)]
    told = ["", "depth saw", "", "seen", "", "seen"]
    rows = [r | {"warning": warning} for r, warning in zip(rows, told, strict=True)]
    rows += [row("r", 0.4, seed=1), failed(arm="d", seed=1)]
    return results.assemble(rows, "r", arms=[{"name": "r", "label": "Ref"}])


def test_each_text_has_one_letter(study):
    numbered = notes.footnotes(study)
    texts = ["depth saw", "Ref: seen", "1 of 2 seeds have every pair", "seen"]
    assert list(numbered)[:4] == texts
    assert [numbered[text] for text in texts] == list("abcd")
    assert notes.marks(numbered, ["seen", "", "depth saw"]) == ("a", "d")


def one(study, arm, labels):
    (group,) = (g for g in study["groups"] if (g["arm"], g["labels"]) == (arm, labels))
    return group


def said(texts):
    return [text for text in texts if text]


def test_what_must_be_known_of_scores(study):
    assert said(notes.of_score(one(study, "r", 8))) == [
        "all runs gave the same number, as if the seed had no effect"
    ]
    assert said(notes.of_score(one(study, "r", 16))) == ["seen"]
    assert said(notes.of_score(one(study, "d", 8))) == ["depth saw", "1 of 2 runs are done"]
    assert said(notes.of_score(one(study, "d", 16))) == []


def test_what_must_be_known_of_differences(study):
    """Of both sides, but not what is true of both alike; the reference has none to itself."""

    def told(arm, labels):
        return said(notes.of_difference(study, one(study, arm, labels)))

    assert told("d", 8) == ["depth saw", "1 of 2 pairs are complete"]
    assert told("d", 16) == ["Ref: seen"]
    assert told("f", 16) == ["seen"]
    assert told("f", 8) == ["1 of 2 pairs are complete"]
    assert told("r", 16) == []


def test_what_must_be_known_over_all_conditions(study):
    depth, flow = study["overall"]
    lost = "1 of 2 seeds have every pair"
    assert said(notes.of_overall(study, depth)) == ["depth saw", "Ref: seen", lost]
    assert said(notes.of_overall(study, flow)) == ["seen"]
    assert said(notes.of_arm(study, "d")) == ["depth saw"]
    assert said(notes.of_arm(study, "d", "resnet18")) == ["depth saw"]
    assert said(notes.of_arm(study, "d", "vit_s16")) == []
