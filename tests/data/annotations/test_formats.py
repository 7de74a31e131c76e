"""What goes wrong, or is meant on purpose, in each format."""

import json
import pathlib
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from geoseg_jax.data.annotations import masks, recognise, voc
from geoseg_jax.data.annotations.found import NO_PIXEL, NOT_ANNOTATED, Asked, Frame
from geoseg_jax.data.annotations.splits import split_of
from geoseg_jax.data.annotations.write import write
from geoseg_jax.data.source import DataError
from tests.data import fabricate_annotations as fabricate
from tests.data import fabricate_labels

FRAME = Frame((fabricate.HEIGHT, fabricate.WIDTH))
COCO = "annotations/instances_default.json"
LABELS = {"a.jpg": ("cat",), "b.jpg": ("cat", "dog"), "deep/c.jpg": ("dog",)}


def read(root, **asked):
    return recognise.read(Asked(root, **asked))


def drawn(found):
    """Picture's name -> label, and what was noted while drawing."""
    labels = {example.picture.name: example.ids(FRAME) for example in found.examples}
    return labels, Counter({text: n for text, n in found.notes.items() if n})


def rewrite(path, **changes):
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(value))
    return value


# COCO


def annotation(image, category, points, **more):
    segmentation = [np.ravel(points).tolist()] if len(points) else []
    usual = {"id": 99, "image_id": image, "category_id": category, "segmentation": segmentation}
    return usual | more


WHOLE = [(0, 0), (16, 0), (16, 12), (0, 12)]


def test_coco_draws_crowds_first_then_the_largest(tmp_path):
    value = fabricate.coco(tmp_path)
    crowd = annotation(0, 18, [(0, 0), (4, 0), (4, 3), (0, 3)], iscrowd=1)
    everywhere = annotation(0, 18, WHOLE)
    rewrite(tmp_path / COCO, annotations=[crowd, *value["annotations"], everywhere])
    labels, notes = drawn(read(tmp_path))
    # The cat's 24 pixels lie on the dog that fills the picture, although they come first.
    assert np.bincount(labels["a.jpg"].ravel()).tolist() == [0, 24, 192 - 24]
    assert notes == {"pixels claimed by two classes; the smaller object has them": 24}


def test_coco_parts_are_a_union_and_what_has_no_mask_is_counted(tmp_path):
    value = fabricate.coco(tmp_path)
    two = annotation(0, 18, [])
    two["segmentation"] = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 0, 3, 0, 3, 2, 1, 2]]
    box = annotation(0, 18, [], bbox=[0, 0, 9, 9])
    rewrite(tmp_path / COCO, annotations=[*value["annotations"], two, box])
    labels, notes = drawn(read(tmp_path))
    assert (labels["a.jpg"] == 2).sum() == 6
    assert notes == {"annotations without a mask (boxes, key points), passed over": 1}


def test_coco_pictures_without_annotations(tmp_path):
    value = fabricate.coco(tmp_path)
    kept = [a for a in value["annotations"] if a["image_id"] != 10]
    rewrite(tmp_path / COCO, annotations=[*kept, annotation(77, 17, WHOLE)])
    labels, notes = drawn(read(tmp_path))
    assert sorted(labels) == ["a.jpg", "c.jpg"]
    assert notes == {
        NOT_ANNOTATED: 1,
        "annotations of pictures that the JSON doesn't list": 1,
    }
    labels, _ = drawn(read(tmp_path, keep_empty=True))
    assert labels["b.jpg"].max() == 0
    (tmp_path / "images/a.jpg").unlink()
    assert read(tmp_path).notes["pictures that the JSON lists and that aren't there"] == 1


