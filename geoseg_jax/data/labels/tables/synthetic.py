"""Class tables of the synthetic worlds: names, colours and object categories, as data.

A label is the index into its world's table. Street names and colours follow Cityscapes
(Cordts et al., CVPR 2016) so that pictures look familiar; the indices are our own.
"""

from typing import NamedTuple


class SemanticClass(NamedTuple):
    """A class of a label map: its name and the RGB colour it is drawn in."""

    name: str
    color: tuple[int, int, int]


STREET = (
    SemanticClass("road", (128, 64, 128)),
    SemanticClass("sidewalk", (244, 35, 232)),
    SemanticClass("building", (70, 70, 70)),
    SemanticClass("wall", (102, 102, 156)),
    SemanticClass("pole", (153, 153, 153)),
    SemanticClass("traffic sign", (220, 220, 0)),
    SemanticClass("vegetation", (107, 142, 35)),
    SemanticClass("terrain", (152, 251, 152)),
    SemanticClass("sky", (70, 130, 180)),
    SemanticClass("person", (220, 20, 60)),
    SemanticClass("car", (0, 0, 142)),
    SemanticClass("truck", (0, 0, 70)),
)

ROOM = (
    SemanticClass("wall", (174, 199, 232)),
    SemanticClass("floor", (152, 223, 138)),
    SemanticClass("ceiling", (78, 71, 183)),
    SemanticClass("bed", (255, 187, 120)),
    SemanticClass("chair", (188, 189, 34)),
    SemanticClass("sofa", (140, 86, 75)),
    SemanticClass("table", (255, 152, 150)),
    SemanticClass("door", (214, 39, 40)),
    SemanticClass("window", (197, 176, 213)),
    SemanticClass("picture", (196, 156, 148)),
    SemanticClass("cabinet", (31, 119, 180)),
    SemanticClass("lamp", (247, 182, 210)),
    SemanticClass("plant", (44, 160, 44)),
    SemanticClass("toy", (255, 127, 14)),
)

CLASSES = {"street": STREET, "room": ROOM}

OBJECT_CATEGORIES = (
    "ball",
    "box",
    "car",
    "chair",
    "table",
    "tree",
    "house",
    "person",
    "lamp",
    "airplane",
)


def class_index(world: str, name: str) -> int:
    """Returns the label of class `name` in `world`; raises ValueError naming the known ones."""
    if world not in CLASSES:
        raise ValueError(f"world {world!r} is unknown; known: {sorted(CLASSES)}")
    names = [entry.name for entry in CLASSES[world]]
    if name not in names:
        raise ValueError(f"class {name!r} is not in the {world} table; known: {names}")
    return names.index(name)
