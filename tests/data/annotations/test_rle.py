"""Runs of COCO against recorded values of pycocotools 2.0.11, and of Label Studio."""

import numpy as np
import pytest

from geoseg_jax.data.annotations import rle
from tests.data import fabricate_annotations as fabricate

NOISE = """
0111000
0000101
0100111
1000100
0001100
1100101
0110101
0010111
1011111
"""


def noise():
    return np.array([[int(c) for c in row] for row in NOISE.split()], bool)


def blob():
    y, x = np.indices((23, 31))
    inside = (y - 11) ** 2 + (x - 14) ** 2 < 80
    inside[9:13, 12:17] = False
    inside[0, 0] = inside[22, 30] = True
    return inside


RECORDED = {
    "noise": (noise(), "311011OO110O33NM00N71I21M012"),
    "blob": (blob(), "01a46mK4M2N2O0O2OEN12ON12ON12ON12ON12:1N101N2N3La5J"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_what_pycocotools_wrote(name):
    inside, text = RECORDED[name]
    np.testing.assert_array_equal(rle.coco_mask(text, *inside.shape), inside)
    assert rle.coco_counts(text) == fabricate.runs(inside)
    np.testing.assert_array_equal(rle.coco_mask(fabricate.runs(inside), *inside.shape), inside)
    assert fabricate.compressed(fabricate.runs(inside)) == text


def test_long_runs():
    # 3000 x 2000 with rows 1000 to 2499 of columns 700 to 1899: its beginning by pycocotools.
    counts = rle.coco_counts("XhSP2l^1l^1")
    assert counts == [2101000, 1500, 1500]


def test_live_pycocotools():
    theirs = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        inside = generator.random((37, 53)) < share
        text = theirs.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"].decode()
        np.testing.assert_array_equal(rle.coco_mask(text, 37, 53), inside)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([10, 5], "add up to 15 pixels, not to 7 x 9"),
        ([1 << 60], "add up to"),
        ([70, -7], "whole numbers from 0 on"),
        ([31.5, 31.5], "whole numbers from 0 on"),
        (["63"], "whole numbers from 0 on"),
        ("3110", "add up to"),
        ("é", "'é', which can't be there"),
        ("o" * 50, "'o', which can't be there"),
        ("o", "end within a number"),
    ],
)
def test_hostile_runs(counts, said):
    with pytest.raises(ValueError, match=said):
        rle.coco_mask(counts, 9, 7)


def test_a_brush():
    np.testing.assert_array_equal(rle.label_studio_mask(fabricate.brush(blob()), 23, 31), blob())


def test_a_brush_by_hand():
    # 8 values (2 pixels): one block of 4 different ones, one of the same: alpha 9, then 0.
    bits = f"{8:032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits += "0" + "00" + f"{3:03b}" + "".join(f"{v:08b}" for v in (1, 2, 3, 9))
    bits += "1" + "01" + f"{3:04b}" + f"{0:08b}"
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert rle.label_studio_mask(data, 1, 2).tolist() == [[True, False]]
    with pytest.raises(ValueError, match="its brush holds 8 values of 8 bits, not 4 x 3 x 1"):
        rle.label_studio_mask(data, 1, 3)
    for broken, said in (
        (data[:10], "ends early"),
        ([*data, 256], "no list of bytes"),
        (["x"], "no list of bytes"),
        ([], "ends early"),
    ):
        with pytest.raises(ValueError, match=said):
            rle.label_studio_mask(broken, 1, 2)
