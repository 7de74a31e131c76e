"""Looking at all labels once, before hours of training meet the one that can't be used."""

import os
from concurrent.futures import ThreadPoolExecutor

from absl import logging

from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import name_of, reading
from geoseg_jax.data.source import BadRecord, Source

_THREADS = 8  # decoding lets others run; more of them wait for the disk together
_SHOWN = 8


def check_labels(source: Source, what: str, bad_share: float = 0.0) -> None:
    """Reads every label of a source, by its `check(i)`, and names what can't be used.

    what: the labels, for the progress line and the log. A Cityscapes label takes 20 ms of a core,
    so all 3475 take 70 s of one, or a part of that with several; a progress line shows it.

    Raises BadRecord, as that of the first such label, where more than a share of bad_share of them
    can't be used: missing, cut short, no label picture, with ids that its table doesn't know, or of
    another size than the picture. A smaller share is left to the pipeline, which replaces them.
    """

    def fault(index: int) -> str:
        try:
            with reading(name_of(source, index)):
                source.check(index)
        except BadRecord as error:
            return str(error)
        return ""

    count = len(source)
    threads = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
    try:
        results = threads.map(fault, range(count))
        faults = [
            found for _ in track(range(count), f"checking {what}") if (found := next(results))
        ]
    finally:
        threads.shutdown(cancel_futures=True)
    fatal = len(faults) > bad_share * count
    if fatal and len(faults) == 1:
        raise BadRecord(faults[0])
    for found in faults[:_SHOWN]:
        logging.warning("%s: %s", what, found)
    if len(faults) > _SHOWN:
        logging.warning("%s: and %d more", what, len(faults) - _SHOWN)
    if fatal:
        raise BadRecord(f"{faults[0]} ({len(faults)} of {count} {what} can't be used)")