def test_coco_roboflows_group_is_no_class(tmp_path):
    value = fabricate.coco(tmp_path)
    group = {"id": 0, "name": "pet", "supercategory": "none"}
    rewrite(tmp_path / COCO, categories=[group, *value["categories"]])
    found = read(tmp_path)
    assert [row.name for row in found.rows] == ["background", "cat", "dog"]
    assert found.notes["category 'pet', a group without annotations, left out"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"category_id": 5}, r"annotations\[0\]: the category 5 is not among the categories"),
        ({"image_id": "x"}, r"annotations\[0\]: 'image_id' must be a whole number, it is 'x'"),
        ({"segmentation": [[1, 2, 3]]}, r"annotations\[0\]: a list of 3 are no points"),
        ({"segmentation": [["a", "b"]]}, r"are no points"),
        ({"segmentation": [[1, 2, 30, 40]]}, r"annotations\[0\]: a polygon of 2 points; correct"),
        ({"segmentation": [[1, 2, 3, 1e300, 5, 6]]}, "holds a point that lies nowhere"),
        ({"segmentation": [{"x": 1}]}, "no points"),
        (
            {"segmentation": {"size": [9, 9], "counts": [81]}},
            r"another size than its .* \[12, 16\]",
        ),
        ({"segmentation": {"size": [12, 16], "counts": [81]}}, r"runs add up to 81 pixels"),
        ({"segmentation": {"size": [12, 16], "counts": 3}}, r"'counts' must be a text or a list"),
        ({"segmentation": {"size": [12, 16], "counts": [10**30]}}, r"runs add up to 1000"),
    ],
)
def test_coco_hostile_annotations(changes, said, tmp_path):
    value = fabricate.coco(tmp_path)
    first, *others = value["annotations"]
    rewrite(tmp_path / COCO, annotations=[first | changes, *others])
    with pytest.raises(DataError, match=said) as error:
        drawn(read(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("camera", ["", "front/"])
def test_coco_takes_no_picture_of_another_recording(camera, tmp_path):
    value = fabricate.coco(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "images").rename(tmp_path / "one" / camera)
    for image, folder in zip(value["images"], ("one", "two", "two"), strict=True):
        name = f"{folder}/{camera}a.jpg" if image["id"] < 20 else "/gone/of/mine/c.jpg"
        image["file_name"] = name
    rewrite(tmp_path / COCO, images=value["images"])
    found = read(tmp_path)
    assert [example.picture.name for example in found.examples] == ["a.jpg", "c.jpg"]
    assert found.notes["pictures that the JSON lists and that aren't there"] == 1


@pytest.mark.parametrize("where", ["category_id", "supercategory"])
def test_coco_values_of_a_wrong_kind_are_one_clear_line(where, tmp_path):
    value = fabricate.coco(tmp_path)
    value["annotations" if where == "category_id" else "categories"][0][where] = ["pet"]
    rewrite(tmp_path / COCO, **value)
    if where == "supercategory":  # which is nobody's class
        assert len(drawn(read(tmp_path))[0]) == 3
    else:
        with pytest.raises(DataError, match="'category_id' must be a whole number"):
            drawn(read(tmp_path))


def test_coco_two_claims(tmp_path):
    value = fabricate.coco(tmp_path)
    images = value["images"]
    rewrite(tmp_path / COCO, images=[images[0], images[1] | {"id": 0}, images[2]])
    with pytest.raises(DataError, match=r"two pictures lay claim to the id 0, and so to one label"):
        read(tmp_path)
    rewrite(tmp_path / COCO, images=[images[0], images[1] | {"file_name": "a.jpg"}, images[2]])
    with pytest.raises(DataError, match=r"images\[1\] and .*images\[0\] both lay claim"):
        read(tmp_path)
    rewrite(tmp_path / COCO, images=images)
    fabricate_labels.write_image(tmp_path / "other/a.jpg", 9, 12, 16)
    with pytest.raises(
        DataError, match=r"two pictures lay claim to it, .*images/a.jpg and .*other/"
    ):
        read(tmp_path)
    # A folder in file_name decides.
    rewrite(tmp_path / COCO, images=[images[0] | {"file_name": "/x/other/a.jpg"}, *images[1:]])
    assert str(read(tmp_path).examples[0].picture).endswith("other/a.jpg")


BOX = {"bbox": [0, 0, 9, 9]}


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        (
            annotation(0, 17, [], **BOX),
            "annotations without a mask (boxes, key points), passed over",
        ),
        (annotation(0, 17, [(50, 50), (60, 50), (60, 60)]), NO_PIXEL),
        (annotation(0, 17, []) | {"segmentation": {"size": [12, 16], "counts": [192]}}, NO_PIXEL),
    ],
)
def test_coco_pictures_with_nothing_that_has_an_area(shape, note, tmp_path):
    value = fabricate.coco(tmp_path)
    others = [a for a in value["annotations"] if a["image_id"] != 0]
    rewrite(tmp_path / COCO, annotations=[shape, *others])
    found = read(tmp_path)
    labels, notes = drawn(found)
    assert labels["a.jpg"] is None
    assert labels["b.jpg"].max() == 2
    assert notes == {note: 1}
    assert found.notes.first[note].endswith("annotations[0]")
    assert drawn(read(tmp_path, keep_empty=True))[0]["a.jpg"].max() == 0


