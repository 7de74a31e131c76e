"""Random changes of a record's geometry; its colours are changed on the device."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.core.batch import field_of
from geoseg_jax.data import pictures
from geoseg_jax.data.crops import random_resized_crop
from geoseg_jax.data.flow import maps as flow_maps
from geoseg_jax.data.labels.table import IGNORE
from geoseg_jax.data.source import DataError, Record

# What mirroring left to right, or upside down, does to a camera's axes.
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)
_UPEND = np.diag([1.0, -1.0, 1.0, 1.0]).astype(np.float32)
# What surrounds a picture that is smaller than its crop: the mean colour of ImageNet, which an
# encoder's normalisation turns into 0, as the padding of its convolutions is.
PADDING = (124, 116, 104)
# The maps that can be scaled and cropped; constant predictions, which evaluation has, can't be.
_MAPS = ("label", "depth", *flow_maps.KEYS)


class Augmentation(NamedTuple):
    """What is done at random to each training record; a plain value, so that workers can have it.

    flip: mirror left to right with probability one half; flip_vertical: upside down likewise.
    scale: () or (least, most), a factor for both sides, drawn uniformly. crop: () or (height,
    width) of the window that is cut out at random; () with a scale means the picture's own size.
    All views have the same factor and window. A picture that is smaller than the window lies in it
    at a random place, with PADDING around it, 255 around its label, and no flow or depth known
    there.

    crop_area: () or (least, most), shares of the picture's area: a random window of it is brought
    to `size` (height, width), see `crops.random_resized_crop`; pictures may be of any size. views:
    so many windows of one picture, each flipped on its own; all but the first become `sources`.
    """

    flip: bool = False
    scale: tuple[float, ...] = ()
    crop: tuple[int, ...] = ()
    crop_area: tuple[float, ...] = ()
    size: tuple[int, ...] = ()
    views: int = 1
    flip_vertical: bool = False

    def __bool__(self) -> bool:
        """Tells whether it changes anything."""
        return bool(self.flip or self.flip_vertical or self.scale or self.crop or self.crop_area)

    def __call__(self, record: Record, generator: np.random.Generator) -> Record:
        """Returns the record, changed as the generator wills.

        Raises as `scale_and_crop` and `random_resized_crop` do.
        """
        if self.crop_area:

            def mirror(picture: np.ndarray) -> np.ndarray:
                turn = self.flip and generator.random() < 0.5
                return pictures.flip(picture, 1) if turn else picture

            return random_resized_crop(
                record, generator, self.size, self.crop_area, self.views, mirror
            )
        if self.scale or self.crop:
            record = scale_and_crop(record, generator, self.scale, self.crop)
        record = random_flip(record, generator) if self.flip else record
        upend = self.flip_vertical and generator.random() < 0.5
        return flip(record, vertical=True) if upend else record


def augmentation(data: Mapping[str, Any]) -> Augmentation:
    """Returns what config.data asks for, if anything.

    By flip, flip_vertical, scale, crop, crop_area and crop_views.
    """
    scale, crop = tuple(data.get("scale", ())), tuple(data.get("crop", ()))
    plain = Augmentation(bool(data.get("flip", False)), scale, crop)
    plain = plain._replace(flip_vertical=bool(data.get("flip_vertical", False)))
    if not data.get("crop_area", ()):
        return plain
    return plain._replace(
        crop_area=tuple(data["crop_area"]),
        size=(data["height"], data["width"]),
        views=data.get("crop_views", 1),
    )


def scale_and_crop(
    record: Record,
    generator: np.random.Generator,
    scale: tuple[float, ...] = (),
    crop: tuple[int, ...] = (),
) -> Record:
    """Cuts a window of the record, with all that is on its pixel grid scaled by one random factor.

    Arguments: see Augmentation. Images are resized by means over areas or bilinearly, label and
    depth by nearest neighbour alone, flow as in `flow_maps.resize`.

    Of a single picture, depth is divided by the factor, as in Eigen, Puhrsch, Fergus, NIPS 2014,
    section 3.4: what looks twice as large to the same camera is half as far away; so the focal
    length stays and the principal point moves. Of several views, whose motion stays, that would be
    another world: there the focal length grows and depth stays.

    Raises DataError for another map (a constant prediction, which only evaluation has) and for one
    of another size than its image; ValueError for what is no batch field.
    """
    geometry = {key: field_of(key).geometry for key in record}
    more = [k for k, g in geometry.items() if g in ("grid", "vectors") and k not in _MAPS]
    if more:
        raise DataError(
            f"config.data.scale and crop are for what is trained on; these records hold "
            f"{', '.join(more)} as well: set config.data.scale=() and config.data.crop=()"
        )
    size = record["image"].shape[:2]
    window = tuple(crop) or size
    factor = generator.uniform(*scale) if scale else 1.0
    scaled = tuple(max(1, round(side * factor)) for side in size)
    # Negative where the picture is smaller: its place in the window instead of the window's in it.
    offset = tuple(
        int(generator.integers(min(room, 0), max(room, 0), endpoint=True))
        for room in (scaled[0] - window[0], scaled[1] - window[1])
    )
    changed = record | _cut_views(record, scaled, offset, window)
    changed |= {k: np.array(window, np.int32) for k, g in geometry.items() if g == "size"}
    if "label" in record:
        changed["label"] = _cut_map(record["label"], size, scaled, offset, window, IGNORE)
    # Without another view the camera stays the same, and the world comes nearer.
    alone = not record.get("sources", np.empty(0)).shape[0]
    if "depth" in record:
        depth = _cut_map(record["depth"], size, scaled, offset, window, 0)
        changed["depth"] = (depth / factor if alone else depth).astype(np.float32)
        changed["depth_size"] = np.array(window, np.int32)
    if "intrinsics" in record:
        changed["intrinsics"] = _cut_intrinsics(record["intrinsics"], size, scaled, offset, alone)
    return changed | _cut_flow(record, size, scaled, offset, window)


def _cut_views(
    record: Record, scaled: tuple[int, ...], offset: tuple[int, ...], window: tuple[int, ...]
) -> Record:
    """Returns the window of the image and of its source views, if there are any."""

    def cut(picture: np.ndarray) -> np.ndarray:
        return _cut(pictures.resize(picture, *scaled), offset, window, PADDING)

    views = {"image": cut(record["image"])}
    if "sources" in record:
        sources = [cut(source) for source in record["sources"]]
        views["sources"] = np.array(sources, np.uint8).reshape(-1, *views["image"].shape)
    return views


def _cut_flow(
    record: Record,
    size: tuple[int, ...],
    scaled: tuple[int, ...],
    offset: tuple[int, ...],
    window: tuple[int, ...],
) -> Record:
    """Returns the window of the flow's maps, if there are any; outside of them nothing is known."""
    maps = {key: record[key] for key in flow_maps.KEYS if key in record}
    for values in maps.values():
        _check_size(values, size)
    if not maps:
        return {}
    resized = flow_maps.resize(maps, *scaled)
    return {key: _cut(values, offset, window, 0) for key, values in resized.items()}


