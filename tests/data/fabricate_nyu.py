"""A tiny nyu_depth_v2_labeled.mat in the true layout, for tests."""

import pathlib

import h5py
import numpy as np

HEIGHT, WIDTH = 24, 32
NAMES = 894


def frame(number: int) -> dict[str, np.ndarray]:
    """Image [H, W, 3], labels and depths [H, W] of a frame, upright."""
    generator = np.random.default_rng(number)
    blocks = generator.integers(0, NAMES + 1, (HEIGHT // 4, WIDTH // 4), np.uint16)
    image = generator.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    return {
        "images": np.kron(image, np.ones((4, 4, 1), np.uint8)),
        "labels": np.kron(blocks, np.ones((4, 4), np.uint16)),
        "depths": generator.uniform(0.7, 10, (HEIGHT, WIDTH)).astype(np.float32),
    }


def write_mat(
    path: pathlib.Path, numbers=(3, 4, 9, 1449), *, scenes: bool = True, listed: bool = True
) -> pathlib.Path:
    """The frames of these official numbers; `listed`: with the list of the numbers beside it."""
    frames = [frame(number) for number in numbers]
    with h5py.File(path, "w", userblock_size=512) as file:
        images = np.stack([f["images"].transpose(2, 1, 0) for f in frames])
        file.create_dataset("images", data=images, chunks=(1, 1, 8, 8), compression="gzip")
        for key in ("labels", "depths"):
            file[key] = np.stack([f[key].T for f in frames])
        # The names are all alike: a cell for each would take a second.
        texts = {"names": ["a name"] * NAMES}
        if scenes:
            texts["scenes"] = [f"kitchen_{number // 10:04d}" for number in numbers]
        for key, strings in texts.items():
            cells = {
                t: file.create_dataset(f"#refs#/{key} {t}", data=codes(t)).ref for t in {*strings}
            }
            references = np.array([[cells[text] for text in strings]], h5py.ref_dtype)
            file.create_dataset(key, data=references, dtype=h5py.ref_dtype)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512, b" "))
    if listed:
        text = "".join(f"{number}\n" for number in numbers)
        path.with_name(f"{path.stem}_frames.txt").write_text(text)
    return path


def codes(text: str) -> np.ndarray:
    """A string as MATLAB keeps it: a column of character codes."""
    return np.array([[ord(c)] for c in text], np.uint16)