@pytest.mark.parametrize(("disk", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_coco_names_with_accents_spelt_in_two_ways(disk, said, tmp_path):
    value = fabricate.coco(tmp_path)
    name = unicodedata.normalize(disk, "K\u00d6ln")
    (tmp_path / "images/a.jpg").rename(tmp_path / f"images/{name}.jpg")
    file_name = unicodedata.normalize(said, "k\u00f6ln.jpg")
    rewrite(tmp_path / COCO, images=[value["images"][0] | {"file_name": file_name}])
    assert len(read(tmp_path).examples) == 1


def test_coco_folders_behind_links(tmp_path):
    fabricate.coco(tmp_path / "source")
    (tmp_path / "source/images").rename(tmp_path / "pool")
    (tmp_path / "source/images").symlink_to(tmp_path / "pool")
    (tmp_path / "source/again").symlink_to(tmp_path / "source")
    (tmp_path / "source/gone").symlink_to(tmp_path / "nowhere")
    labels, notes = drawn(read(tmp_path / "source"))
    assert sorted(labels) == ["a.jpg", "b.jpg", "c.jpg"]
    assert notes == {
        "x link that leads nowhere, passed over": 1,
        "x link that leads back to a folder above it, passed over": 1,
    }


# LabelMe


def test_labelme_shapes_of_all_kinds(tmp_path):
    fabricate.labelme(tmp_path)
    corners = [[3, 2], [9, 6]]
    image = fabricate.png((np.arange(6) > 1)[None].repeat(4, 0).astype(np.uint8) * 255)
    shapes = [
        {"label": "cat", "points": corners, "shape_type": "rectangle", "group_id": 1},
        {"label": "dog", "points": corners, "shape_type": "mask", "mask": image, "group_id": 1},
        {"label": "cat", "points": [[14, 10], [14, 11.2]], "shape_type": "circle"},
        {"label": "line", "points": corners, "shape_type": "line"},
        {"label": "__ignore__", "points": [[0, 0], [2, 0], [2, 1], [0, 1]]},
    ]
    rewrite(tmp_path / "a.json", shapes=shapes)
    found = read(tmp_path)
    labels, notes = drawn(found)
    # Later shapes on earlier ones; the circle of radius 1.2 holds four centres.
    assert dict(zip(*np.unique(labels["a.jpg"], return_counts=True), strict=True)) == {
        0: 192 - 30, 1: 8 + 4, 2: 16, 255: 2,
    }  # fmt: skip
    assert notes == {
        "points and lines, which have no area, passed over": 1,
        "pixels claimed by two classes; the later shape has them": 16,
    }
    assert [row.name for row in found.rows] == ["background", "cat", "dog"]


@pytest.mark.parametrize(
    "path", ["C:\\Users\\me\\a.jpg", "..\\pictures\\a.jpg", "/home/me/a.jpg", "gone.jpg", ""]
)
def test_labelme_pictures_by_paths_of_other_machines(path, tmp_path):
    fabricate.labelme(tmp_path)
    rewrite(tmp_path / "a.json", imagePath=path)
    assert drawn(read(tmp_path))[0]["a.jpg"].sum() == 24


def test_labelme_opens_nothing_outside(tmp_path):
    fabricate.labelme(tmp_path / "source")
    fabricate_labels.write_image(tmp_path / "secret.jpg", 5, 12, 16)
    rewrite(tmp_path / "source/a.json", imagePath=str(tmp_path / "secret.jpg"))
    (tmp_path / "source/a.jpg").unlink()
    found = read(tmp_path / "source")
    assert [example.picture.name for example in found.examples] == ["b.jpg", "c.jpg"]
    assert found.notes["JSON files whose picture isn't there and isn't embedded"] == 1


def test_labelme_paths_that_lead_to_a_picture_beside_other_files(tmp_path):
    """As where the folder for new files was changed midway: some JSONs lie by the pictures."""
    fabricate.labelme(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    rewrite(tmp_path / "images/a.json", imagePath="../images/a.jpg")
    (tmp_path / "images/a.json").rename(tmp_path / "labels/a.json")
    found = read(tmp_path)
    assert sorted(e.picture.name for e in found.examples) == ["a.jpg", "b.jpg", "c.jpg"]


def test_labelme_files_renamed_with_their_pictures(tmp_path):
    """The name that the JSON still has is a picture's of another recording."""
    for recording in ("one", "two"):
        fabricate.labelme(tmp_path / recording)
    for ending in ("jpg", "json"):
        (tmp_path / f"one/a.{ending}").rename(tmp_path / f"one/first.{ending}")
    pictures = {pathlib.Path(e.label).name: e.picture for e in read(tmp_path).examples}
    assert pictures["first.json"] == tmp_path / "one/first.jpg"


def test_labelme_embedded_pictures(tmp_path):
    fabricate.labelme(tmp_path / "source")
    picture = np.full((12, 16, 3), 90, np.uint8)
    (tmp_path / "source/a.jpg").unlink()
    rewrite(tmp_path / "source/a.json", imageData=fabricate.png(picture))
    counts = write(read(tmp_path / "source"), tmp_path / "out")
    assert counts.pixels == [488, 48, 40, 0]
    assert (np.asarray(Image.open(tmp_path / "out/images/a.png")) == 90).all()
    rewrite(tmp_path / "source/a.json", imageData="no base64!")
    with pytest.raises(DataError, match=r"a\.json: 'imageData' is no base64"):
        read(tmp_path / "source")


def test_labelme_frames_of_two_recordings_with_the_same_names(tmp_path):
    for recording, grey in (("one", 50), ("two", 200)):
        fabricate.labelme(tmp_path / f"source/{recording}")
        picture = np.full((12, 16, 3), grey, np.uint8)
        rewrite(tmp_path / f"source/{recording}/a.json", imageData=fabricate.png(picture))
    (tmp_path / "source/two/a.jpg").unlink()
    (tmp_path / "source/two/b.jpg").unlink()
    found = read(tmp_path / "source")
    assert found.notes["JSON files whose picture isn't there and isn't embedded"] == 1
    write(found, tmp_path / "out")
    assert (np.asarray(Image.open(tmp_path / "out/images/two/a.png")) == 200).all()
    assert not list((tmp_path / "out/images/two").glob("b.*"))


def test_labelme_rectangles_of_two_and_of_four_corners(tmp_path):
    fabricate.labelme(tmp_path)
    for name, corners in (("a", [0, 2]), ("b", [0, 1, 2, 3])):
        points = [fabricate.polygon("cat")[i] for i in corners]
        shape = {"label": "cat", "points": points, "shape_type": "rectangle"}
        rewrite(tmp_path / f"{name}.json", shapes=[shape])
    labels = drawn(read(tmp_path))[0]
    np.testing.assert_array_equal(labels["a.jpg"], labels["b.jpg"])
    assert labels["a.jpg"].sum() == 24


def test_labelme_empty_files_and_duplicates(tmp_path):
    fabricate.labelme(tmp_path)
    rewrite(tmp_path / "a.json", shapes=[])
    assert len(read(tmp_path).examples) == 2
    assert len(read(tmp_path, keep_empty=True).examples) == 3
    rewrite(tmp_path / "b.json", imagePath="a.jpg")
    with pytest.raises(
        DataError, match=r"b\.json and .*a\.json both lay claim to the picture .*a\.j"
    ):
        read(tmp_path, keep_empty=True)


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ({"shape_type": "linestrip"}, "points and lines, which have no area, passed over"),
        ({"points": [[100, 100], [200, 100], [200, 200]]}, NO_PIXEL),
    ],
)
def test_labelme_pictures_with_nothing_that_has_an_area(shape, note, tmp_path):
    fabricate.labelme(tmp_path)
    usual = {"label": "cat", "points": fabricate.polygon("cat")}
    rewrite(tmp_path / "a.json", shapes=[usual | shape])
    found = read(tmp_path)
    labels, notes = drawn(found)
    assert labels["a.jpg"] is None
    assert notes == {note: 1}
    assert found.notes.first[note].endswith("a.json: shapes[0]")
    assert drawn(read(tmp_path, keep_empty=True))[0]["a.jpg"].max() == 0
    counts = write(read(tmp_path), tmp_path / "out")
    assert counts.pictures == 2
    assert counts.notes[NOT_ANNOTATED] == 1


def test_names_of_pictures_are_no_splits(tmp_path):
    fabricate.labelme(tmp_path / "source")
    fabricate.masks(tmp_path / "masks")
    for name in ("train_crossing", "val_thorens"):
        fabricate_labels.write_image(tmp_path / f"source/{name}.jpg", 0, 12, 16)
        value = fabricate.labelme_file(name, ("cat",))
        fabricate.write_json(tmp_path / f"source/{name}.json", value)
        fabricate_labels.write_image(tmp_path / f"masks/images/{name}.jpg", 0, 12, 16)
        fabricate_labels.write_label(tmp_path / f"masks/masks/{name}.png", fabricate.ids(("cat",)))
    for folder in ("source", "masks"):
        examples = read(tmp_path / folder).examples
        assert [example.split for example in examples] == [""] * 5
    picture, root = pathlib.Path("here/images/a.jpg"), pathlib.Path("here")
    assert split_of(picture, [root], pathlib.Path("instances_val2017.json")) == "val"


@pytest.mark.parametrize("above", ["project", "test", "val/project"])
def test_folders_above_the_source_are_no_splits(above, tmp_path):
    root = tmp_path / above
    value = fabricate.coco(root)
    (root / COCO).unlink()
    for split, own in (("train", value["images"][:2]), ("val", value["images"][2:])):
        mine = [a for a in value["annotations"] if a["image_id"] in {i["id"] for i in own}]
        fabricate.write_json(root / f"{split}.json", value | {"images": own, "annotations": mine})
    assert [example.split for example in read(root).examples] == ["train", "train", "val"]
    write(read(root), tmp_path / "out")
    assert (tmp_path / "out/val.txt").read_text() == "deep/c\n"


def test_json_of_another_kind_is_told(tmp_path):
    fabricate.labelme(tmp_path)
    fabricate.write_json(tmp_path / "notes.json", {})
    fabricate.write_json(tmp_path / "via.json", {"_via_img_metadata": {}})
    _, notes = drawn(read(tmp_path))
    assert notes == {
        "JSON files passed over: of no known kind": 1,
        "JSON files passed over: VGG Image Annotator's project; export annotations as COCO": 1,
    }


def test_labelme_classes_by_a_list(tmp_path):
    fabricate.labelme(tmp_path / "source")
    (tmp_path / "names.txt").write_text("__ignore__\n_background_\ndog\ncow\ncat\n")
    found = read(tmp_path / "source", classes=tmp_path / "names.txt")
    assert [row.name for row in found.rows] == ["_background_", "dog", "cow", "cat"]
    assert drawn(found)[0]["a.jpg"].max() == 3
    (tmp_path / "names.txt").write_text("cats\ndog\n")
    with pytest.raises(DataError, match=r"lacks the class 'cat', which .*; did you mean 'cats'"):
        read(tmp_path / "source", classes=tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"shape_type": "spline"}, "the shape_type 'spline' is not known"),
        ({"points": [[1, 2], [3, 4]]}, "a polygon of 2 points"),
        ({"points": [[1, 2]], "shape_type": "circle"}, "a circle has 2 points, this one 1"),
        ({"points": "x"}, "'points' must be a list, it is 'x'"),
        ({"points": [[[[1]]]]}, "are no points"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "AAAA"}, "can't be decoded"),
        ({"label": 7}, "'label' must be a text, it is 7"),
    ],
)
def test_labelme_hostile_shapes(shape, said, tmp_path):
    fabricate.labelme(tmp_path)
    usual = {"label": "cat", "points": fabricate.polygon("cat")}
    rewrite(tmp_path / "a.json", shapes=[usual | shape])
    with pytest.raises(DataError, match=said) as error:
        drawn(read(tmp_path))
    assert "a.json: shapes[0]" in str(error.value)