def _cut_intrinsics(
    matrix: np.ndarray,
    size: tuple[int, ...],
    scaled: tuple[int, ...],
    offset: tuple[int, ...],
    same_focal: bool,
) -> np.ndarray:
    """Moves the camera to the window; of the same focal length, the principal point alone moves."""
    moved = pictures.scale_intrinsics(matrix, size, scaled).astype(matrix.dtype)
    if same_focal:
        moved[:2, :2] = matrix[:2, :2]
    moved[:2, 2] -= offset[::-1]
    return moved


def _cut(
    picture: np.ndarray, offset: tuple[int, ...], window: tuple[int, ...], padding: Any
) -> np.ndarray:
    """Returns the window [h, w, ...] whose top left corner is at `offset` of the picture."""
    cut = np.empty((*window, *picture.shape[2:]), picture.dtype)
    cut[:] = padding
    inside, from_ = [], []
    for start, length, side in zip(offset, window, picture.shape, strict=False):
        first, last = max(start, 0), min(start + length, side)
        from_.append(slice(first, last))
        inside.append(slice(first - start, last - start))
    cut[tuple(inside)] = picture[tuple(from_)]
    return cut


def _cut_map(
    values: np.ndarray,
    size: tuple[int, ...],
    scaled: tuple[int, ...],
    offset: tuple[int, ...],
    window: tuple[int, ...],
    outside: float,
) -> np.ndarray:
    """Cuts the window of a map whose values must not be mixed; `outside` of it lies that value."""
    _check_size(values, size)
    rows, no_row = _nearest(size[0], scaled[0], offset[0], window[0])
    columns, no_column = _nearest(size[1], scaled[1], offset[1], window[1])
    cut = values[rows[:, None], columns]
    cut[no_row] = outside
    cut[:, no_column] = outside
    return cut


