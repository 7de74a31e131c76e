"""The command `probe`: from a folder of labelled pictures to a table, a record and a page."""

import csv
import json
import pathlib
import re
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from absl import flags

from geoseg_jax import probe
from geoseg_jax.config import files
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.labels.subsets import Subset
from geoseg_jax.data.pictures import to_rgb
from geoseg_jax.data.readers import find_reader
from geoseg_jax.interop import write_torchvision
from geoseg_jax.probing import pictures, run, sources
from tests.interop import resnets

HEIGHT, WIDTH, COUNT = 32, 64, 8
COMMON = ("--encoders=first=random:tiny,statistics", "--baselines=", "--stride=8", "--folds=4")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures whose class is their colour: halves of cat and dog, in blocks of 8."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for i in range(COUNT):
        blocks = generator.integers(0, 2, (HEIGHT // 8, WIDTH // 8))
        label = np.kron(blocks, np.ones((8, 8), int))
        picture = np.where(label[..., None], (200, 120, 40), (60, 90, 180))
        picture = np.clip(picture + generator.normal(0, 20, picture.shape), 0, 255)
        assert cv2.imwrite(str(root / f"images/{i}.png"), picture.astype(np.uint8))
        assert cv2.imwrite(str(root / f"labels/{i}.png"), label.astype(np.uint8))
    (root / "classes.txt").write_text("cat 255 0 0\ndog 0 255 0\n")
    return root


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """What the command writes, and its code."""
    out = tmp_path_factory.mktemp("out") / "w"
    words = [f"--data={root}", *COMMON, "--resolution=64x32", "--labels=0,3", f"--out={out}"]
    code = probe.main([*words, "--repeats=2", "--shown=2"])
    return code, out, json.loads((out / "probe.json").read_text())


def test_files_say_the_same(done):
    code, out, content = done
    assert code == 0
    with open(out / "probe.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * (2 + 1)  # encoders, probes, two choices of 3 labels and all
    assert {row["converged"] for row in rows} == {"True"}
    for found in content["results"]:
        same = [
            r for r in rows if all(str(found[k]) == r[k] for k in ("encoder", "probe", "labels"))
        ]
        assert np.mean([float(row["miou"]) for row in same]) == pytest.approx(found["miou"])
    assert {d["encoder"] for d in content["differences"]} == {"statistics"}
    assert content["encoders"][0]["architecture"] == "tiny"
    # Those on most labels come last, whatever the order asked for: the page speaks of them.
    assert [found["labels"] for found in content["results"]][-1] == 0


def test_colour_is_enough_for_these_pictures(done):
    """Their class is their colour, and cells lie within blocks."""
    _, _, content = done
    of = {(r["encoder"], r["probe"], r["labels"]): r["miou"] for r in content["results"]}
    assert of["statistics", "linear", 0] > 0.8 * content["ceiling"]
    assert content["constant"] < 0.4 < of["statistics", "knn", 3]


def test_page_needs_nothing_else_and_shows_all(done):
    _, out, content = done
    text = (out / "probe.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert text.count("<img ") == 2 * (2 + 2) + 1  # picture, label and two maps; a legend
    for words in (
        "Only 8 pictures judge",
        "take pictures for independent",
        "cat",
        "statistics",
        content["command"][:20],
    ):
        assert words in text
    # How little judges is said beside the verdict, not after all tables.
    assert text.index("take pictures for independent") < text.index("<main>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data=/nowhere"], "config.data.root='/nowhere' is not there"),
        ([], "give --data=FOLDER"),
        (["--data={root}", "--encoders="], "--encoders is empty"),
        (["--data={root}", "--encoders=statistic"], "is not there.*did you mean 'statistics'"),
        (["--data={root}", "--encoders=random:resnet19"], "no encoder 'resnet19'; did you mean"),
        (["--data={root}", "--encoders=a=random,a=statistics"], "two are called 'a'"),
        (["--data={root}", "--reference=frist"], "did you mean 'first'"),
        (["--data={root}", "--resolution=50x32"], "the width must be a multiple of 32.* 64"),
        (["--data={root}", "--stride=5"], "--stride=5 is none of 4, 8, 16, 32"),
        (["--data={root}", "--stages=3"], "--stages=3: first has the stages 2, 4"),
        (["--data={root}", "--labels=7"], "--labels=7: .* 6 pictures are left to train on"),
        (["--data={root}", "--baselines=colour"], "--baselines=colour is none of"),
        (["--config=configs/quickstart.py"], "a probe needs labels"),
        (["--data={root}", "--pictures=3"], "3 labelled pictures: .* label at least 4"),
        (["--data={root}", "--pictures=-1"], "--pictures=-1 must be at least 0"),
        (["--data={root}", "--out=gs://bucket/x"], "is an address"),
    ],
)
def test_one_line_for_what_is_wrong(words, message, root, tmp_path, capsys):
    given = [word.format(root=root) for word in words]
    assert probe.main([*COMMON, f"--out={tmp_path / 'w'}", *given]) == 1
    said = capsys.readouterr().err
    assert re.match(f"error: .*{message}", said)
    assert said.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_first_line_says_whose_recording_is_unknown():
    images = np.zeros((4, 32, 64, 3), np.uint8)
    for recordings, expected in (
        (["a", "a", "b", ""], " (of 2 recordings, 1 of unknown ones)"),
        (["a"] * 4, " (of 1 recording)"),
        ([""] * 4, ""),
    ):
        found = pictures.Labelled([*"abcd"], recordings, images, [], None, "", [])
        first = run._opening(found, [], []).splitlines()[0]
        assert first == f"4 labelled pictures{expected} at 64x32"


def test_absl_logs_nothing_of_itself(tmp_path, monkeypatch):
    """Its log warns of messages before its own flags are parsed, which the command has not."""
    parsed = flags.FLAGS.is_parsed()
    seen = []
    monkeypatch.setattr(probe, "quieten", lambda: seen.append(flags.FLAGS.is_parsed()))
    words = ["probe", "--data=/nowhere", "--encoders=statistics", f"--out={tmp_path / 'w'}"]
    monkeypatch.setattr(sys, "argv", words)
    assert probe.main() == 1
    assert seen == [True]
    if not parsed:
        flags.FLAGS.unparse_flags()


def test_the_resolution_of_a_config_is_brought_to_what_a_probe_takes(root):
    found = pictures.read(str(root), "configs/segment_folder.py:resolution=50x40", "", 0)
    assert found.images.shape[1:3] == (32, 64)
    assert found.notes[0] == "pictures are 64x32: a probe takes multiples of 32, not 50x40"
    found = pictures.read(str(root), "configs/segment_folder.py:resolution=64x32", "", 0)
    assert not found.notes


def without_data():
    """The segment_ configs that need none."""
    configs = pathlib.Path(__file__).resolve().parent.parent / "configs"
    paths = sorted(configs.glob("segment_*.py"))
    return [path for path in paths if "root" not in files.load(str(path)).data]


@pytest.mark.parametrize("config", without_data(), ids=lambda path: path.stem)
def test_pictures_of_a_config_that_needs_no_data(config):
    found = pictures.read("", f"{config}:labels=5", "64x32", 0)
    assert found.images.shape == (5, 32, 64, 3)
    assert {label.shape for label in found.labels} == {(32, 64)}
    assert len(set(found.names)) == 5


def test_training_labels_that_are_resized_do_not_judge(root, monkeypatch):
    def read(settings):
        train, judged = find_reader("folder").read(settings)
        return train, Subset(judged, [0])  # as of a reader that has splits of its own

    monkeypatch.setattr(pictures, "find_reader", lambda name: SimpleNamespace(read=read))
    with pytest.raises(ConfigError, match=r"config\.data\.name='folder' can't judge"):
        pictures.read(str(root), "configs/segment_folder.py", "96x32", 0)


def test_resolution_follows_the_pictures(root):
    found = pictures.read(str(root), "", "", 0)
    assert found.images.shape == (COUNT, 160, 320, 3)
    assert found.labels[0].shape == (HEIGHT, WIDTH)
    two = pictures.read(str(root), "", "64x32", 6)
    assert two.names == ["0", "1", "2", "4", "5", "6"]
    assert two.notes == ["6 of 8 labelled pictures are used (--pictures)"]
    own = to_rgb(cv2.imread(str(root / "images/0.png")))
    np.testing.assert_array_equal(two.images[0], own)


def test_a_file_of_weights_and_its_features(root, tmp_path):
    path = tmp_path / "small.safetensors"
    write_torchvision(
        {kind: {"encoder": tree} for kind, tree in resnets.encoder_variables("tiny").items()}, path
    )
    one, colours = sources.load([str(path), "statistics"])
    assert (one.name, one.encoder.name) == ("small", "tiny")
    images = pictures.read(str(root), "", "64x32", 0).images[:5]
    maps = one.encoder(images)
    grid = sources.features(one, images, (4, 8, 32), 8)
    coarse = np.asarray(maps[4]).reshape(5, 4, 2, 8, 2, -1).mean((2, 4))
    np.testing.assert_allclose(grid[..., : coarse.shape[-1]], coarse, atol=1e-4)
    np.testing.assert_allclose(
        grid[..., coarse.shape[-1] :][..., : maps[8].shape[-1]], maps[8], atol=1e-4
    )
    means = sources.features(colours, images, (8,), 8)[..., :3]
    np.testing.assert_allclose(means[2, 1, 3], images[2, 8:16, 24:32].mean((0, 1)) / 255, atol=1e-6)


def test_calibrated_statistics_are_those_of_the_pictures(root):
    """The input of the first batch norm then has mean 0 and deviation 1 behind it."""
    images = pictures.read(str(root), "", "64x32", 0).images[:6]
    one, *_ = sources.load(["random:tiny"])
    plain, own = (
        sources.features(one, images, (2,), 8, kind)
        for kind in (sources.FROZEN, sources.CALIBRATED)
    )
    assert not np.allclose(plain, own)
    stats = sources._calibrated(one.encoder, images)["bn1"]
    variables = {**one.encoder.variables}
    variables["batch_stats"] = {**variables["batch_stats"], "bn1": stats}
    seen = np.asarray(one.encoder.apply(variables, images.astype(np.float32) / 255)[2])
    # Behind it is a ReLU: of a standard normal, half is cut off and the mean is 0.4.
    assert np.abs(seen.mean((0, 1, 2)) - 0.4).mean() < 0.15