# Label Studio


def test_label_studio_two_annotators(tmp_path):
    tasks = fabricate.label_studio(tmp_path)
    second = {"id": 9, "result": [], "was_cancelled": False}
    tasks[0]["annotations"].append(second)
    fabricate.write_json(tmp_path / "project.json", tasks)
    with pytest.raises(DataError, match=r"\[0\]: 2 annotations lay claim to one picture; mark one"):
        read(tmp_path)
    second["was_cancelled"] = True
    fabricate.write_json(tmp_path / "project.json", tasks)
    assert len(read(tmp_path).examples) == 3
    second["was_cancelled"] = False
    tasks[0]["annotations"][0]["ground_truth"] = True
    tasks[1]["annotations"] = []
    fabricate.write_json(tmp_path / "project.json", tasks)
    found = read(tmp_path)
    assert len(found.examples) == 2
    assert found.notes["tasks without an annotation, left out"] == 1


CORNERS = {"points": [[10, 10], [50, 10], [50, 50]]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (
            "rectanglelabels",
            {"x": 1, "y": 1, "width": 20, "height": 20, "rectanglelabels": ["cat"]},
        ),
        ("polygon", CORNERS),
        ("polygonlabels", {"points": [[200, 0], [300, 0], [300, 9]], "polygonlabels": ["cat"]}),
    ],
)
def test_label_studio_pictures_with_nothing_that_has_an_area(kind, value, tmp_path):
    tasks = fabricate.label_studio(tmp_path)
    tasks[0]["annotations"][0]["result"][0].update(type=kind, value=value)
    fabricate.write_json(tmp_path / "project.json", tasks)
    labels, notes = drawn(read(tmp_path))
    assert labels["a.jpg"] is None
    assert labels["b.jpg"].max() == 2
    other = "regions of other tags than BrushLabels and PolygonLabels, passed over"
    assert notes == {NO_PIXEL if kind == "polygonlabels" else other: 1}
    assert drawn(read(tmp_path, keep_empty=True))[0]["a.jpg"].max() == 0


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=pictures/a.jpg",
        "s3://bucket/pictures/a.jpg",
        "http://host/data/upload/1/0a1b2c3d-a.jpg",
        "C:\\pictures\\a.jpg",
        "/data/upload/3/a.jpg?x=1",
    ],
)
def test_label_studio_addresses_of_pictures(image, tmp_path):
    tasks = fabricate.label_studio(tmp_path)
    tasks[0]["data"] = {"caption": "a cat", "image": image}
    fabricate.write_json(tmp_path / "project.json", tasks)
    assert drawn(read(tmp_path))[0]["a.jpg"].sum() == 24


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_rotation": 90}, "was drawn on a rotated picture"),
        ({"original_width": 17}, "the label is of a picture of 17x12"),
        ({"original_width": None}, "lacks original_width and original_height"),
        ({"value": {"rle": [1, 2], "brushlabels": ["cat"]}}, "its brush ends early"),
        ({"value": {"rle": "x", "brushlabels": ["cat"]}}, "'rle' must be a list"),
        ({"value": {"rle": [1], "brushlabels": ["cat", "dog"]}}, "a region needs one label"),
        (
            {
                "type": "polygonlabels",
                "value": {"points": [[1, 2], [3, 4]], "polygonlabels": ["cat"]},
            },
            "a polygon of 2 points",
        ),
    ],
)
def test_label_studio_hostile_regions(change, said, tmp_path):
    tasks = fabricate.label_studio(tmp_path)
    tasks[0]["annotations"][0]["result"][0].update(change)
    fabricate.write_json(tmp_path / "project.json", tasks)
    with pytest.raises(DataError, match=said):
        drawn(read(tmp_path))


