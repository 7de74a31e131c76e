"""How fast pictures come: decoding, records, batches, what a step waits for, a torch DataLoader.

    python -m benchmarks.input_pipeline [--root=/data/kitti_raw] [--json=FILE]

Writes the same pictures as PNG and as JPEG into KITTI trees of its own (those of --root, or street
scenes rendered at 1242x375) and packs them (geoseg_jax.prepare), reads them back through their
sources and the pipeline, and prints a table. The time spent waiting is measured against a pretended
training step of --step_ms that needs no processor, as on an accelerator; a real run logs its own as
data_wait_share in metrics.jsonl.

`loader_ratio` is the least of three ratios of processor time a picture, a DataLoader's over ours
(benchmarks/torch_loader.py; pip install -e '.[bench]'): from PNG, from JPEG and from a pack, in
place of which the DataLoader reads the same JPEGs of the records' size from a folder. Both decode
and resize with OpenCV, mirror half of the records and make batches of uint8; neither changes
colours, which is done on the device here. Ours reads in threads, the DataLoader in one worker; the
ratio to one without workers, which keeps the training waiting, stands beside it.
"""

import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import rich.console
import rich.table
from absl import app, flags

from geoseg_jax import prepare
from geoseg_jax.data import pictures
from geoseg_jax.data.kitti.raw import KittiSource
from geoseg_jax.data.kitti.splits import split_frames
from geoseg_jax.data.kitti.tree import KittiTree
from geoseg_jax.data.packs.packed import PackedSource
from geoseg_jax.data.pipeline import train_batches
from geoseg_jax.data.source import Record, Source, Wrapper
from geoseg_jax.data.synthetic.cache import cached_source
from geoseg_jax.data.synthetic.source import SyntheticSource
from geoseg_jax.data.transforms import Augmentation

ROOT = flags.DEFINE_string("root", "", "KITTI raw whose pictures are taken; empty: rendered ones")
HEIGHT = flags.DEFINE_integer("height", 192, "height of the records")
WIDTH = flags.DEFINE_integer("width", 640, "width of the records")
BATCH = flags.DEFINE_integer("batch_size", 12, "records a batch")
WORKERS = flags.DEFINE_list("workers", ["0", "1", "2"], "numbers of workers to try")
STEP_MS = flags.DEFINE_list("step_ms", ["100", "500", "2000"], "lengths of the pretended step")
SECONDS = flags.DEFINE_float("seconds", 6.0, "for each measurement")
KINDS = ["records", "batches", "loader"]
MEASURE = flags.DEFINE_multi_enum("measure", KINDS, KINDS, "what")
JSON = flags.DEFINE_string("json", "", "file for the figures")

ENDINGS = {"PNG": "png", "JPEG": "jpg"}
FRAMES = 6
DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"
VIEWS = 4  # the frame, its two neighbours, its stereo partner
ROUNDS, TURN = 5, 8  # turns of each loader; batches in one, more than are read ahead
LONG = 4000  # records: to shuffle few takes grain as long as to shuffle 65,536
CALIBRATION = """\
S_rect_02: {w} {h}\nS_rect_03: {w} {h}\nR_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 721.5 0 609.6 44.9 0 721.5 172.9 0.2 0 0 1 0.003
P_rect_03: 721.5 0 609.6 -339.5 0 721.5 172.9 2.2 0 0 1 0.003
"""


def taken_pictures() -> Iterator[np.ndarray]:
    """Reads BGR pictures from --root in the order in which they lie there."""
    tree = KittiTree(ROOT.value)
    for frame in split_frames(tree, "all", "--root"):
        if frame.drive == tree.drives[0]:
            yield pictures.read_picture(tree.path(frame))


def rendered_pictures() -> Iterator[np.ndarray]:
    """Renders street scenes of KITTI's size."""
    source = SyntheticSource("street", 2 * FRAMES, 0, 375, 1242, (), False)
    for index in range(len(source)):
        yield cv2.cvtColor(source[index]["image"], cv2.COLOR_RGB2BGR)


