"""Keeps the confusion matrix of each judged picture, beside a run's numbers: WORKDIR/judged.npz.

The pictures that judge a network are a sample as well as its training pictures are. With a matrix
of each one a study can tell how far its differences rest on the very pictures that judged.
"""

import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.analysis import statistics
from geoseg_jax.core import atomic, formats
from geoseg_jax.data.provenance.reads import plain_drive
from geoseg_jax.data.source import DataError, Source, drive_of
from geoseg_jax.scoring import resampling
from geoseg_jax.scoring.scores import judged_classes
from geoseg_jax.tasks.base import EACH

FILE = "judged.npz"


class Judged(NamedTuple):
    """The pictures of an evaluation, in the order of their source.

    pictures: [N] names. recordings: [N] the drive that each comes from, its own name where it is a
    recording of its own, '' where unknown. matrices: int64 [N, C, C], counts of pixels by true and
    predicted class. classes: [K], which of the C are judged.
    """

    pictures: np.ndarray
    recordings: np.ndarray
    matrices: np.ndarray
    classes: np.ndarray


def keep(workdir: pathlib.Path, totals: Mapping[str, Any], source: Source) -> None:
    """Writes the file; nothing for a task that judges no pictures one by one.

    Args:
      totals: of training.evaluation.evaluate: each/confusion [n, C, C] and each/id [n], the number
        of the record in the source, below 0 for rows that only fill a batch up.
      source: what was judged.

    Raises:
      ValueError: where a record is missing or there twice.
    """
    if f"{EACH}confusion" not in totals:
        return
    ids, matrices = totals[f"{EACH}id"], totals[f"{EACH}confusion"]
    order = np.argsort(ids, kind="stable")[np.count_nonzero(ids < 0) :]
    if not np.array_equal(ids[order], np.arange(len(source))):
        raise ValueError(f"expected {len(source)} pictures, each judged once; got the ids {ids}")
    names = [source.describe(i) for i in range(len(source))]
    drives = [drive_of(source, i) for i in range(len(source))]
    own = [n if d is None else plain_drive(d) for n, d in zip(names, drives, strict=True)]
    workdir.mkdir(parents=True, exist_ok=True)
    # In a file that is opened here: numpy would add its own ending to another name.
    with atomic.replacing(workdir / FILE) as partial, open(partial, "wb") as file:
        np.savez_compressed(
            file,
            pictures=np.array(names, str),
            recordings=np.array(own, str),
            matrices=matrices[order].astype(np.int32),
            classes=np.array(judged_classes(source.table), np.int32),
        )


def read(workdir: pathlib.Path) -> Judged | None:
    """Reads what `keep` wrote; None where there is no file, as of runs by older code.

    Raises:
      DataError: for a file that is none of these.
    """
    path = workdir / FILE
    if not path.exists():
        return None
    try:
        with np.load(path) as arrays:
            kept = Judged(*(arrays[name] for name in Judged._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: it can't be read ({error}); remove it") from error
    return kept._replace(matrices=kept.matrices.astype(np.int64))


def few(workdir: pathlib.Path, miou: float) -> dict[str, float]:
    """Says how little a score is worth where fewer than statistics.FEW_PICTURES have judged.

    Returns:
      Nothing where there are more, or no matrices of them. Else 'judged_pictures', and miou_low and
      miou_high, the 95 % interval of mIoU over other pictures like these (recordings where they are
      known), nan where even that is too much to say.
    """
    kept = read(workdir)
    if kept is None or len(kept.pictures) >= statistics.FEW_PICTURES:
        return {}
    names = resampling.drawn_with(kept.pictures, kept.recordings)
    groups = sorted(set(names))
    times = resampling.draw_times(len(groups))[:, [groups.index(name) for name in names]]
    scores = resampling.rescored(times, kept.matrices, kept.classes)["miou"]
    low, high = statistics.resampled_interval(miou, scores, len(groups))
    return {"judged_pictures": len(names), "miou_low": max(low, 0.0), "miou_high": min(high, 1.0)}


def warn_of_few(said: Mapping[str, Any], miou: float, folds: int) -> str:
    """Writes what `few` found as a line for the log; '' where it found nothing.

    folds: into which the labelled pictures were dealt, 0 where a list says who judges.
    """
    if not said:
        return ""
    low, high = said["miou_low"], said["miou_high"]
    span = f"95 % interval over such pictures {formats.interval(low, high, sign=False)}"
    known = span if formats.known(low) else "too few, or of too few recordings, for an interval"
    more = (
        f", or let each judge once: config.data.fold=0 to {folds - 1}, or a study" if folds else ""
    )
    return (
        f"only {formats.count(said['judged_pictures'], 'picture')} judged: mIoU "
        f"{formats.points(miou)} % ({known}); label more{more}"
    )
