"""Which frames of a published list are there, and a split of those.

    python -m geoseg_jax.data.kitti.frames FILE --root=/data/kitti_raw [--out=SPLIT]

FILE: one of the community's lists of KITTI raw, a line `DRIVE FRAME l|r` each, as monodepth2's
repository has them (splits/eigen/test_files.txt, splits/eigen_zhou/train_files.txt, ...), from
wherever you have it. What is missing is listed by drive. --out writes the lines that are there,
for --config.data.train_split=SPLIT or --config.data.eval_split=SPLIT; where none is missing FILE
itself will do.
"""

import argparse
import pathlib
import sys
from collections.abc import Iterator, Sequence

from geoseg_jax.core.atomic import write_text
from geoseg_jax.data.kitti.splits import read_frames
from geoseg_jax.data.kitti.tree import Frame, KittiTree
from geoseg_jax.data.source import DataError

_NAMED = 8  # missing frames of one drive that are listed by number


def report(tree: KittiTree, frames: Sequence[Frame]) -> Iterator[str]:
    """Tells in lines how many frames are there, with what truth, and which are missing."""
    there = [frame for frame in frames if frame in tree]
    scans = sum(frame.number in tree.scans(frame.drive) for frame in there)
    improved = sum(frame.number in tree.improved(frame.drive, frame.side) for frame in there)
    yield f"{len(there)} of {len(frames)} frames are under {tree.root}"
    yield f"{scans} of these have a velodyne scan, {improved} improved ground truth"
    for drive in sorted({frame.drive for frame in frames}):
        named = [frame for frame in frames if frame.drive == drive]
        missing = [f"{frame.number} {frame.side}" for frame in named if frame not in tree]
        if drive not in tree.drives:
            yield f"missing: {drive}, the whole drive, {len(named)} frames"
        elif missing:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            told = ", ".join(missing[:_NAMED]) + more
            yield f"missing: {drive}, {len(missing)} of {len(named)} frames: {told}"


def split_text(tree: KittiTree, frames: Sequence[Frame], origin: str) -> str:
    """Returns a split file of the frames that are there, in the order of the list.

    Raises DataError where none is.
    """
    there = [frame for frame in frames if frame in tree]
    if not there:
        raise DataError(f"{origin}: none of its {len(frames)} frames is under {tree.root}")
    lines = [f"# {len(there)} of the {len(frames)} frames of {origin}", *map(str, there)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 where frames are missing and no split of the others was written."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.data.kitti.frames", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("file", metavar="FILE", type=pathlib.Path, help="DRIVE FRAME l|r a line")
    parser.add_argument("--root", required=True, help="the folder of KITTI raw")
    parser.add_argument("--out", metavar="SPLIT", type=pathlib.Path, help="file to write")
    given = parser.parse_args(arguments)
    try:
        tree = KittiTree(given.root, "--root")
        frames = list(dict.fromkeys(frame for _, frame in read_frames(given.file)))
        for line in report(tree, frames):
            print(line)
        if given.out:
            write_text(given.out, split_text(tree, frames, given.file.name))
            print(
                f"{given.out} holds those that are there; use --config.data.eval_split={given.out}"
            )
    except (DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0 if given.out or all(frame in tree for frame in frames) else 1


if __name__ == "__main__":
    sys.exit(main())
