"""Looking at all labels once, before hours of training meet the one that can't be used."""

import os
from concurrent.futures import ThreadPoolExecutor

from absl import logging

from geoseg_jax.data.progress import track
from geoseg_jax.data.reading import name_of, reading
from geoseg_jax.data.source import BadRecord, DataError, HasLabels

_THREADS = 8  # decoding lets others run; more of them wait for the disk together
_SHOWN = 8
MOSTLY = 0.5  # share of ignored pixels above which a line says so


def check_labels(source: HasLabels, what: str, bad_share: float = 0.0) -> None:
    """Reads every label of a source, by its `check(i)`, and names what can't be used.

    what: the labels, for the progress line and the log. A Cityscapes label takes 20 ms of a core,
    so all 3475 take 70 s of one, or a part of that with several; a progress line shows it.

    Raises BadRecord, as that of the first such label, where more than a share of bad_share of them
    can't be used: missing, cut short, no label picture, with ids that its table doesn't know, of
    another size than the picture, or beside a damaged one. A smaller share is left to the pipeline,
    which replaces them. Raises DataError where no pixel of any of them has a class; where most have
    none a line says so.
    """

    def look(index: int) -> float | str:
        try:
            with reading(name_of(source, index)):
                return source.check(index)
        except BadRecord as error:
            return str(error)

    count = len(source)
    threads = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
    try:
        results = threads.map(look, range(count))
        found = [next(results) for _ in track(range(count), f"checking {what}")]
    finally:
        threads.shutdown(cancel_futures=True)
    faults = [fault for fault in found if isinstance(fault, str)]
    shares = [share for share in found if isinstance(share, float)]
    fatal = len(faults) > bad_share * count
    if fatal and len(faults) == 1:
        raise BadRecord(faults[0])
    for fault in faults[:_SHOWN]:
        logging.warning("%s: %s", what, fault)
    if len(faults) > _SHOWN:
        logging.warning("%s: and %d more", what, len(faults) - _SHOWN)
    if fatal:
        raise BadRecord(f"{faults[0]} ({len(faults)} of {count} {what} can't be used)")
    _check_classes(source, what, shares)


def _check_classes(source: HasLabels, what: str, shares: list[float]) -> None:
    """Looks at how much of the labels, the share of each, has a class at all."""
    if not shares:
        return
    name = source.table.name
    if not any(shares):
        raise DataError(
            f"all pixels of the {len(shares)} {what} are ignored by the table {name}, as of "
            f"{source.describe(0)!r}; choose their table by config.data.classes"
        )
    ignored = 1 - sum(shares) / len(shares)
    if ignored > MOSTLY:
        logging.warning(
            "%s: %.0f %% of the pixels are ignored by the table %s; is it theirs?",
            what, 100 * ignored, name,
        )  # fmt: skip
    empty = sum(not share for share in shares)
    if empty:
        logging.warning("%s: %d of %d have no pixel of any class", what, empty, len(shares))