def test_label_studio_takes_no_picture_of_another_recording(tmp_path):
    tasks = fabricate.label_studio(tmp_path)
    tasks[0]["data"] = {"image": "/data/local-files/?d=day1/a.jpg"}
    tasks[1]["data"] = {"image": "/data/local-files/?d=day2/a.jpg"}
    fabricate.write_json(tmp_path / "project.json", tasks)
    (tmp_path / "day1").mkdir()
    (tmp_path / "a.jpg").rename(tmp_path / "day1/a.jpg")
    found = read(tmp_path)
    assert [example.picture.name for example in found.examples] == ["a.jpg", "c.jpg"]
    assert found.notes["tasks whose picture isn't there"] == 1


# Folders of masks


def test_cvat_in_a_palette_and_in_grey(tmp_path):
    fabricate.cvat(tmp_path)
    before = drawn(read(tmp_path))[0]
    path = tmp_path / "SegmentationClass/a.png"
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(path)
    fabricate_labels.write_label(
        tmp_path / "SegmentationClass/b.png", fabricate.ids(("cat", "dog"))
    )
    after = drawn(read(tmp_path))[0]
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


def test_cvat_saved_without_pictures(tmp_path):
    fabricate.cvat(tmp_path / "source")
    (tmp_path / "source/JPEGImages").rename(tmp_path / "mine")
    assert not read(tmp_path / "source").examples
    assert len(read(tmp_path / "source", images=tmp_path / "mine").examples) == 3


