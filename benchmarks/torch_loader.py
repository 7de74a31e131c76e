"""The pictures of a data set by a torch DataLoader, as one would write it with OpenCV.

The twin of benchmarks/input_pipeline.py; in a file of its own, since workers import it anew.
"""

import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch.utils import data

cv2.setNumThreads(1)  # as PyTorch's own guide has it: workers are the parallelism
torch.set_num_threads(1)

Batch = dict[str, torch.Tensor]


class Views(data.Dataset):
    """Records of {image, sources} from files: decoded, resized, in RGB, half of them mirrored.

    records: paths of the views of each, the target first; served in turns, `count` of them.
    """

    def __init__(self, records: Sequence[Sequence[str]], size: tuple[int, int], count: int):
        self._records, self._size, self._count = records, size, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Batch:
        flip = bool(torch.rand(()) < 0.5)
        paths = self._records[index % len(self._records)]
        first, *others = (self._read(path, flip) for path in paths)
        return {"image": torch.from_numpy(first), "sources": torch.from_numpy(np.stack(others))}

    def _read(self, path: str, flip: bool) -> np.ndarray:
        picture = cv2.imread(path)
        if picture.shape[:2] != self._size:
            picture = cv2.resize(picture, self._size[::-1], interpolation=cv2.INTER_AREA)
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return cv2.flip(picture, 1) if flip else picture


def timed(records: Sequence[Batch]) -> tuple[Batch, float]:
    """Collates, and says how much processor time this process has taken until then."""
    return data.default_collate(records), time.process_time()


def batches(views: Views, batch_size: int, workers: int) -> Iterator[tuple[Batch, float]]:
    """Yields shuffled batches of uint8, each with the clock of the process that made it."""
    context = "spawn" if workers else None  # a fork of a process with threads may never end
    loader = data.DataLoader(
        views,
        batch_size,
        shuffle=True,
        num_workers=workers,
        collate_fn=timed,
        multiprocessing_context=context,
    )
    while True:
        yield from loader
