"""What is written: names, orientation, splits, classes, and nothing outside of --out."""

import io

import cv2
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image, ImageOps

from geoseg_jax.data import pictures
from geoseg_jax.data.annotations.class_lists import make_table, read_classes
from geoseg_jax.data.annotations.found import Asked, Example, Found, Frame, Notes, Row, upright
from geoseg_jax.data.annotations.overlays import overlay
from geoseg_jax.data.annotations.places import safe_name
from geoseg_jax.data.annotations.recognise import read
from geoseg_jax.data.annotations.write import NO_SPLIT, write
from geoseg_jax.data.labels import folder
from geoseg_jax.data.labels.class_list import read_class_list
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate_annotations as fabricate

ROWS = [Row(0, "background"), Row(1, "cat")]


def png(height=4, width=6):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(buffer, "PNG")
    return buffer.getvalue()


def found(names, rows=ROWS, picture=None):
    def ids(frame):
        return np.ones(frame.size, np.uint8)

    examples = [Example(picture or png(), name, ids, f"{name}.json") for name in names]
    return Found("tests", rows, examples, Notes())


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\a b.c", "C_/Users/me/a b.c"),
        ("..\\..\\x", "x"),
        ("a/./../b", "a/b"),
        (".hidden", "_hidden"),
        ("new\nline\x00#", "new_line__"),
        ("straße/ä_1", "straße/ä_1"),
        ("..", "_"),
        ("", "_"),
        ("x" * 400, "x" * 180),
        ("Ko\u0308ln", "K\u00f6ln"),
    ],
)
def test_names_stay_where_they_are_put(name, safe):
    assert safe_name(name) == safe


