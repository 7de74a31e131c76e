"""What a reader of annotations finds: classes, and pictures with a way to draw their labels."""

import pathlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from geoseg_jax.data.annotations.drawing import Shape, draw
from geoseg_jax.data.labels.table import Colour
from geoseg_jax.data.source import BadRecord

BACKGROUND = "background"
NOT_ANNOTATED = (
    "pictures without a shape that covers a pixel, left out (--keep-empty: all background)"
)
NO_PIXEL = "shapes that cover no pixel (outside of the picture, or too small), passed over"
Size = tuple[int, int]  # height, width


class Asked(NamedTuple):
    """What the user asks for.

    source: a folder or a file. images: where pictures lie beside source, or None. classes: a class
    list, or None. keep_empty: whether pictures that nobody drew anything on are all background;
    otherwise they are left out, as not labelled yet.
    """

    source: pathlib.Path
    images: pathlib.Path | None = None
    classes: pathlib.Path | None = None
    keep_empty: bool = False

    @property
    def folders(self) -> list[pathlib.Path]:
        """The folders in which pictures are looked for."""
        source = self.source if self.source.is_dir() else self.source.parent
        return [source] + ([self.images] if self.images else [])


class Row(NamedTuple):
    """A class: the id that `Example.ids` gives it, its name, its colour where it has one."""

    id: int
    name: str
    colour: Colour | None = None


class Frame(NamedTuple):
    """A picture's size as everybody sees it, and its EXIF orientation (1 to 8, 1 = as stored)."""

    size: Size
    orientation: int = 1

    @property
    def stored(self) -> Size:
        """Height and width as the file stores them, before its orientation turns it."""
        return self.size[::-1] if self.orientation >= 5 else self.size


class Example(NamedTuple):
    """A labelled picture.

    picture: its file, or the bytes of one. name: a path for it, which need not be safe. ids: draws
    its label, uint8 [H, W] at the upright size, None where it counts as not annotated, and raises
    BadRecord. label: the label's file, for messages. split: 'train', 'val', 'test', or '' where the
    source has none.
    """

    picture: pathlib.Path | bytes
    name: str
    ids: Callable[[Frame], np.ndarray | None]
    label: str
    split: str = ""


class Notes(Counter[str]):
    """What was passed over, or decided: text -> how often, and the first of those that it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def add(self, text: str, of: object, count: int = 1) -> None:
        """Counts one more, or `count`, and remembers the first one's name."""
        self[text] += count
        self.first.setdefault(text, str(of))

    def lines(self) -> list[str]:
        """Returns a line for each text that was counted."""
        named = {text: f" (the first: {of})" for text, of in self.first.items()}
        return [f"{count} {text}{named.get(text, '')}" for text, count in self.items() if count]


class Found(NamedTuple):
    """All that a reader found.

    format: its name, for people. notes: the readers add to them while labels are drawn, so they are
    complete when the last one is.
    """

    format: str
    rows: Sequence[Row]
    examples: Sequence[Example]
    notes: Notes


def size_to_draw(frame: Frame, said: Size | None, where: str) -> Size:
    """The size that a label's coordinates refer to: the picture's upright one, or as stored.

    Tools differ in whether they honour the EXIF orientation. Where it turns a picture by a quarter
    the size that the label file gives tells; otherwise coordinates are taken to be upright.

    said: height and width that the label file gives, None where it gives none. Raises BadRecord
    where they are neither.
    """
    if said in (None, frame.size):
        return frame.size
    if said == frame.stored:
        return frame.stored
    assert said is not None
    raise BadRecord(
        f"{where}: the label is of a picture of {said[1]}x{said[0]}, and the picture is "
        f"{frame.size[1]}x{frame.size[0]}; get the picture that was annotated"
    )


def draw_upright(
    shapes: Mapping[str, Shape],
    size: Size,
    frame: Frame,
    where: str,
    *,
    notes: Notes,
    contested: str,
    keep_empty: bool,
) -> np.ndarray | None:
    """Draws shapes, by their places in the label file, on what `size_to_draw` gives; upright.

    Returns None where none covers a pixel and such a picture isn't kept. contested: the note on
    pixels that two classes claim.
    """
    label, count, covers = draw(shapes.values(), size, 0)
    notes[contested] += count
    for place, covered in zip(shapes, covers, strict=True):
        if not covered:
            notes.add(NO_PIXEL, place)
    return upright(label, frame, where) if keep_empty or any(covers) else None


def upright(label: np.ndarray, frame: Frame, where: str) -> np.ndarray:
    """A label of the upright or of the stored size, [H, W], turned upright.

    Raises BadRecord where it has another size.
    """
    size = size_to_draw(frame, (label.shape[0], label.shape[1]), where)
    if size == frame.size:  # of a square picture too: most tools show it upright
        return label
    turns = {
        5: label.T,
        6: np.rot90(label, -1),
        7: label[::-1, ::-1].T,
        8: np.rot90(label),
    }
    return np.ascontiguousarray(turns[frame.orientation])
