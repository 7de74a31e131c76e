"""What is drawn is what was found; the same study gives the same bytes."""

import math
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from geoseg_jax.analysis import results
from geoseg_jax.report import figures
from tests.study import made_up
from tests.study.made_up import failed, row

EFFECTS = {"random": 0.0, "depth": 0.05, "flow": -0.02}


def study(**about) -> dict:
    rows = made_up.study(EFFECTS, trainings=("fine_tuned", "frozen"))
    arms = [{"name": "depth", "label": "Depth $<3$"}]
    return results.assemble(rows, "random", **{"arms": arms} | about)


def one(found: list[dict], **wanted) -> dict:
    (chosen,) = [f for f in found if all(f[k] == v for k, v in wanted.items())]
    return chosen


def marks(axes) -> dict[str, np.ndarray]:
    """Label -> the points [n, 2] of an error bar."""
    return {c.get_label(): np.stack(c.lines[0].get_data(), 1) for c in axes.containers}


def whiskers(axes, name: str) -> np.ndarray:
    """The ends of intervals, [n, 2 (end), 2 (x, y)]."""
    (bar,) = [c for c in axes.containers if c.get_label() == name]
    return np.array(bar.lines[2][0].get_segments())


def visible(figure) -> list:
    return [axes for axes in figure.axes if axes.get_visible()]


def texts(figure) -> set[str]:
    return {t.get_text() for axes in visible(figure) for t in axes.texts}


def test_scores_by_labels():
    s = study()
    figure = figures.by_labels(s)
    fine_tuned, frozen = visible(figure)
    assert [fine_tuned.get_title(), frozen.get_title()] == ["fine-tuned", "frozen"]
    assert set(marks(frozen)) == {"random", "Depth $<3$", "flow"}
    for i, labels in enumerate((8, 16)):
        group = one(s["groups"], arm="depth", labels=labels, training="frozen")
        x, y = marks(frozen)["Depth $<3$"][i]
        assert x == pytest.approx(math.log2(labels), abs=0.3)
        assert y == pytest.approx(100 * group["mean"])
        ends = whiskers(frozen, "Depth $<3$")[i, :, 1]
        assert ends == pytest.approx([100 * group["low"], 100 * group["high"]])
    dots = [line for line in frozen.lines if line.get_marker() == "."]
    shown = sorted(v for line in dots for v in line.get_ydata())
    assert shown == pytest.approx(
        sorted(100 * r["miou"] for r in s["rows"] if r["training"] == "frozen")
    )
    assert [t.get_text() for t in frozen.get_xticklabels()] == ["8", "16"]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["random", "Depth $<3$", "flow"]


def test_all_labels_stand_beyond_the_rest():
    rows = [row(arm, v, n) for n in (0, 8, 64) for arm, v in (("random", 0.4), ("depth", 0.5))]
    (axes,) = visible(figures.by_labels(results.assemble(rows, "random")))
    assert [t.get_text() for t in axes.get_xticklabels()] == ["8", "64", "all"]
    assert axes.get_xticks().tolist() == [3, 6, 7]


def test_lines_of_arms_that_are_level_lie_on_each_other():
    """Beside the distance between two numbers of labels, how far arms stand apart is little."""
    rows = [row(arm, v, n) for n, v in ((16, 0.3), (0, 0.4)) for arm in ("random", "depth", "flow")]
    (axes,) = visible(figures.by_labels(results.assemble(rows, "random")))
    starts = [points[0][0] for points in marks(axes).values()]
    assert 0 < max(starts) - min(starts) <= 0.05 * (axes.get_xlim()[1] - axes.get_xlim()[0])


def test_arms_of_one_number_of_labels_stand_in_the_middle():
    rows = [row(arm, v, 8) for arm, v in (("random", 0.4), ("depth", 0.5))]
    (axes,) = visible(figures.by_labels(results.assemble(rows, "random")))
    drawn = np.concatenate([line.get_xdata() for line in axes.lines])
    low, high = axes.get_xlim()
    assert low + (high - low) / 4 < drawn.min() < drawn.max() < high - (high - low) / 4