def test_hostile_names_never_leave_the_folder(tmp_path):
    names = ["../../../evil.png", "/elsewhere/evil2.png", "ok/\x00bad\n.png", "..\\up.png"]
    out = tmp_path / "deep" / "out"
    write(found(names), out, overlays=9)
    written = {p.relative_to(tmp_path).parts[:2] for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {("deep", "out")}
    assert len(list((out / "labels").rglob("*.png"))) == 4


def test_two_pictures_of_one_name(tmp_path):
    with pytest.raises(DataError, match=r"two pictures, x/a\.jpg and x/A\.png, lay claim"):
        write(found(["x/a.jpg", "x/A.png"]), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_copies_are_told(tmp_path):
    counts = write(found(["a.png", "b.png"]), tmp_path / "out")
    assert dict(counts.notes) == {"pictures copy another, as b does a: no split may part them": 1}


def test_classes_that_a_list_can_hold(tmp_path):
    rows = [Row(0, "_background_"), Row(1, "car, red #2"), Row(2, "3 wheels 4 5 6"), Row(3, "void")]
    table = make_table(rows, False, "tests")
    assert table.classes == ("background", "car red 2", "3 wheels 4 5 6")
    write(found(["a.png"], rows), tmp_path / "out")
    again = read_class_list(tmp_path / "out/classes.txt")
    assert (again.classes, again.palette) == (table.classes, table.palette)
    with pytest.raises(DataError, match="the name 'a b' occurs twice"):
        make_table([Row(0, "a b"), Row(1, "a,b")], False, "tests")
    with pytest.raises(DataError, match="ids go from 0 to 254"):
        make_table([Row(i, str(i)) for i in range(300)], False, "tests")


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("classes.txt", "cat\ndog # a pet\n\n", [(0, "cat", None), (1, "dog", None)]),
        ("a.txt", "cat 1 2 3\nvoid 0 0 0\n", [(0, "cat", (1, 2, 3)), (1, "void", (0, 0, 0))]),
        ("class_dict.csv", "name,r,g,b\ncat,1,2,3\n", [(0, "cat", (1, 2, 3))]),
        ("x.csv", "Pixel Value, Class\n0, cat\n7, a, b\n", [(0, "cat", None), (7, "a, b", None)]),
        ("labelmap.txt", "# label:color_rgb:parts:actions\ncat:1,2,3::\n", [(0, "cat", (1, 2, 3))]),
        ("labelmap.txt", "cat #1:1,2,3::\n", [(0, "cat #1", (1, 2, 3))]),
        ("classes.txt", "cat#1\n#no\ndog #2\n", [(0, "cat#1", None), (1, "dog", None)]),
        ("a.txt", "1 cat\n2 big dog\n", [(1, "cat", None), (2, "big dog", None)]),
        ("a.txt", "1: cat\n2: dog\n", [(1, "cat", None), (2, "dog", None)]),
        ("a.txt", "1. cat\n2. dog\n", [(1, "cat", None), (2, "dog", None)]),
        ("a.txt", "1, cat\n", [(1, "cat", None)]),
        ("a.csv", "id,name\n1,cat\n0,dog\n", [(1, "cat", None), (0, "dog", None)]),
        ("a.csv", '"class_id";"class"\n"4";"cat"\n', [(4, "cat", None)]),
        ("a.csv", "name\ncat\ndog\n", [(0, "cat", None), (1, "dog", None)]),
        ("a.csv", '"Class"\n"cat"\n', [(0, "cat", None)]),
        ("a.txt", "name\n", [(0, "name", None)]),
        ("a.txt", "cat\n2 wheeler\n", [(0, "cat", None), (1, "2 wheeler", None)]),
        ("a.txt", "cat 2\ndog\n", [(0, "cat 2", None), (1, "dog", None)]),
        ("a.txt", "0\n1\n", [(0, "0", None), (1, "1", None)]),
        ("a.txt", "cat 1\n", [(0, "cat 1", None)]),
    ],
)  # fmt: skip
def test_class_lists(name, text, rows, tmp_path):
    (tmp_path / name).write_text(text)
    assert [tuple(row) for row in read_classes(tmp_path / name)] == rows


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("classes.txt", "# nothing\n", "the class list is empty"),
        ("labelmap.txt", "cat\n", "'cat' is not `name:r,g,b:parts:actions`"),
        ("labelmap.txt", "cat:1,2,300::\n", "is not `name:r,g,b"),
        ("labelmap.txt", "# nothing\n", "the class list is empty"),
        ("a.txt", "cat,1\ndog,2\n", "may be ids, as 'dog,2'; begin each with its id, as `0"),
        ("a.csv", "name,id\ncat,1\ndog,2\n", "may be ids, as 'dog,2'"),
        ("a.csv", "Nummer;Art\n1;cat\n2;dog\n", "may be ids, as '2;dog'"),
        ("a.txt", b"c\xe4t\n", "it is no text in UTF-8"),
        ("_classes.csv", "Pixel Value, Class\nx, cat\n", "'x, cat' is not `Pixel Value, Class`"),
        ("_classes.csv", f"Pixel Value, Class\n{'9' * 5000}, cat\n", "is not `Pixel Value, Class`"),
    ],
)
def test_bad_class_lists(name, text, said, tmp_path):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=said):
        read_classes(tmp_path / name)


def test_class_lists_in_utf_16(tmp_path):
    for name, text in (("classes.txt", "cat\r\ndog\r\n"), ("labelmap.txt", "cat:1,2,3::\r\n")):
        (tmp_path / name).write_bytes(text.encode("utf-16"))
        assert read_classes(tmp_path / name)[0].name == "cat"


def test_half_a_letter_in_the_name_of_a_class(tmp_path):
    rows = [Row(0, "background"), Row(1, "car \ud83d\x00"), Row(2, "\udc00")]
    write(found(["a.png"], rows), tmp_path / "out")
    classes = read_class_list(tmp_path / "out/classes.txt").classes
    assert classes == ("background", "car", "unnamed")


