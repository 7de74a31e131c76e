"""What a probe was asked for, what its fits gave, and what probe.json says of both."""

import csv
import io
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax import __version__
from geoseg_jax.core import json_files
from geoseg_jax.core.formats import known
from geoseg_jax.probing import compare, judge, pictures, sources, splits


class Asked(NamedTuple):
    """What the command line asks for; see probe.py."""

    encoders: Sequence[str]
    out: pathlib.Path
    data: str = ""
    config: str = ""
    reference: str = ""
    baselines: Sequence[str] = sources.WORDS[::-1]
    labels: Sequence[int] | None = None
    repeats: int = 3
    folds: int = 5
    stages: Sequence[int] = (8, 16, 32)
    stride: int = 16
    resolution: str = ""
    statistics: str = sources.FROZEN
    pictures: int = 200
    shown: int = 4
    command: str = ""


class Found(NamedTuple):
    """What all fits of a run gave.

    rows: for probe.csv. scored: matrices of each encoder, probe and number of labels. maps:
    encoder -> picture -> its map by the linear probe. trouble: a line each.
    """

    rows: list[dict[str, Any]]
    scored: list[compare.Scored]
    maps: dict[str, dict[int, np.ndarray]]
    trouble: list[str]


def groups(cells: Sequence[splits.Cell]) -> list[list[splits.Cell]]:
    """Puts the folds of one number of labels and one repeat together."""
    groups: dict[tuple[int, int], list[splits.Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.labels, cell.repeat), []).append(cell)
    return list(groups.values())


def describe(
    asked: Asked,
    found: pictures.Labelled,
    probed: Sequence[sources.Probed],
    cells: Sequence[splits.Cell],
    labels: judge.Labels,
    fits: Found,
    reference: str,
) -> dict[str, Any]:
    """Collects what probe.json says: what was compared, how, and what came out."""
    drawn = compare.units(found.names, found.recordings)
    classes = [found.table.classes[c] for c in labels.judged]
    height, width = found.images.shape[1:3]
    return {
        "reference": reference,
        "results": [compare.summary(s, labels.judged, drawn) for s in fits.scored],
        "differences": _differences(fits.scored, labels.judged, drawn, reference),
        "constant": _constant(labels, groups(cells)[-1]),
        "ceiling": _miou(judge.ceiling(labels), labels),
        "classes": classes,
        "class_shares": _shares(labels),
        "rows": fits.rows,
        "encoders": [_origin(p) for p in probed],
        "trouble": fits.trouble,
        "notes": found.notes,
        "pictures": len(found.names),
        "unit": drawn.what,
        "units": drawn.count,
        "trained_on": _trained_on(cells),
        "settings": {
            **{"resolution": f"{width}x{height}", "stride": asked.stride},
            **{"stages": list(asked.stages), "statistics": asked.statistics},
            **{"folds": len({cell.fold for cell in cells}), "repeats": asked.repeats},
            **{"data": asked.data, "config": asked.config, "data_sha256": found.fingerprint},
        },
        "command": asked.command,
        "version": __version__,
        "date": json_files.now(),
    }


def _differences(
    scored: Sequence[compare.Scored], judged: np.ndarray, drawn: compare.Units, reference: str
) -> list[dict[str, Any]]:
    of = {(s.probe, s.labels): s for s in scored if s.encoder == reference}
    pairs = [(s, of[s.probe, s.labels]) for s in scored if s.encoder != reference]
    return compare.corrected([compare.difference(*pair, judged, drawn) for pair in pairs])


def _constant(labels: judge.Labels, group: Iterable[splits.Cell]) -> float:
    return _miou([m for cell in group for m in judge.constant(labels, cell).values()], labels)


def _miou(matrices: Sequence[np.ndarray], labels: judge.Labels) -> float:
    return float(compare.mean_score(np.sum(matrices, axis=0)[None], labels.judged))


def _shares(labels: judge.Labels) -> list[float]:
    pixels = labels.shares.sum((0, 1, 2))[labels.judged]
    return (pixels / max(pixels.sum(), 1e-9)).tolist()


def _trained_on(cells: Sequence[splits.Cell]) -> dict[str, str]:
    """Tells on how many pictures probes were trained, by number of labels asked for."""
    counts: dict[int, list[int]] = {}
    for cell in cells:
        counts.setdefault(cell.labels, []).append(len(cell.train))
    return {
        str(labels): f"{min(of)}" if min(of) == max(of) else f"{min(of)} to {max(of)}"
        for labels, of in counts.items()
    }


def _origin(probed: sources.Probed) -> dict[str, Any]:
    encoder = probed.encoder
    if encoder is None:
        return {"name": probed.name, "source": probed.source, "architecture": "", "origin": {}}
    return {
        **{"name": probed.name, "source": probed.source, "architecture": encoder.name},
        **{"normalisation": encoder.normalisation, "origin": dict(encoder.origin)},
    }


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes one line for each encoder, probe, number of labels and repeat; no number is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(column) for column in columns]
        writer.writerow(["" if isinstance(v, float) and not known(v) else v for v in values])
    return text.getvalue()