def write_trees(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Writes a KITTI tree of the same FRAMES x 2 pictures in each format; returns the roots."""
    source = taken_pictures() if ROOT.value else rendered_pictures()
    roots = {name: folder / name for name in ENDINGS}
    for frame in range(FRAMES):
        for camera in ("image_02", "image_03"):
            picture = next(source)
            for name, root in roots.items():
                place = root / DRIVE / camera / "data"
                place.mkdir(parents=True, exist_ok=True)
                path = place / f"{frame:010d}.{ENDINGS[name]}"
                # Quality 92 is what monodepth2 advises to convert KITTI with.
                quality = [cv2.IMWRITE_JPEG_QUALITY, 92] if name == "JPEG" else []
                cv2.imwrite(str(path), picture, quality)
    height, width = picture.shape[:2]
    for root in roots.values():
        text = CALIBRATION.format(h=height, w=width)
        (root / DRIVE).parent.joinpath("calib_cam_to_cam.txt").write_text(text)
    return roots


def packed_source(root: pathlib.Path, folder: pathlib.Path) -> PackedSource:
    """Packs the tree's pictures at the size of the records."""
    config = prepare.load_config("configs/depth_kitti.py:mono_stereo")
    with config.unlocked():
        config.data.update({"root": str(root), "truth": "none"})
        config.data.update({"train_split": "all", "eval_split": "all"})
    prepare.prepare(config, folder, height=HEIGHT.value, width=WIDTH.value)
    return PackedSource(folder, "train")


def seconds_each(work: Callable[[int], object]) -> float:
    """Measures median processor seconds of work(0), work(1), ... in one thread, over --seconds.

    Processor time, so that the figure per core holds when other programs want the core, too.
    """
    work(0)
    times, end = [], time.perf_counter() + SECONDS.value
    while time.perf_counter() < end or len(times) < 3:
        start = time.thread_time()
        work(len(times))
        times.append(time.thread_time() - start)
    return statistics.median(times)


def measure_records(source: Source, root: pathlib.Path | None) -> dict[str, float]:
    """Measures pictures a second of one thread and, of files, the share of decoding."""
    record = seconds_each(lambda i: source[i % len(source)])
    result = {"pictures_per_second_per_core": VIEWS / record}
    if root is not None:
        files = sorted(root.rglob("image_0?/data/*"))
        decode = seconds_each(lambda i: pictures.read_picture(files[i % len(files)]))
        result["decode_share"] = decode * VIEWS / record
        result["kilobytes_per_picture"] = statistics.mean(f.stat().st_size for f in files) / 1000
    return result


def measure_batches(source: Source, workers: int) -> dict[str, float]:
    """Measures batches a second alone, and the share of time waiting at each step length.

    The first batches, in which the workers start, are not counted.
    """
    flip = Augmentation(flip=True)
    batches = train_batches(  # as of a set too large to be kept in memory
        Long(source), batch_size=BATCH.value, seed=0, workers=workers, augment=flip
    )
    try:
        for _ in range(2 + 2 * workers):  # use up what was read ahead meanwhile
            next(batches)
        count, start = 0, time.perf_counter()
        while time.perf_counter() < start + SECONDS.value:
            next(batches)
            count += 1
        result = {"batches_per_second": count / (time.perf_counter() - start)}
        for milliseconds in STEP_MS.value:
            step = float(milliseconds) / 1000
            waited, start = 0.0, time.perf_counter()
            while time.perf_counter() < start + max(SECONDS.value, 4 * step):
                before = time.perf_counter()
                next(batches)
                waited += time.perf_counter() - before
                time.sleep(step)
            share = waited / (time.perf_counter() - start)
            result[f"wait_share_step_{milliseconds}_ms"] = share
        return result
    finally:
        batches.close()


class Long(Wrapper):
    """A source whose records come again and again, as those of a large one; counts those read."""

    def __init__(self, source: Source):
        super().__init__(source)
        self.count = 0

    def __len__(self) -> int:
        return LONG

    def __getitem__(self, index: int) -> Record:
        record = self.source[index % len(self.source)]
        self.count += 1
        return record

    def describe(self, index: int) -> str:
        return self.source.describe(index % len(self.source))


def small_files(records: list[list[str]], folder: pathlib.Path) -> list[list[str]]:
    """Writes the records' pictures at their size, as JPEGs of a pack's quality."""
    folder.mkdir()
    every = sorted({path for record in records for path in record})
    paths = {path: str(folder / f"{number}.jpg") for number, path in enumerate(every)}
    for path, small in paths.items():
        picture = pictures.resize(pictures.read_picture(path), HEIGHT.value, WIDTH.value)
        cv2.imwrite(small, picture, [cv2.IMWRITE_JPEG_QUALITY, prepare.QUALITY])
    return [[paths[path] for path in record] for record in records]


def our_turns(source: Long) -> Iterator[float]:
    """Yields processor seconds a picture, of each turn: all threads' time over all records read."""
    batches = train_batches(source, batch_size=BATCH.value, seed=0, augment=Augmentation(flip=True))
    try:
        next(batches)
        while True:
            count, start = source.count, time.process_time()
            for _ in range(TURN):
                next(batches)
            yield (time.process_time() - start) / (source.count - count) / VIEWS
    finally:
        batches.close()


def their_turns(views: Any, workers: int) -> Iterator[float]:
    """Yields the same of a DataLoader: this thread's time, and that of a worker from one batch to
    another.
    """
    from benchmarks import torch_loader

    batches = torch_loader.batches(views, BATCH.value, workers)
    _, last = next(batches)
    while True:
        start = time.thread_time()
        for _ in range(TURN):
            _, clock = next(batches)
        spent = time.thread_time() - start + (clock - last if workers else 0)
        last = clock
        yield spent / (TURN * BATCH.value * VIEWS)


def measure_loader(source: Source, records: list[list[str]]) -> dict[str, float]:
    """Measures milliseconds of processor time a picture, of ours and of a DataLoader, in turns.

    records: the files that the DataLoader reads.
    """
    from benchmarks import torch_loader

    views = torch_loader.Views(records, (HEIGHT.value, WIDTH.value), LONG)
    turns = our_turns(Long(source)), their_turns(views, 1), their_turns(views, 0)
    rows = np.array([[1000 * next(turn) for turn in turns] for _ in range(ROUNDS)])
    for turn in turns:
        turn.close()
    ours, worker, alone = np.median(rows, 0).tolist()
    ratio, ratio_alone = np.median(rows[:, 1:] / rows[:, :1], 0).tolist()
    return {
        **{"ours_ms": ours, "torch_ms": worker, "torch_no_workers_ms": alone},
        **{"ratio": ratio, "ratio_no_workers": ratio_alone},
    }


def show(results: dict[str, dict[str, float]], title: str) -> None:
    """Formats a table with a row for each result."""
    columns = list(dict.fromkeys(key for row in results.values() for key in row))
    table = rich.table.Table("", *(c.replace("_", " ") for c in columns), title=title)
    for name, row in results.items():
        shares = {c: f"{100 * row[c]:.0f} %" if "share" in c else f"{row[c]:.4g}" for c in row}
        table.add_row(name, *(shares.get(column, "-") for column in columns))
    rich.console.Console(width=None if os.isatty(1) else 120).print(table)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="input_pipeline_"))
    try:
        sources: dict[str, tuple[Source, pathlib.Path | None]] = {}
        files: dict[str, list[list[str]]] = {}  # of each record, for the DataLoader
        for name, root in write_trees(folder).items():
            tree = KittiTree(root)
            frames = split_frames(tree, "all", "root")
            kitti = KittiSource(tree, frames, height=HEIGHT.value, width=WIDTH.value)
            sources[name] = (kitti, root)
            files[name] = [[str(path) for _, path in kitti.files(i)] for i in range(len(kitti))]
        sources["packed"] = (packed_source(sources["PNG"][1], folder / "pack"), None)
        files["packed"] = small_files(files["PNG"], folder / "small")
        size = f"{WIDTH.value}x{HEIGHT.value}"
        records, batches, loader = {}, {}, {}
        if "records" in MEASURE.value:
            street = SyntheticSource("street", 12, 0, HEIGHT.value, WIDTH.value)
            records = {name: measure_records(*pair) for name, pair in sources.items()}
            records["synthetic, rendered"] = measure_records(street, None)
            records["synthetic, cached"] = measure_records(cached_source(street, folder), None)
            show(records, f"records of {VIEWS} pictures, {size}, one thread")
        if "batches" in MEASURE.value:
            batches = {
                f"{name}, {workers} workers": measure_batches(source, int(workers))
                for name, (source, _) in sources.items()
                for workers in WORKERS.value
            }
            show(batches, f"batches of {BATCH.value} records, {size}, {os.cpu_count()} cores")
        if "loader" in MEASURE.value and importlib.util.find_spec("torch") is None:
            print("no comparison with a torch DataLoader: pip install -e '.[bench]'")
        elif "loader" in MEASURE.value:
            loader = {name: measure_loader(sources[name][0], files[name]) for name in sources}
            show(loader, f"processor time a picture, batches of {BATCH.value} records, {size}")
    finally:
        shutil.rmtree(folder)
    if JSON.value:
        figures = {
            "records": records,
            "batches": batches,
            "loader": loader,
            "flags": {f.name: f.value for f in flags.FLAGS.get_key_flags_for_module(argv[0])},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        if loader:
            figures["loader_ratio"] = min(row["ratio"] for row in loader.values())
        pathlib.Path(JSON.value).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