@pytest.mark.parametrize("make", [figures.by_labels, figures.differences, figures.curves])
def test_long_names_stay_within_a_narrow_figure(make):
    rows = made_up.study(EFFECTS | {"far": 0.1, "farther": 0.2})
    names = [f"Depth of {arm} streets, from stereo" for arm in ("random", *EFFECTS, "far")]
    arms = [{"name": n, "label": t} for n, t in zip(EFFECTS | {"far": 0}, names, strict=False)]
    figure = make(results.assemble(rows, "random", arms=arms))
    figure.canvas.draw()
    for what in (*figure.legends, figure._suptitle):
        box = what.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
    assert figure.axes[0].get_window_extent().height > 1.8 * figure.dpi


def test_differences():
    s = study()
    figure = figures.differences(s)
    fine_tuned, frozen, overall = visible(figure)
    assert set(marks(fine_tuned)) == {"8 labels", "16 labels"}
    for i, arm in enumerate(("depth", "flow")):
        group = one(s["groups"], arm=arm, labels=16, training="frozen")
        x, y = marks(frozen)["16 labels"][i]
        assert x == pytest.approx(100 * group["difference"])
        assert round(y) == i
        ends = whiskers(frozen, "16 labels")[i, :, 0]
        expected = [100 * group[f"difference_{end}"] for end in ("low", "high")]
        assert ends == pytest.approx(expected)
        x, _ = marks(overall)["mean over conditions"][i]
        assert x == pytest.approx(100 * s["overall"][i]["difference"])
    assert [t.get_text() for t in fine_tuned.get_yticklabels()] == ["Depth $<3$", "flow"]


def test_learning_curves():
    s = study()
    figure = figures.curves(s)
    first, *_ = visible(figure)
    assert len(visible(figure)) == 4
    lines = {line.get_label(): line for line in first.lines}
    runs = [
        r for r in s["rows"] if (r["arm"], r["labels"], r["training"]) == ("flow", 8, "fine_tuned")
    ]
    expected = np.mean([[100 * score for _, score in r["curve"]] for r in runs], axis=0)
    assert lines["flow"].get_xdata().tolist() == [20, 40, 60]
    np.testing.assert_allclose(lines["flow"].get_ydata(), expected)
    assert len(first.lines) == 3 * (3 + 1)


def test_curves_of_different_lengths():
    """The mean goes over the steps that all have; a run that failed has its part of a curve."""
    rows = [row("random", 0.4, seed=s, curve=[(10, 0.2), (20, 0.4)]) for s in range(2)]
    rows[1] |= {"status": "failed", "miou": math.nan, "curve": [(10, 0.4)]}
    (axes,) = visible(figures.curves(results.assemble(rows, "random")))
    (mean,) = [line for line in axes.lines if line.get_label() == "random"]
    assert mean.get_xdata().tolist() == [10]
    assert mean.get_ydata().tolist() == pytest.approx([30])


def test_gains_of_classes():
    s = study()
    figure = figures.class_gains(s)
    first, *_ = visible(figure)
    group = one(s["class_gains"], arm="depth", labels=8, training="fine_tuned")
    assert first.images[0].get_array()[0, 0] == pytest.approx(100 * group["gains"]["road"])
    assert f"+{100 * group['gains']['sky']:.1f}" in texts(figure)
    assert [t.get_text() for t in first.get_yticklabels()] == ["road", "sky"]
    low, high = first.images[0].get_clim()
    assert low == -high


def test_cka():
    stage = {
        "stage": "stride 8",
        "arms": ["random", "depth"],
        "matrix": [[1.0, 0.25], [0.25, None]],
    }
    figure = figures.cka(study(features={"cka": [stage]}))
    (axes,) = visible(figure)
    assert axes.get_title() == "stride 8"
    assert texts(figure) == {"1.00", "0.25", "–"}


