"""The command `labels`: each format's fixture to a folder that the reader `folder` reads."""

import csv
import json
import os
import re
import shlex

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from geoseg_jax import labels
from geoseg_jax.data.factory import make_data
from tests.data import fabricate_annotations as fabricate

MAKERS = {
    "COCO JSON, polygons": lambda root: fabricate.coco(root),
    "COCO JSON, runs": lambda root: fabricate.coco(root, "runs"),
    "COCO JSON, compressed": lambda root: fabricate.coco(root, "compressed"),
    "LabelMe JSON": fabricate.labelme,
    'CVAT "Segmentation mask"': fabricate.cvat,
    "Pascal VOC": fabricate.voc,
    "Roboflow masks": fabricate.roboflow,
    "Label Studio JSON": fabricate.label_studio,
    "masks of class ids": lambda root: (
        fabricate.masks(root),
        (root / "classes.txt").write_text("background\ncat\ndog\n"),
    ),
    "colour-coded masks": lambda root: (
        fabricate.masks(root, "colours"),
        (root / "classes.txt").write_text(
            "\n".join(f"{n} {r} {g} {b}" for n, (r, g, b) in fabricate.COLOURS.items())
        ),
    ),
}


def convert(root, out, *arguments):
    return labels.main([str(root), f"--out={out}", *arguments])