def test_cvat_an_unknown_colour(tmp_path):
    fabricate.cvat(tmp_path)
    path = tmp_path / "SegmentationClass/a.png"
    fabricate_labels.write_label(path, np.full((12, 16, 3), (1, 2, 3), np.uint8))
    with pytest.raises(
        DataError, match=r"a\.png: 192 pixels have a colour .* lacks, the first \(1, 2"
    ):
        drawn(read(tmp_path))


def test_voc_masks_as_jpeg_and_pictures_without_a_mask(tmp_path):
    fabricate.cvat(tmp_path)
    (tmp_path / "SegmentationClass/b.png").unlink()
    labels, notes = drawn(read(tmp_path))
    assert sorted(labels) == ["a.jpg", "c.jpg"]
    assert notes == {"pictures without a mask": 1}
    fabricate_labels.write_image(tmp_path / "SegmentationClass/b.jpg", 0, 12, 16)
    with pytest.raises(DataError, match=r"Class/b\.jpg: only \.png, .* keep the values of masks"):
        read(tmp_path)


def test_voc_by_the_class_list_beside_it(tmp_path):
    fabricate.voc(tmp_path)
    root = tmp_path / "VOCdevkit/VOC2012"
    for path in (root / "SegmentationClass").rglob("*.png"):
        label = np.asarray(Image.open(path))
        fabricate.write_voc(path, np.select([label == 8, label == 12], [1, 2]).astype(np.uint8))
    assert read(tmp_path).rows[1].name == "aeroplane"
    assert read(tmp_path).notes[voc.NO_LIST] == 1
    (root / "class_names.txt").write_text("_background_\ncat\ndog\n")
    (root / "classes.txt").write_text("_background_\ncat\ndog\n")
    counts = write(read(tmp_path), tmp_path / "out")
    assert dict(zip(counts.table.classes, counts.pixels[:-1], strict=True)) == fabricate.PIXELS
    (root / "classes.txt").write_text("_background_\ndog\ncat\n")
    with pytest.raises(DataError, match=r"class_names\.txt are both class lists; give one by"):
        read(tmp_path)


