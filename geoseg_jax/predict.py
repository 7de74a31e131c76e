"""Writes a run's predictions on a split of its data, or on pictures and videos of your own.

    python -m geoseg_jax.predict --workdir=W --out=DIR [--split=eval|train] [--step=latest|best|N]
    python -m geoseg_jax.predict --workdir=W --out=DIR --images PICTURE, FOLDER, '*.jpg', VIDEO.mp4

For segmentation DIR/labels holds label ids at the pictures' own size, ready for a benchmark or
geoseg_jax.score; for depth DIR/depth holds metres as 16-bit PNGs (scoring/depth_files.py); for
flow DIR/flow holds KITTI's 16-bit PNGs, from each frame to the next. DIR/colour holds the same in
colour, of a video on one scale. DIR/predictions.json, written last, says what made them. See
docs/export.md.
"""

import argparse
import functools
import sys
from collections.abc import Sequence

from absl import logging

from geoseg_jax.core.tell import tell_error
from geoseg_jax.data.source import DataError
from geoseg_jax.prediction.run import predict
from geoseg_jax.prediction.wanted import Wanted
from geoseg_jax.training.compile_cache import keep_compiled


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.predict", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", required=True, help="the run's folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--split", choices=("eval", "train"), default="eval", help="of the run's data"
    )
    which.add_argument(
        "--images",
        nargs="+",
        metavar="PLACE",
        help="in place of a split: pictures, folders, patterns such as 'shots/*.jpg', videos",
    )
    parser.add_argument(
        "--step", default="latest", help="of its checkpoints: latest, best or a number"
    )
    parser.add_argument("--root", help="in place of the run's config.data.root")
    parser.add_argument("--batch_size", type=int, default=4, help="pictures at a time")
    add = functools.partial(parser.add_argument, action="store_true")
    add("--overlays", help="write overlay/: labels over the picture, depth or flow beside it")
    add("--video", help="write video/NAME.mp4, the overlays of each video")
    add("--npy", help="write npy/: places of classes, depth, or flow as numbers")
    add("--ply", help="write points/: depth as coloured points; needs the camera")
    add("--flo", help="write flow as .flo too")
    parser.add_argument(
        "--fps", type=float, help="frames a second of folders of pictures, which makes them videos"
    )
    parser.add_argument("--fov", type=float, help="for --ply: horizontal field of view, degrees")
    parser.add_argument(
        "--camera",
        default="",
        help="for --ply: 'fx fy cx cy' as shares of width and height, or a file of these in pixels",
    )
    logging.set_verbosity(logging.ERROR)  # orbax misses a file that plain checkpoints don't have
    keep_compiled()
    try:
        flags = vars(parser.parse_args(arguments))
        wanted = Wanted(**{name: flags.pop(name) for name in Wanted._fields})
        predict(**flags, wanted=wanted)
    except (DataError, ValueError, OSError) as error:
        tell_error(f"error: {' '.join(str(error).split())}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
