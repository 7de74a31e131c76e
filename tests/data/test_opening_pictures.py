"""What picture files hold beside eight bits of red, green and blue: read on purpose, or refused."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from geoseg_jax.data import pictures
from geoseg_jax.data.picture_headers import read_header
from geoseg_jax.data.scans import check_scan
from geoseg_jax.data.source import BadRecord, DataError
from tests.data import fabricate

RGB = fabricate.picture(0)[:24, :40]


def save(path, array, mode=None, **more):
    Image.fromarray(array).convert(mode or "RGB").save(path, **more)
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def read(path):
    return pictures.to_rgb(pictures.read_picture(path))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_gives_the_colours_that_pillow_gives(tmp_path, mode):
    ending = "jpg" if mode == "CMYK" else "png"
    path = tmp_path / f"a.{ending}"
    picture = Image.fromarray(RGB)
    if mode == "I;16":
        deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        assert cv2.imwrite(str(path), deep)
        expected = np.repeat((deep // 257).astype(np.uint8)[..., None], 3, axis=2)
    else:
        picture.convert(mode).save(path)
        expected = np.asarray(Image.open(path).convert("RGB"))
    np.testing.assert_allclose(read(path).astype(int), expected, atol=1 if mode == "CMYK" else 0)
    assert pictures.picture_size(path) == RGB.shape[:2]


def test_sixteen_bits_keep_their_share_of_white(tmp_path):
    path = tmp_path / "a.png"
    deep = np.zeros((2, 3, 3), np.uint16)
    deep[0, 0] = 65535, 32768, 300  # blue, green, red
    assert cv2.imwrite(str(path), deep)
    assert read(path)[0, 0].tolist() == [1, 128, 255]


def test_twelve_bits_in_sixteen_are_not_taken_for_black(tmp_path):
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), np.full((2, 3), 1900, np.uint16))
    with pytest.raises(BadRecord, match=r"a\.png: its brightest value is 1900 of 65535.* 8 bits"):
        pictures.read_picture(path)
    assert pictures.read_numbers(path).max() == 1900  # depth is meant so


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_pngs_orientation_counts_wherever_it_stands(tmp_path, place):
    path = save(tmp_path / "a.png", RGB)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter clockwise
    extra, data = chunk(b"eXIf", exif.tobytes()[6:]), path.read_bytes()
    cut = data.index(b"IDAT") - 4 if place == "before" else data.index(b"IEND") - 4
    path.write_bytes(data[:cut] + extra + data[cut:])
    np.testing.assert_array_equal(read(path), np.rot90(RGB, -1))
    assert pictures.picture_size(path) == (40, 24)
    mask, palette, _ = pictures.read_mask(path)
    assert (mask.shape[:2], palette) == ((40, 24), None)


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_what_a_camera_appends_is_not_the_picture(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", RGB)
    before = read(path)
    path.write_bytes(path.read_bytes() + b"film" * 5000)
    np.testing.assert_array_equal(read(path), before)


def test_a_thumbnails_end_is_not_the_pictures(tmp_path):
    small = io.BytesIO()
    Image.fromarray(RGB).save(small, "JPEG")
    path = save(tmp_path / "a.jpg", RGB, exif=b"Exif\0\0" + small.getvalue())
    read(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadRecord, match=r"a\.jpg: the picture is cut short"):
        read(path)


def test_other_kinds_under_these_names_are_named(tmp_path):
    for number, kind in enumerate(("WebP", "GIF", "BMP", "TIFF")):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(RGB).save(path, kind)
        for open_it in (pictures.read_picture, pictures.picture_size, check_scan):
            with pytest.raises(BadRecord, match=rf"{number}\.jpg: it is {kind} under the name"):
                open_it(path)
    (tmp_path / "z.png").write_bytes(bytes(5000))
    with pytest.raises(BadRecord, match=r"z\.png: it holds nothing but zeros"):
        read(tmp_path / "z.png")


def huge(side: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_sizes_are_looked_at_before_pixels(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(huge(100_000))
    for open_it in (pictures.read_picture, pictures.picture_size, pictures.read_mask):
        with pytest.raises(BadRecord, match=r"a\.png: 100000x100000 pixels are more than the 134,"):
            open_it(path)
    path.write_bytes(huge(10_000))  # a few bytes can't hold that
    with pytest.raises(BadRecord, match=r"a\.png: the picture is cut short"):
        pictures.read_picture(path)
    save(path, RGB)
    monkeypatch.setenv(pictures.LIMIT_SETTING, "959")
    with pytest.raises(BadRecord, match=r"40x24 pixels are more than the 959 .* GEOSEG_JAX_MAX"):
        pictures.read_picture(path)
    monkeypatch.setenv(pictures.LIMIT_SETTING, "960")
    assert read(path).shape == RGB.shape
    monkeypatch.setenv(pictures.LIMIT_SETTING, "many")
    with pytest.raises(DataError, match="is no number of pixels"):
        pictures.read_picture(path)


def test_a_huge_palette_is_ours_to_refuse(tmp_path, monkeypatch):
    """Pillow's own limit would raise an error that names no file."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.fromarray(RGB).quantize(4).save(tmp_path / "a.png")
    mask, palette, _ = pictures.read_mask(tmp_path / "a.png")
    shown = palette[mask]
    np.testing.assert_array_equal(shown, read(tmp_path / "a.png"))


def test_headers_tell_the_shape_of_pixels(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    data = path.read_bytes()
    cut = data.index(b"IDAT") - 4
    shape = chunk(b"pHYs", struct.pack(">IIB", 3, 4, 0))  # 3 across for 4 down: pixels are wide
    header = read_header(io.BytesIO(data[:cut] + shape + data[cut:]), path)
    assert header.aspect == pytest.approx(4 / 3)
    assert read_header(io.BytesIO(data), path).aspect == 1


KINDS = {
    "plain": {},
    "fine": {"quality": 98, "subsampling": 0},
    "progressive": {"progressive": True},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "exif": {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_scans_are_found_and_whole_ones_are_not_blamed(tmp_path, kind):
    picture = np.random.default_rng(0).integers(0, 256, (160, 240, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 1)
    path = save(tmp_path / "a.jpg", picture, **KINDS[kind])
    check_scan(path)
    data = path.read_bytes()
    path.write_bytes(data + b"film" * 2000)
    check_scan(path)
    middle = len(data) // 2
    noise = np.random.default_rng(1).bytes(3000).replace(b"\xff", b"\xfe")
    path.write_bytes(data[:middle] + noise + data[middle + len(noise) :])
    assert cv2.imread(str(path)) is not None  # a decoder for viewers draws what it can
    with pytest.raises(BadRecord, match=r"a\.jpg: the picture is damaged between"):
        check_scan(path)


def test_a_png_is_left_to_its_own_checksums(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))
    check_scan(path)
    with pytest.raises(BadRecord, match="can't be decoded"):
        pictures.read_picture(path)
