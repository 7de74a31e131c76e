"""Time and memory to find what a KITTI-sized tree holds, before anything is read.

    python -m benchmarks.index --json figures.json

Makes a tree like KITTI raw's of empty files: a picture of both cameras, a scan and a record of
GPS/IMU for each frame, and calibration; 90,000 pictures by default. index_s is processor time of
making the sources of depth_kitti.py:mono_stereo, index_mb what memory grows by meanwhile, at most.
"""

import argparse
import json
import pathlib
import resource
import tempfile
import time

from geoseg_jax.config import files
from geoseg_jax.data.kitti.splits import eigen_test_drives
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.source import left_out

DRIVES = 150  # KITTI raw has 151
KINDS = {"image_02": "png", "image_03": "png", "velodyne_points": "bin", "oxts": "txt"}
CAMERAS = """\
S_rect_02: 1242 375\nS_rect_03: 1242 375\nR_rect_00: 1 0 0 0 1 0 0 0 1
P_rect_02: 721.5 0 609.6 44.9 0 721.5 172.9 0.2 0 0 1 0.003
P_rect_03: 721.5 0 609.6 -339.5 0 721.5 172.9 2.2 0 0 1 0.003
"""
MOUNT = "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.08 -0.27\n"


def make_tree(root: pathlib.Path, pictures: int) -> None:
    """Makes the tree, of empty files but for the calibration."""
    test = sorted(eigen_test_drives())
    dates = sorted({drive.split("/")[0] for drive in test})
    others = (f"{dates[n % 5]}/{dates[n % 5]}_drive_{200 + n:04d}_sync" for n in range(DRIVES))
    drives = [*test, *others][:DRIVES]
    for date in dates:
        (root / date).mkdir(parents=True)
        (root / date / "calib_cam_to_cam.txt").write_text(CAMERAS)
        for name in ("calib_velo_to_cam.txt", "calib_imu_to_velo.txt"):
            (root / date / name).write_text(MOUNT)
    for number, drive in enumerate(drives):
        frames = range(number, pictures // 2, len(drives))
        for folder, ending in KINDS.items():
            place = root / drive / folder / "data"
            place.mkdir(parents=True)
            for frame in range(len(frames)):
                (place / f"{frame:010d}.{ending}").touch()


def peak_mb() -> float:
    """Returns the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=90_000, help="of both cameras")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_tree(pathlib.Path(folder), given.pictures)
        data = files.load("configs/depth_kitti.py:mono_stereo").data
        data.root = folder
        reader = find_reader(data.name)
        before, start = peak_mb(), time.process_time()
        train, judged = reader.read(data)
        seconds, memory = time.process_time() - start, peak_mb() - before
    for split, source in (("train", train), ("eval", judged)):
        print(f"{split}: {len(source)} records; left out: {left_out(source)}")
    figures = {"pictures": given.pictures, "index_s": seconds, "index_mb": memory}
    print(json.dumps(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