def test_a_list_of_objects_alone_is_no_list_of_voc_masks(tmp_path):
    """As labelImg writes: read as it is, background would be a cat."""
    fabricate.voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match="gives 'cat' the id 0, which is background"):
        read(tmp_path)


def test_voc_names_with_accents_spelt_in_two_ways(tmp_path):
    fabricate.cvat(tmp_path)
    one, two = (unicodedata.normalize(way, "K\u00f6ln") for way in ("NFC", "NFD"))
    (tmp_path / "JPEGImages/a.jpg").rename(tmp_path / f"JPEGImages/{one}.jpg")
    (tmp_path / "SegmentationClass/a.png").rename(tmp_path / f"SegmentationClass/{two}.png")
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text(f"{one}\n", encoding="utf-8")
    assert [example.split for example in read(tmp_path).examples] == ["train", "", ""]


@pytest.mark.parametrize("beside", [False, True])
def test_masks_with_accents_spelt_in_two_ways(beside, tmp_path):
    one, two = (unicodedata.normalize(way, "K\u00f6ln") for way in ("NFC", "NFD"))
    picture, mask = ("", "_mask") if beside else ("images/", "")
    fabricate_labels.write_image(tmp_path / f"{picture}{two}.jpg", 0, 12, 16)
    path = tmp_path / (f"{one}{mask}.png" if beside else f"masks/{one}.png")
    fabricate_labels.write_label(path, fabricate.ids(("cat",)))
    assert len(read(tmp_path).examples) == 1


def test_masks_by_a_list_with_ids(tmp_path):
    fabricate.masks(tmp_path)
    (tmp_path / "classes.txt").write_text("0 background\n2 dog\n1 cat\n")
    counts = write(read(tmp_path), tmp_path / "out")
    assert dict(zip(counts.table.classes, counts.pixels[:-1], strict=True)) == fabricate.PIXELS
    (tmp_path / "classes.txt").write_text("1 cat\n2 dog\n")
    with pytest.raises(DataError, match=r"a\.png: has the values 0, which the 2 classes lack"):
        drawn(read(tmp_path))


def test_masks_of_two_values_by_a_list_with_ids(tmp_path):
    fabricate.masks(tmp_path, "binary")
    (tmp_path / "classes.txt").write_text("255 crack\n0 wall\n")
    assert [row.name for row in read(tmp_path).rows] == ["wall", "crack"]


def test_masks_in_grey_that_were_smoothed(tmp_path):
    fabricate.masks(tmp_path)
    smooth = np.linspace(0, 255, 64).reshape(4, 16).repeat(3, 0).astype(np.uint8)
    fabricate_labels.write_label(tmp_path / "masks/a.png", smooth)
    said = (
        r"a\.png: masks up to this one have 62 values between 0 and 255; .*: export them as 0 and"
    )
    with pytest.raises(DataError, match=said):
        read(tmp_path)
    # So many classes with 255 for ignored are true, and so is what a list says.
    many = np.arange(192).reshape(12, 16).astype(np.uint8)
    many[0, 0] = 255
    fabricate_labels.write_label(tmp_path / "masks/a.png", many)
    assert len(read(tmp_path).rows) == 192
    fabricate_labels.write_label(tmp_path / "masks/a.png", smooth)
    (tmp_path / "classes.txt").write_text("\n".join(f"kind{i}" for i in range(255)))
    assert len(read(tmp_path).rows) == 255


def test_roboflow_behind_a_link(tmp_path):
    fabricate.roboflow(tmp_path / "export")
    (tmp_path / "source").mkdir()
    for name in ("train", "valid"):
        (tmp_path / "source" / name).symlink_to(tmp_path / "export" / name)
    found = read(tmp_path / "source")
    assert found.format == "Roboflow masks"
    assert [example.split for example in found.examples] == ["train", "train", "val"]


