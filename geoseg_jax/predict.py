"""Writes a run's predictions: geoseg_jax.prediction on the command line.

    python -m geoseg_jax.predict --workdir=W --out=DIR [--split=eval|train] [--step=latest|best|N]
    python -m geoseg_jax.predict --workdir=W --out=DIR --images=FOLDER or VIDEO.mp4

For segmentation DIR/labels holds label ids at the pictures' own size, ready for a benchmark or
geoseg_jax.score; for depth DIR/depth holds metres as 16-bit PNGs (scoring/depth_files.py).
DIR/colour holds the same in colour. DIR/predictions.json, written last, says what made them.
"""

import argparse
import sys
from collections.abc import Sequence

from absl import logging

from geoseg_jax.core.tell import tell_error
from geoseg_jax.data.source import DataError
from geoseg_jax.prediction.run import predict
from geoseg_jax.training.compile_cache import keep_compiled


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m geoseg_jax.predict", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--workdir", required=True, help="the run's folder")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--split", choices=("eval", "train"), default="eval")
    which.add_argument("--images", metavar="FOLDER", help="pictures or a video in place of a split")
    parser.add_argument("--step", default="latest", help="latest, best or a number")
    parser.add_argument("--root", help="in place of the run's config.data.root")
    parser.add_argument("--batch_size", type=int, default=4, help="pictures at a time")
    logging.set_verbosity(logging.ERROR)  # orbax misses a file that plain checkpoints don't have
    keep_compiled()
    try:
        predict(**vars(parser.parse_args(arguments)))
    except (DataError, ValueError, OSError) as error:
        tell_error(f"error: {' '.join(str(error).split())}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
