"""Small flow data sets in their true formats, written by other means than the readers'."""

import pathlib
import struct

import cv2
import numpy as np

HEIGHT, WIDTH = 12, 20


def vectors(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Sixty-fourths of a pixel, which KITTI's files hold exactly. float32 [H, W, 2]."""
    codes = np.random.default_rng(seed).integers(-640, 640, (height, width, 2))
    return (codes / 64).astype(np.float32)


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def flo(path: pathlib.Path, flow: np.ndarray) -> None:
    height, width, _ = flow.shape
    numbers = flow.astype(np.float32).ravel().tolist()
    content = struct.pack(f"<fii{len(numbers)}f", 202021.25, width, height, *numbers)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def kitti_png(path: pathlib.Path, flow: np.ndarray, known: np.ndarray) -> None:
    rgb = np.zeros((*flow.shape[:2], 3), np.uint16)
    for y, x in np.ndindex(known.shape):
        if known[y, x]:
            u, v = flow[y, x]
            rgb[y, x] = (round(u * 64) + 32768, round(v * 64) + 32768, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def png(path: pathlib.Path, content: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), content)


def kitti(root: pathlib.Path, names, *, noc: bool = True, folder: str = "image_2") -> pathlib.Path:
    """Pairs of differing sizes: the n-th is n pixels wider; even rows known, the first 3 hidden."""
    training = root / "training"
    for i, name in enumerate(names):
        width = WIDTH + i
        known = np.zeros((HEIGHT, width), bool)
        known[::2] = True
        seen = known.copy()
        seen[:3] = False
        flow = vectors(i, HEIGHT, width)
        for number in (10, 11):
            file = training / folder / f"{name}_{number}.png"
            png(file, picture(2 * i + number, HEIGHT, width))
        kitti_png(training / "flow_occ" / f"{name}_10.png", flow, known)
        if noc:
            kitti_png(training / "flow_noc" / f"{name}_10.png", flow, seen)
    return root


def middlebury(root: pathlib.Path, scenes=("Dimetrodon", "RubberWhale")) -> pathlib.Path:
    for i, scene in enumerate(scenes):
        for number in (10, 11):
            png(root / "other-data" / scene / f"frame{number}.png", picture(i + number))
        flo(root / "other-gt-flow" / scene / "flow10.flo", vectors(i))
    return root


def chairs(root: pathlib.Path, kinds=(1, 1, 2, 1)) -> pathlib.Path:
    folder = root / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, len(kinds) + 1):
        for n in (1, 2):
            header = f"P6\n{WIDTH} {HEIGHT}\n255\n".encode()
            (folder / f"{i:05d}_img{n}.ppm").write_bytes(header + picture(10 * i + n).tobytes())
        flo(folder / f"{i:05d}_flow.flo", vectors(i))
    (root / "FlyingChairs_train_val.txt").write_text("".join(f"{kind}\n" for kind in kinds))
    return root