def test_ignored_pixels_are_read_as_such_where_a_class_is_white(tmp_path):
    fabricate.masks(tmp_path / "source", "colours")
    colours = fabricate.COLOURS | {"cat": (255, 255, 255)}
    lines = [f"{name} {r} {g} {b}" for name, (r, g, b) in colours.items()]
    (tmp_path / "source/classes.txt").write_text("\n".join(lines))
    for path in (tmp_path / "source/masks").rglob("*.png"):
        picture = np.array(Image.open(path))
        picture[(picture == fabricate.COLOURS["cat"]).all(-1)] = 255
        Image.fromarray(picture).save(path)
    counts = write(read(Asked(tmp_path / "source")), tmp_path / "out", ignore_background=True)
    assert counts.table.palette == ((255, 255, 255), fabricate.COLOURS["dog"])
    splits = {"train_split": "pool", "eval_split": "rest"}
    source, _ = folder.make(
        ConfigDict({"root": str(tmp_path / "out"), "height": 12, "width": 16, **splits})
    )
    labels = np.stack([source.label(i) for i in range(3)])
    assert np.bincount(labels.ravel())[[0, 1, 255]].tolist() == counts.pixels == [48, 40, 488]


def test_pictures_of_no_split_are_told_where_lists_are_written(tmp_path):
    names = ["a.png", "b.png", "c.png", "d.png"]
    examples = found(names).examples
    for splits, count in ((("train", "val", "", ""), 2), (("train", "", "", ""), 0)):
        mine = [e._replace(split=s) for e, s in zip(examples, splits, strict=True)]
        counts = write(found(names)._replace(examples=mine), tmp_path / str(count))
        assert counts.notes[NO_SPLIT] == count
    assert (tmp_path / "2/train.txt").read_text() == "a\n"
    assert not (tmp_path / "0/train.txt").exists()


def test_what_counts_as_not_annotated_is_left_out(tmp_path):
    both = found(["a.png", "b.png"])
    nothing = both.examples[0]._replace(ids=lambda frame: None)
    counts = write(
        both._replace(examples=[nothing, both.examples[1]]), tmp_path / "out", overlays=1
    )
    assert (counts.pictures, counts.pixels) == (1, [0, 24, 0])
    files = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("?.*")]
    assert sorted(files) == ["images/b.png", "labels/b.png", "overlays/b.jpg"]
    with pytest.raises(
        DataError, match=r"no labelled picture is left \(1 pictures without a shape"
    ):
        write(found(["a.png"])._replace(examples=[nothing]), tmp_path / "none")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_turn_with_the_orientation_of_their_picture(orientation):
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    frame = Frame(turned.shape, orientation)
    if orientation >= 5:
        assert frame.stored == (3, 4)
        np.testing.assert_array_equal(upright(stored, frame, "x"), turned)
    np.testing.assert_array_equal(upright(turned, frame, "x"), turned)
    with pytest.raises(BadRecord, match="x: the label is of a picture of 9x9"):
        upright(np.zeros((9, 9), np.uint8), frame, "x")


@pytest.mark.parametrize("honoured", [True, False])
def test_a_turned_jpeg_of_labelme(honoured, tmp_path):
    """The label file's size says whether the tool showed the picture upright, or as stored."""
    fabricate.labelme(tmp_path / "source")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: upright it is 12 wide and 16 high
    path = tmp_path / "source/a.jpg"
    Image.open(path).save(path, exif=exif, quality=95)
    value = fabricate.labelme_file("a", ("cat",))
    if honoured:
        value |= {"imageHeight": 16, "imageWidth": 12}
    fabricate.write_json(tmp_path / "source/a.json", value)
    write(read(Asked(tmp_path / "source")), tmp_path / "out")
    label = np.asarray(Image.open(tmp_path / "out/labels/a.png"))
    expected = np.zeros((16, 12), np.uint8)
    expected[2:6, 3:9] = 1
    if not honoured:
        expected = np.rot90(fabricate.mask("cat"), -1).astype(np.uint8)
    np.testing.assert_array_equal(label, expected)
    assert pictures.picture_size(tmp_path / "out/images/a.jpg") == (16, 12)