def _check_size(values: np.ndarray, size: tuple[int, ...]) -> None:
    if values.shape[:2] != size:
        raise DataError(
            f"config.data.scale and crop need labels, depth and flow of their picture's size "
            f"{list(size)}, got {list(values.shape[:2])}; they are for training alone"
        )


def _nearest(side: int, scaled: int, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds, along one side, the old pixel nearest to each new one, and which lie outside."""
    place = np.arange(start, start + length)
    nearest = pictures.cells(place, scaled, side)
    return np.clip(nearest, 0, side - 1), (place < 0) | (place >= scaled)


def random_flip(record: Record, generator: np.random.Generator) -> Record:
    """Returns the record, mirrored left to right with probability one half.

    One with intrinsics says in `flipped` whether it was: cameras that are learned turn with it.
    """
    flipped = generator.random() < 0.5
    record = flip(record) if flipped else record
    return record | {"flipped": np.array(flipped)} if "intrinsics" in record else record


def flip(record: Record, *, vertical: bool = False) -> Record:
    """Returns the record as a camera would see it in a world mirrored at x = 0, or at y = 0.

    Pixel x becomes W - 1 - x, so c_x becomes W - 1 - c_x; with F = diag(-1, 1, 1, 1) a pose T
    becomes F T F, which turns the stereo direction round; flow changes the sign of u. With
    `vertical` the same goes for y, H, c_y and v. Applying it twice gives the record back.

    What becomes of a field follows from its geometry in core/batch.py. Raises ValueError for what
    is no batch field.
    """
    axis = 0 if vertical else 1
    return {key: _mirrored(key, record, axis) for key in record}


def _mirrored(key: str, record: Record, axis: int) -> np.ndarray:
    """Returns a field of a record mirrored along the rows (axis 0) or the columns (axis 1)."""
    value, field = record[key], field_of(key)
    match field.geometry:
        case "picture" | "grid" | "vectors":
            turned = _turn(value, field.rows, axis, record.get(field.size))
            if field.geometry == "vectors":
                turned = turned * np.array((-1, 1) if axis else (1, -1), turned.dtype)
        case "camera":
            turned = _flip_intrinsics(value, record["image"].shape[axis], 1 - axis)
        case "pose":
            mirror = _MIRROR if axis else _UPEND
            turned = mirror @ value @ mirror
        case _:
            return value
    return np.ascontiguousarray(turned)


def _turn(values: np.ndarray, rows: int, axis: int, size: np.ndarray | None) -> np.ndarray:
    """Mirrors pixels within their true size; the padding stays at the bottom and right.

    rows: the axis that counts rows. axis: 0 to mirror these, 1 for the columns. size: height and
    width without padding, None for all.
    """
    turned = np.empty_like(values, order="C") if size is None else values.copy()
    inside = () if size is None else tuple(map(slice, size))
    for view in np.ndindex(values.shape[:rows]):
        pictures.flip(values[view][inside], axis, turned[view][inside])
    return turned


def _flip_intrinsics(matrix: np.ndarray, side: int, row: int) -> np.ndarray:
    """Mirrors the camera along x (row 0) or y (row 1), for a picture `side` pixels long."""
    matrix = matrix.copy()
    matrix[row, 2] = side - 1 - matrix[row, 2]
    matrix[0, 1] = -matrix[0, 1]  # skew
    return matrix
