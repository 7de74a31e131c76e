"""Small labelled sets in the true formats, for tests."""

import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from tests.data import fabricate

HEIGHT, WIDTH = 12, 20


def ids(known: Sequence[int], seed: int = 0, height: int = HEIGHT, width: int = WIDTH):
    """A label map of blocks of 4x4 pixels, uint8 [height, width]."""
    generator = np.random.default_rng(seed)
    blocks = generator.choice(np.array(known, np.uint8), (-(-height // 4), -(-width // 4)))
    return np.ascontiguousarray(np.kron(blocks, np.ones((4, 4), np.uint8))[:height, :width])


def write_image(path: pathlib.Path, seed: int = 0, height: int = HEIGHT, width: int = WIDTH):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), fabricate.picture(seed, height, width))
    return path


def write_label(path: pathlib.Path, label: np.ndarray):
    """Grey, or in colour where label is RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), label[..., ::-1] if label.ndim == 3 else label)
    return path


def write_palette(path: pathlib.Path, label: np.ndarray):
    """A PNG with a palette, whose colours have nothing to do with the ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(label).convert("P")
    picture.putdata(label.ravel().tolist())
    picture.putpalette([255, 255, 255, 9, 9, 9] + [7] * 762)
    picture.save(path)
    return path


def write_pair(image: pathlib.Path, label: pathlib.Path, known: Sequence[int], seed: int = 0):
    write_image(image, seed)
    write_label(label, ids(known, seed))


def kitti_semantics(root: pathlib.Path, numbers: Sequence[int]) -> pathlib.Path:
    for n in numbers:
        name = f"{n:06d}_10.png"
        known = (4, 7, 8, 11, 21, 23, 26)
        write_pair(root / "training/image_2" / name, root / "training/semantic" / name, known, n)
    return root


def cityscapes(root: pathlib.Path, split: str, names: Sequence[str]) -> pathlib.Path:
    """names: as aachen_000000_000019."""
    for seed, name in enumerate(names):
        city = name.split("_")[0]
        write_pair(
            root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png",
            root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png",
            (0, 1, 7, 11, 33),
            seed,
        )
        # What lies beside it in the original and must not be taken.
        for kind in ("labelTrainIds", "color", "instanceIds"):
            path = root / "gtFine" / split / city / f"{name}_gtFine_{kind}.png"
            write_label(path, np.full((HEIGHT, WIDTH), 255, np.uint8))
    return root


def camvid(root: pathlib.Path, split: str, names: Sequence[str], ending="png") -> pathlib.Path:
    for seed, name in enumerate(names):
        image = root / split / f"{name}.{ending}"
        write_pair(image, root / f"{split}annot" / f"{name}.png", range(12), seed)
    return root


def nyu_folder(root: pathlib.Path, numbers: Sequence[int]) -> pathlib.Path:
    for n in numbers:
        label = root / "labels40" / f"{n:04d}.png"
        write_pair(root / "images" / f"{n:04d}.jpg", label, range(41), n)
    return root


def folder(root: pathlib.Path, names: Sequence[str], classes: str = "") -> pathlib.Path:
    for seed, name in enumerate(names):
        write_pair(root / f"images/{name}.jpg", root / f"labels/{name}.png", (0, 1, 2), seed)
    text = classes or "cat 255 0 0\ndog 0 255 0\nvoid 0 0 0\n"
    (root / "classes.txt").write_text(text)
    return root
