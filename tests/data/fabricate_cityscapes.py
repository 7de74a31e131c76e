"""Small Cityscapes trees with stereo, sequences, disparity and cameras in the true format."""

import json
import pathlib

import cv2
import numpy as np

from tests.data import fabricate

HEIGHT, WIDTH = 40, 64
FX, FY, U0, V0, BASELINE = 70.0, 71.0, 34.0, 20.0, 0.21


def disparity(seed: int) -> np.ndarray:
    """Pixels in the file's encoding: 0, not measured, in a corner, else (p - 1) / 256."""
    values = np.random.default_rng(seed).uniform(0.5, 8, (HEIGHT, WIDTH))
    encoded = np.round(values * 256 + 1).astype(np.uint16)
    encoded[:4, :6] = 0
    encoded[:4, 6] = 1  # infinitely far away
    return encoded


def camera(focal: float = FX) -> dict:
    """What a camera file holds."""
    return {
        "extrinsic": {"baseline": BASELINE, "pitch": 0.038, "roll": 0.0, "x": 1.7, "z": 1.22},
        "intrinsic": {"fx": focal, "fy": FY, "u0": U0, "v0": V0},
    }


def write_frame(
    root: pathlib.Path,
    split: str,
    name: str,
    seed: int = 0,
    *,
    kinds: str = "lrdc",
    sequence: bool = False,
    focal: float = FX,
) -> None:
    """One frame; name: as aachen_000000_000019; kinds: l, r, d and c for what is written of it."""
    city, more = name.split("_")[0], "_sequence" if sequence else ""

    def path(folder: str, ending: str) -> pathlib.Path:
        place = root / f"{folder}{more if folder != 'camera' else ''}" / split / city
        place.mkdir(parents=True, exist_ok=True)
        return place / f"{name}_{folder}{ending}"

    if "l" in kinds:
        picture = fabricate.picture(2 * seed, HEIGHT, WIDTH)
        assert cv2.imwrite(str(path("leftImg8bit", ".png")), picture)
    if "r" in kinds:
        picture = fabricate.picture(2 * seed + 1, HEIGHT, WIDTH)
        assert cv2.imwrite(str(path("rightImg8bit", ".png")), picture)
    if "d" in kinds:
        assert cv2.imwrite(str(path("disparity", ".png")), disparity(seed))
    if "c" in kinds:
        path("camera", ".json").write_text(json.dumps(camera(focal)))


def write(root: pathlib.Path) -> pathlib.Path:
    """Two annotated frames in train, one in val, one in train_extra, five of a sequence."""
    for seed, name in enumerate(("aachen_000000_000019", "aachen_000001_000019")):
        write_frame(root, "train", name, seed)
    write_frame(root, "val", "ulm_000000_000019", 5)
    write_frame(root, "train_extra", "bonn_000000_000007", 6)
    for number in range(17, 22):
        name = f"aachen_000000_{number:06d}"
        write_frame(root, "train", name, 10 + number, kinds="l", sequence=True)
    return root