def test_pictures_of_other_formats_become_png(tmp_path):
    fabricate.labelme(tmp_path / "source")
    for name, ending in (("a", "bmp"), ("b", "webp")):
        path = tmp_path / f"source/{name}.jpg"
        Image.open(path).save(tmp_path / f"source/{name}.{ending}", lossless=True)
        path.unlink()
    write(read(Asked(tmp_path / "source")), tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out/images").rglob("*.*"))
    assert names == ["a.png", "b.png", "c.jpg"]


def tiff(values):
    """As OpenCV writes it: of colours with 16 bits too, which Pillow doesn't."""
    return cv2.imencode(".tif", values)[1].tobytes()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_sixteen_bits_become_eight_by_their_share_of_white(shape, tmp_path):
    values = np.linspace(0, 65535, np.prod(shape)).reshape(shape).astype(np.uint16)
    write(found(["a.tif"], picture=tiff(values)), tmp_path / "out")
    read = pictures.read_picture(tmp_path / "out/images/a.png")
    expected = values / 257 if len(shape) == 3 else np.repeat(values[..., None] / 257, 3, 2)
    assert np.abs(read - expected).max() <= (1 if len(shape) == 3 else 0.5)
    with pytest.raises(DataError, match=r"a\.tif\.json: its brightest value is \d+ of 65535"):
        write(found(["a.tif"], picture=tiff(values // 16)), tmp_path / "dark")


def test_whole_numbers_of_32_bits_go_by_the_same_rule(tmp_path):
    for bias, said in ((0, ""), (-1, "it holds int32 from -1 to 65534"), (9, "to 65544")):
        values = np.linspace(0, 65535, 24).reshape(4, 6).astype(np.int32) + bias
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF")
        if said:
            with pytest.raises(DataError, match=f"{said}; convert the picture to 8 bits"):
                write(found(["a.tif"], picture=buffer.getvalue()), tmp_path / "out")
        else:
            write(found(["a.tif"], picture=buffer.getvalue()), tmp_path / "first")
            read = pictures.read_picture(tmp_path / "first/images/a.png")
            np.testing.assert_array_equal(read[..., 0], np.round(values / 257))


def test_fractions_are_no_picture(tmp_path):
    values = np.linspace(0, 1, 24).reshape(4, 6).astype(np.float32)
    with pytest.raises(
        DataError, match=r"it holds float32 from 0\.0 to 1\.0; convert the picture to"
    ):
        write(found(["a.tif"], picture=tiff(values)), tmp_path / "out")


def test_a_picture_that_is_cut_short(tmp_path):
    fabricate.labelme(tmp_path / "source")
    path = tmp_path / "source/a.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"source/a\.jpg: the picture is cut short"):
        write(read(Asked(tmp_path / "source")), tmp_path / "out")


def test_overlays_show_colours_and_leave_ignored_pixels():
    table = make_table([Row(0, "cat", (200, 100, 0)), Row(1, "dog", (0, 0, 250))], False, "tests")
    picture = np.full((40, 60, 3), 100, np.uint8)
    train = np.zeros((40, 60), np.uint8)
    train[:, 30:] = 255
    drawn = overlay(picture, train, table)
    assert drawn.shape == (40 + 2 * 18, 60, 3)  # the picture, and lines for cat and ignored
    assert drawn[5, 5].tolist() == [45, 100, 155]
    ignored = drawn[:40, 31:].reshape(-1, 3)
    assert {tuple(pixel) for pixel in ignored.tolist()} == {(100, 100, 100), (255, 255, 255)}
    assert (
        overlay(np.zeros((9, 3000, 3), np.uint8), np.zeros((9, 3000), np.uint8), table).shape[1]
        == 1024
    )
