"""Processor time to score a picture of Cityscapes' size, beside the data set's own evaluator.

    pip install -e '.[test]'
    python -m benchmarks.scoring --json figures.json

Both read a pair of label PNGs of 2048x1024 and count its pixels, in turns, in one thread: ours by
what geoseg_jax.score does with a pair, theirs by evaluatePair of cityscapesscripts. Its C extension
is used where it is there (CYTHONIZE_EVAL=1 when it is built from its repository; what pip installs
has none). Scores of instances, which need files of instances, are left out on its side.
"""

import argparse
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as judge

from geoseg_jax.data.labels.table import label_table
from geoseg_jax.scoring.folders import pair_matrix
from geoseg_jax.scoring.matching import Pair

HEIGHT, WIDTH, IDS = 1024, 2048, 34
REGION = 32  # pixels of a side: how coarse the labels of `regions` are
RIGHT = 0.8  # share of a prediction that is right


def labels(generator: np.random.Generator, region: int) -> np.ndarray:
    """Draws label ids [HEIGHT, WIDTH] of square regions."""
    small = generator.integers(0, IDS, (HEIGHT // region, WIDTH // region), np.uint8)
    return small.repeat(region, 0).repeat(region, 1)


def write_pair(folder: pathlib.Path, region: int) -> Pair:
    """Writes a label and a prediction of which most is right."""
    generator = np.random.default_rng(region)
    truth, other = (labels(generator, region) for _ in range(2))
    wrong = labels(generator, region) >= RIGHT * IDS
    paths = folder / f"{region}.png", folder / f"{region}_gtFine_labelIds.png"
    for path, array in zip(paths, (np.where(wrong, other, truth), truth), strict=True):
        cv2.imwrite(str(path), array)
    return Pair(str(region), *paths)


def seconds(work: Callable[[], object]) -> float:
    """Measures the processor time of this thread."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def compare(pair: Pair, rounds: int) -> dict[str, float]:
    """Scores a pair in turns; the counts of both must agree.

    Returns:
      ours_ms, theirs_ms and ratio, medians over the rounds.
    """
    table, theirs = label_table("cityscapes34"), judge.generateMatrix(judge.args)
    judge.args.evalInstLevelScore = False
    paths = str(pair.prediction), str(pair.label)

    def other() -> None:
        judge.evaluatePair(*paths, theirs, None, {}, judge.args)

    other()
    ours, _ = pair_matrix(pair, table)
    known = [i for i in range(IDS) if table.train_ids[i] == i]
    if not np.array_equal(ours[np.ix_(known, known)], theirs[np.ix_(known, known)]):
        raise SystemExit(f"{pair.label}: the counts differ from those of cityscapesscripts")
    times = [(seconds(lambda: pair_matrix(pair, table)), seconds(other)) for _ in range(rounds)]
    one, two = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return {"ours_ms": one, "theirs_ms": two, "ratio": statistics.median(b / a for a, b in times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="of both, in turns")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    given = parser.parse_args()
    figures: dict[str, object] = {"c_extension": judge.CSUPPORT}
    with tempfile.TemporaryDirectory() as folder:
        for name, region in (("noise", 1), ("regions", REGION)):
            figures[name] = compare(write_pair(pathlib.Path(folder), region), given.rounds)
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