def test_masks_beside_pictures_and_claims(tmp_path):
    for name, names in LABELS.items():
        fabricate_labels.write_image(tmp_path / name, 0, 12, 16)
        mask = tmp_path / name.replace(".jpg", "_mask.png")
        fabricate_labels.write_label(mask, fabricate.ids(names))
    labels, notes = drawn(read(tmp_path))
    assert sorted(labels) == ["a.jpg", "b.jpg", "c.jpg"]
    assert notes == {masks.NO_NAMES: 1}
    fabricate_labels.write_image(tmp_path / "a.png", 0, 12, 16)
    with pytest.raises(
        DataError, match=r"two pictures, .*a\.jpg and .*a\.png, lay claim to the label"
    ):
        read(tmp_path)
    (tmp_path / "a.png").unlink()
    fabricate_labels.write_label(tmp_path / "a_label.png", fabricate.ids(()))
    with pytest.raises(DataError, match=r"two labels, .*a_label\.png and .*a_mask\.png, lay claim"):
        read(tmp_path)


def test_masks_left_over_are_counted(tmp_path):
    fabricate.masks(tmp_path)
    (tmp_path / "images/a.jpg").unlink()
    (tmp_path / "masks/b.png").unlink()
    (tmp_path / "classes.txt").write_text("background\ncat\ndog\n")
    labels, notes = drawn(read(tmp_path))
    assert list(labels) == ["c.jpg"]
    assert notes == {"masks without a picture": 1, "pictures without a mask": 1}


def test_masks_with_a_value_that_the_list_lacks(tmp_path):
    fabricate.masks(tmp_path)
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    with pytest.raises(DataError, match=r"b\.png: has the values 2, which the 2 classes lack"):
        drawn(read(tmp_path))


def test_masks_that_were_smoothed_or_are_jpeg(tmp_path):
    fabricate.masks(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    for name in ("a", "b"):
        fabricate_labels.write_label(tmp_path / f"masks/{name}.png", noise + np.uint8(ord(name)))
    with pytest.raises(
        DataError, match="colours, more than classes can be; they may be photographs"
    ):
        read(tmp_path)
    (tmp_path / "masks/a.png").rename(tmp_path / "masks/a.jpg")
    with pytest.raises(DataError, match=r"masks/a\.jpg: only \.png, .* keep the values of masks"):
        read(tmp_path)


def test_masks_in_colour_and_grey(tmp_path):
    fabricate.masks(tmp_path, "colours")
    rows = [f"{n} {r} {g} {b}" for n, (r, g, b) in fabricate.COLOURS.items()]
    (tmp_path / "classes.txt").write_text("\n".join(rows))
    fabricate_labels.write_label(tmp_path / "masks/a.png", fabricate.ids(("dog",)))
    with pytest.raises(
        DataError, match=r"b\.png is in colour and .*a\.png is grey; export them al"
    ):
        read(tmp_path)


def test_masks_of_grey_colours_keep_to_the_list(tmp_path):
    # Channels that are equal, as in CamVid's sky, are colours where the class list has them.
    fabricate.masks(tmp_path)
    colours = np.array([(128, 128, 128), (0, 0, 0), (9, 8, 7)], np.uint8)
    for name, names in fabricate.PICTURES.items():
        fabricate_labels.write_label(tmp_path / f"masks/{name}.png", colours[fabricate.ids(names)])
    (tmp_path / "classes.txt").write_text("cat 0 0 0\ndog 9 8 7\nsky 128 128 128\n")
    labels, _ = drawn(read(tmp_path))
    assert np.bincount(labels["a.jpg"].ravel()).tolist() == [24, 0, 168]


def test_roboflow_lists_that_differ(tmp_path):
    fabricate.roboflow(tmp_path)
    (tmp_path / "valid/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, dog\n")
    with pytest.raises(DataError, match=r"valid/_classes\.csv and .*train/_classes\.csv differ"):
        read(tmp_path)


# JSON of strangers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("{", "is no JSON"),
        ("", "is no JSON"),
        ("9" * 5000, "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        ("[]", "holds no annotations that are known"),
        ("null", "holds no annotations that are known"),
        ('{"shapes": {}}', "holds no annotations that are known"),
        ('{"shapes": [3]}', r"shapes\[0\]: 3 is no object with 'label'"),
        ('{"images": [1], "annotations": [], "categories": []}', r"images\[0\]: 1 is no object"),
        ('{"images": [], "annotations": [], "categories": [{}]}', r"'id' must be a whole number"),
        (
            '{"images": [], "annotations": ["x"], "categories": []}',
            r"annotations\[0\]: 'x' is no ob",
        ),
        (
            '[{"data": [], "annotations": {}}]',
            r"'annotations' must be a list, it is an object of 0",
        ),
    ],
)
def test_hostile_json_is_one_clear_line(text, said, tmp_path):
    path = tmp_path / "labels.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=said) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_json_that_is_too_large(tmp_path, monkeypatch):
    fabricate.labelme(tmp_path)
    monkeypatch.setattr("geoseg_jax.data.annotations.untrusted._MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"a\.json: \d+ bytes of JSON are more than"):
        read(tmp_path)