def test_learning_rates():
    """A panel for each way to train, and for each own task; a rate that failed is left out."""
    place = {"decoder": "unet", "resolution": "96x32", "encoder": "resnet18"}
    of_cells = {"kind": "segmentation", "metric": "miou", "training": "frozen", **place}
    of_cells["less"] = False
    own = {"kind": "pre-training", "metric": "abs_rel", "less": True, "encoder": "resnet18"}
    rates = [
        of_cells | {"arm": "random", "tried": [[1e-3, 0.2], [3e-3, 0.25]], "chosen": 3e-3},
        of_cells | {"arm": "depth", "tried": [[1e-3, 0.3], [3e-3, None]], "chosen": 1e-3},
        own | {"arm": "depth", "tried": [[1e-4, 0.21], [2e-4, 0.2]], "chosen": 2e-4},
    ]
    frozen, depth = visible(figures.rates(study(rates=rates)))
    assert frozen.get_title() == "frozen, mIoU in %"
    assert depth.get_title() == "Depth $<3$: abs_rel, less is better"
    drawn = [line.get_xydata().tolist() for line in frozen.lines]
    assert drawn[0] == [[1e-3, 20], [3e-3, 25]]
    assert drawn[1:3] == [[[3e-3, 25]], [[1e-3, 30]]]
    assert depth.lines[0].get_xydata().tolist() == [[1e-4, 0.21], [2e-4, 0.2]]
    assert figures.rates(study()) is None


def test_the_same_bytes_again(tmp_path):
    stage = {"stage": "stride 8", "arms": ["random"], "matrix": [[1.0]]}
    rows = made_up.study({"random": 0.0, "depth": 0.1}, labels=(8,))
    for folder in ("a", "b"):
        s = results.assemble(rows, "random", features={"cka": [stage]})
        written = figures.write_all(s, tmp_path / folder)
    names = ["labels", "differences", "curves", "classes", "cka"]
    assert [p.name for p in written] == [f"{n}.{kind}" for n in names for kind in ("png", "svg")]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(p.name for p in written)
    for path in written:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes(), path.name
        if path.suffix == ".svg":
            root = xml.etree.ElementTree.parse(path).getroot()
            assert root.tag.endswith("svg")
            assert b"date>" not in path.read_bytes()
        else:
            with Image.open(path) as picture:
                assert len(picture.convert("L").getcolors()) > 10


def test_a_figure_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    def full(file, **_):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    figure = figures.by_labels(study())
    (tmp_path / "labels.png").write_bytes(b"old")
    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        figures.save(figure, tmp_path / "labels")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.png"]
    assert (tmp_path / "labels.png").read_bytes() == b"old"


def test_nothing_is_done(tmp_path):
    s = results.assemble([failed(arm=arm) for arm in EFFECTS], "random")
    assert figures.write_all(s, tmp_path) == []


def test_one_run_of_each(tmp_path):
    """No interval anywhere, which is no reason to fail."""
    s = results.assemble([row("random", 0.4), row("depth", 0.5)], "random")
    names = {path.name for path in figures.write_all(s, tmp_path)}
    assert names == {"labels.png", "labels.svg", "differences.png", "differences.svg"}


def test_intervals_beyond_what_can_be_do_not_stretch_the_axis():
    rows = [row("random", v, seed=s) for s, v in enumerate((0.2, 0.7))]
    (axes,) = visible(figures.by_labels(results.assemble(rows, "random")))
    low, high = axes.get_ylim()
    assert -5 < low < high < 105


def test_more_arms_than_colours_still_differ():
    rows = [row(f"arm {i}", 0.4) for i in range(25)]
    s = results.assemble(rows, "arm 0")
    styles = {str(sorted(figures._style(s, f"arm {i}").items(), key=str)) for i in range(25)}
    assert len(styles) == 25
