"""Label pictures: read as they are or refused in one clear line, resized without invention."""

import numpy as np
import pytest
from PIL import Image

from geoseg_jax.data import pictures
from geoseg_jax.data.labels import pictures as label_pictures
from geoseg_jax.data.labels.table import IGNORE, label_table
from geoseg_jax.data.source import BadRecord
from tests import paper_code
from tests.data import fabricate_labels as fabricate

TABLE = label_table("cityscapes19")
IDS = fabricate.ids((7, 8, 11, 26))
SIZE = IDS.shape


def read(path, **changes):
    return label_pictures.read_label(path, TABLE, SIZE, **changes)


def test_ids_become_train_ids(tmp_path):
    path = fabricate.write_label(tmp_path / "a.png", IDS)
    expected = np.vectorize(TABLE.train_ids.get)(IDS)
    np.testing.assert_array_equal(read(path), expected)
    assert read(path).dtype == np.uint8


def test_a_palette_gives_its_indices(tmp_path):
    path = fabricate.write_palette(tmp_path / "a.png", IDS)
    assert path.read_bytes()[25] == 3  # the colour type of the PNG
    np.testing.assert_array_equal(label_pictures.read_ids(path, TABLE), IDS)


@pytest.mark.parametrize("write", [fabricate.write_label, fabricate.write_palette])
def test_cut_short_and_damaged(tmp_path, write):
    path = write(tmp_path / "a.png", IDS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadRecord, match=r"a\.png: the picture is cut short"):
        read(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(12) + whole[middle + 12 :])
    with pytest.raises(BadRecord, match=r"a\.png: the picture can't be decoded"):
        read(path)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (IDS.astype(np.uint16) * 256, "one channel of 8 bits; this one has 1 of 16 bits"),
        (np.repeat(IDS[..., None], 3, axis=2), "one channel of 8 bits; this one has 3 of 8 bits"),
        (np.where(IDS == 7, 77, IDS), "label id 77 is not in the table cityscapes19"),
        (IDS[:-1], "the label is 20x11 and its picture 20x12; get the pair again"),
    ],
)
def test_bad_labels_are_one_clear_line(tmp_path, label, said):
    path = fabricate.write_label(tmp_path / "a.png", label)
    with pytest.raises(BadRecord) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_no_picture(tmp_path):
    with pytest.raises(BadRecord, match=r"no\.png: No such file"):
        read(tmp_path / "no.png")
    jpeg = fabricate.write_image(tmp_path / "a.jpg")
    with pytest.raises(BadRecord, match=r"a\.jpg: a label picture is a PNG file"):
        read(jpeg)