def counts(out):
    """Class -> (pixels, pictures) of those that occur."""
    with open(out / "counts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {r["class"]: (int(r["pixels"]), int(r["pictures"])) for r in rows if int(r["pixels"])}


def label(out, name):
    return np.asarray(Image.open(out / "labels" / f"{name}.png"))


def expected(format):
    """The fixtures' pixels; of VOC's the last column is a border."""
    found = {n: (p, fabricate.SHOWN[n]) for n, p in fabricate.PIXELS.items()}
    if format == "Pascal VOC":
        found["background"] = (fabricate.PIXELS["background"] - 36, 3)
        found["ignored"] = (36, 3)
    return found


@pytest.mark.parametrize("format", MAKERS)
def test_three_pictures_of_each_format(format, tmp_path, capsys):
    MAKERS[format](tmp_path / "source")
    out = tmp_path / "out"
    assert convert(tmp_path / "source", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"recognised {format.partition(',')[0]}: 3 labelled pictures")
    assert counts(out) == expected(format)
    assert re.search(r"^cat +48 +8\.33 %  2$", printed, re.MULTILINE)
    assert "segment_folder.py:resolution=320x240 --workdir=W" in printed  # of 16x12
    names = sorted(
        p.relative_to(out / "overlays").as_posix() for p in out.rglob("overlays/**/*.jpg")
    )
    assert len(names) == 3

    # What training reads is what was counted.
    config = ConfigDict(
        {
            "data": {
                "name": "folder",
                "root": str(out),
                "height": 12,
                "width": 16,
                "train_split": "pool",
                "eval_split": "train",
            }
        }
    )
    source = make_data(config).train
    assert len(source) == 3
    found = {}
    for i in range(3):
        for k, name in enumerate(source.table.classes):
            pixels = int((source[i]["label"] == k).sum())
            found[name] = found.get(name, 0) + pixels
    wanted = {n: p for n, (p, _) in expected(format).items() if n != "ignored"}
    assert {n: p for n, p in found.items() if p} == wanted


def test_splits_of_the_source_stay(tmp_path):
    fabricate.roboflow(tmp_path / "r")
    fabricate.voc(tmp_path / "v")
    for name, train, val in (
        ("r", ["train/a", "train/b"], ["valid/c"]),
        ("v", ["a", "b"], ["deep/c"]),
    ):
        assert convert(tmp_path / name, tmp_path / f"{name}out") == 0
        out = tmp_path / f"{name}out"
        assert (out / "train.txt").read_text().split() == train
        assert (out / "val.txt").read_text().split() == val


def test_masks_of_two_values(tmp_path, capsys):
    fabricate.masks(tmp_path / "source", "binary")
    assert convert(tmp_path / "source", tmp_path / "out") == 0
    assert counts(tmp_path / "out") == {"background": (488, 3), "foreground": (88, 3)}
    (tmp_path / "names.txt").write_text("crack\n")
    names = f"--classes={tmp_path / 'names.txt'}"
    assert convert(tmp_path / "source", tmp_path / "named", names) == 0
    assert counts(tmp_path / "named") == {"background": (488, 3), "crack": (88, 3)}


def test_what_was_not_annotated_may_be_ignored(tmp_path):
    fabricate.labelme(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "out", "--background=ignore") == 0
    assert counts(tmp_path / "out") == {"cat": (48, 2), "dog": (40, 2), "ignored": (488, 3)}
    assert (tmp_path / "out/classes.txt").read_text().startswith("0 cat ")


def test_what_only_the_owner_knows_is_asked(tmp_path, capsys):
    fabricate.labelme(tmp_path / "source")
    file = tmp_path / "source/a.json"
    record = json.loads(file.read_text())
    record["shapes"][0]["label"] = record["shapes"][0]["label"].upper()
    file.write_text(json.dumps(record))
    (tmp_path / "source/b.jpg").unlink()
    assert convert(tmp_path / "source", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "--background=ignore" in said
    assert re.search("note: '(cat|CAT)' and '(cat|CAT)' are two classes", said)
    assert "isn't embedded (the first: " in said
    assert "b.json)" in said
    assert convert(tmp_path / "source", tmp_path / "no", "--background=ignore") == 0
    assert "--background" not in capsys.readouterr().out


def test_colours_without_names_are_told_as_a_list_to_fill_in(tmp_path, capsys):
    fabricate.masks(tmp_path / "source", "colours")
    assert convert(tmp_path / "source", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "colour-coded masks, and no class list lies there" in said
    assert "NAME 0 0 0; NAME 250 50 83; NAME 36 179 83" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"export.zip": ""}, "is an archive; unpack it"),
        ({"x/annotations.xml": ""}, 'recognised CVAT\'s XML; export as "Segmentation mask 1.1"'),
        ({"x/data.yaml": "", "x/labels/a.txt": ""}, "recognised YOLO's text files; export as COCO"),
        ({"x/Annotations/a.xml": ""}, "recognised Pascal VOC's boxes"),
        ({"x/task-1-annotation-1-by-me-tag-cat-0.png": ""}, "recognised Label Studio's PNG export"),
        ({"x/p.json": '{"_via_img_metadata": {}}'}, "recognised VGG Image Annotator's project"),
        ({"x/p.json": '[{"id": 1, "annotation_id": 2}]'}, "recognised Label Studio's JSON-MIN"),
        ({"x/p.json": '{"annotations": [{"segments_info": []}]}'}, "recognised COCO panoptic"),
        (
            {
                "x/p.json": '{"images": [], "categories": [], "annotations": [{"image_id": 1, '
                '"segments_info": []}]}'
            },
            "recognised COCO panoptic JSON; export instances",
        ),
        ({"x/a.jpg": ""}, "holds 1 pictures and no labels that are known: COCO JSON, LabelMe"),
        ({"x/notes.md": ""}, "holds no annotations that are known: COCO JSON"),
    ],
)
def test_a_format_that_is_not_read_is_named(files, said, tmp_path, capsys):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    source = tmp_path / next(iter(files)).split("/")[0]
    assert convert(source, tmp_path / "out") == 1
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_two_formats_need_a_choice(tmp_path, capsys):
    fabricate.coco(tmp_path / "source")
    fabricate.cvat(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "out") == 1
    assert "holds coco and voc; choose one by --format" in capsys.readouterr().err
    assert convert(tmp_path / "source", tmp_path / "out", "--format=voc") == 0
    assert convert(tmp_path / "source", tmp_path / "o2", "--format=labelm") == 1
    assert "did you mean 'labelme'" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    fabricate.labelme(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "source") == 1
    assert "is there already" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert convert(tmp_path / "source", tmp_path / "empty") == 0


def test_what_is_printed_fits_any_name(tmp_path, capsys):
    fabricate.masks(tmp_path / "source")
    try:
        name = os.fsencode(tmp_path / "source/images") + b"/stra\xdfe.jpg"
        (tmp_path / "source/images/a.jpg").rename(os.fsdecode(name))
    except OSError:
        pytest.skip("the file system takes names in UTF-8 alone")
    out = tmp_path / "my labels"
    assert convert(tmp_path / "source", out) == 0
    said = capsys.readouterr().out
    assert "1 pictures without a mask (the first: " in said
    assert "stra?e.jpg)" in said
    command = next(line for line in said.splitlines() if line.startswith("python -m"))
    assert f"--config.data.root={out}" in shlex.split(command)


def test_faults_are_told_together_and_leave_nothing(tmp_path, capsys):
    fabricate.labelme(tmp_path / "source")
    for name in ("a", "b"):
        value = json.loads((tmp_path / f"source/{name}.json").read_text())
        value["imageHeight"] = 99
        fabricate.write_json(tmp_path / f"source/{name}.json", value)
    assert convert(tmp_path / "source", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.count("the label is of a picture of 16x99, and the picture is 16x12") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]
