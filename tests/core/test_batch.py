"""The contract of a batch: what a record may hold, and that readers can't break it unseen."""

import numpy as np
import pytest

from geoseg_jax.core.batch import FIELDS, check_record, field_of
from geoseg_jax.data.packs.parts import make_part
from geoseg_jax.data.pipeline import eval_batches, train_batches
from tests.data.fabricate import NumberedSource


def good():
    image = np.zeros((4, 6, 3), np.uint8)
    return {
        "image": image,
        "sources": np.zeros((2, 4, 6, 3), np.uint8),
        "source_poses": np.zeros((2, 4, 4), np.float32),
        "depth": np.zeros((9, 9), np.float32),  # may keep its own size
        "category": np.int32(3),
    }


def test_a_good_record_passes():
    check_record(good(), "good")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": np.ones((4, 6, 3), np.float32)}, r"image is float32\[4, 6, 3\], expected uint8"),
        ({"image": np.zeros((4, 6, 4), np.uint8)}, r"expected uint8 with axes \[H, W, 3\]"),
        ({"image": np.zeros((4, 6), np.uint8)}, r"image is uint8\[4, 6\]"),
        ({"category": 3}, r"category is int64\[\], expected int32"),
        ({"sources": np.zeros((2, 4, 5, 3), np.uint8)}, "and image has W=6"),
        ({"source_poses": np.zeros((3, 4, 4), np.float32)}, "and sources has S=2"),
        ({"lable": np.zeros((4, 6), np.uint8)}, "'lable' is not a batch field; did you mean 'lab"),
    ],
)
def test_what_breaks_it_is_named(change, said):
    with pytest.raises(ValueError, match=f"^picture 7: .*{said}"):
        check_record(good() | change, "picture 7")


def test_every_map_knows_its_rows_and_its_size():
    for key, field in FIELDS.items():
        if field.geometry in ("picture", "grid", "vectors"):
            assert field.axes[1 + field.rows : 3 + field.rows][0].endswith("H"), key
            assert field.size is None or FIELDS[field.size].geometry == "size", key
    assert field_of("depth").size == "depth_size"
    assert (field_of("sources").rows, field_of("sources").size) == (1, None)


class Floats(NumberedSource):
    """Pictures in [0, 1], as other libraries have them: here they would train on black."""

    def __getitem__(self, index):
        record = super().__getitem__(index)
        return record | {"image": (record["image"] / 255).astype(np.float32)}


@pytest.mark.parametrize(
    "read",
    [
        lambda source: next(train_batches(source, batch_size=2, seed=0)),
        lambda source: next(eval_batches(source, batch_size=2)),
        lambda source: make_part(source, 0, quality=90),
    ],
    ids=["training", "evaluation", "packs"],
)
def test_no_split_takes_pictures_in_floats(read):
    with pytest.raises(ValueError, match=r"number \d: image is float32\[4, 6, 3\], expected uint8"):
        read(Floats(3))