def test_colours_by_the_tables_own(tmp_path):
    colours = {(255, 0, 0): 3, (0, 255, 1): 9, (0, 0, 0): 12}
    table = TABLE._replace(colours=colours, train_ids={3: 0, 9: 1, 12: IGNORE})
    ids = fabricate.ids((3, 9, 12))
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    for colour, i in colours.items():
        rgb[ids == i] = colour
    path = fabricate.write_label(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(label_pictures.read_ids(path, table), ids)
    rgb[2, 3] = (254, 0, 0)
    fabricate.write_label(path, rgb)
    with pytest.raises(BadRecord, match=r"a\.png: 1 pixels have a colour .* \(254, 0, 0\); add"):
        label_pictures.read_ids(path, table)


@pytest.mark.parametrize("size", [(12, 20), (24, 60), (6, 10), (5, 7), (37, 3)])
def test_nearest_by_pixel_centres(size):
    label = np.random.default_rng(0).integers(0, 256, (12, 20)).astype(np.uint8)
    resized = label_pictures.resize_labels(label, *size)
    for y in range(size[0]):
        for x in range(size[1]):
            row = min(int((y + 0.5) * 12 / size[0]), 11)
            column = min(int((x + 0.5) * 20 / size[1]), 19)
            assert resized[y, x] == label[row, column]


def test_labels_stay_on_their_pictures():
    """A half plane keeps its border where the resized picture has it."""
    label = np.zeros((32, 64), np.uint8)
    label[:, 20:] = 200
    for size in ((16, 32), (8, 48), (64, 128), (24, 40)):
        picture = pictures.resize(np.repeat(label[..., None], 3, axis=2), *size)[..., 0]
        ours = label_pictures.resize_labels(label, *size)
        assert (ours != np.where(picture >= 100, 200, 0)).mean() <= 0.5 / size[1] + 1e-9


def test_the_public_codes_fault_invents_classes(tmp_path):
    """Between road (7) and car (26) bicubic finds walls; nearest never does."""
    label = np.full((12, 20), 7, np.uint8)
    label[:, 10:] = 26
    path = fabricate.write_label(tmp_path / "a.png", label)
    road, car = TABLE.train_ids[7], TABLE.train_ids[26]
    assert set(np.unique(read(path, size=(6, 7)))) == {road, car}
    invented = read(path, size=(6, 7), resize="bicubic")
    assert invented.shape == (6, 7)
    assert not set(np.unique(invented)) <= {road, car}


def test_resized_labels_are_those_of_the_public_code(tmp_path):
    """What its reader gave, 0 where there is no class; see tests/paper_code.py."""
    recorded = [
        [19, 0, 8, 0, 0, 24, 28, 21, 0, 0],
        [13, 13, 19, 0, 0, 0, 23, 21, 0, 0],
        [0, 17, 28, 17, 13, 0, 21, 19, 0, 20],
        [25, 27, 24, 12, 13, 20, 20, 22, 24, 13],
        [27, 7, 0, 28, 27, 13, 7, 0, 0, 25],
        [23, 0, 0, 0, 11, 23, 0, 0, 8, 24],
    ]
    _, path = paper_code.write_pictures(tmp_path)
    table = label_table("cityscapes34")
    ours = label_pictures.read_label(path, table, (24, 40), (6, 10), resize="bicubic")
    np.testing.assert_array_equal(np.where(ours == IGNORE, 0, ours), recorded)


def test_whole_labels_of_cropped_pictures(tmp_path):
    whole = fabricate.ids((7, 8, 11), 1, SIZE[0] + 5, SIZE[1] + 9)
    path = fabricate.write_label(tmp_path / "a.png", whole)
    with pytest.raises(BadRecord, match="label_crop='bottom_right'"):
        read(path)
    expected = np.vectorize(TABLE.train_ids.get)(whole[5:, 9:])
    np.testing.assert_array_equal(read(path, crop="bottom_right"), expected)


COLOURED = TABLE._replace(colours={(255, 0, 0): 7, (0, 255, 0): 8, (0, 0, 255): 11, (9, 9, 9): 26})


def write_palette(path, label, colours):
    """A palette PNG whose index i has colours[i]."""
    indices = Image.fromarray(label, "P")
    indices.putpalette([part for colour in colours for part in colour])
    indices.save(path)
    return path


def test_where_a_class_list_has_colours_those_of_a_palette_decide(tmp_path):
    """As programs that make files smaller write them: the most frequent class first."""
    order = [8, 26, 7, 11]
    colours = {i: colour for colour, i in COLOURED.colours.items()}
    label = np.vectorize(order.index)(IDS).astype(np.uint8)
    path = write_palette(tmp_path / "a.png", label, [colours[i] for i in order])
    np.testing.assert_array_equal(label_pictures.read_ids(path, COLOURED), IDS)
    np.testing.assert_array_equal(label_pictures.read_ids(path, TABLE), label)


def test_a_palette_to_look_at_leaves_indices_as_ids(tmp_path):
    path = write_palette(tmp_path / "a.png", IDS, [(i, 1, 2) for i in range(40)])
    np.testing.assert_array_equal(label_pictures.read_ids(path, COLOURED), IDS)


def test_a_palette_that_contradicts_the_class_list_is_refused(tmp_path):
    palette = [(i, 1, 2) for i in range(40)]
    palette[7] = (0, 255, 0)  # the colour of 8
    path = write_palette(tmp_path / "a.png", IDS, palette)
    with pytest.raises(BadRecord, match=r"a\.png: index 7 has the colour \(0, 255, 0\) of id 8"):
        label_pictures.read_ids(path, COLOURED)
