"""Probes encoders on labelled pictures: from arguments to a table, a record and a page."""

import functools
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.core import atomic, json_files, places
from geoseg_jax.core.formats import count
from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.tell import tell
from geoseg_jax.probing import compare, describe, judge, patches, pictures, show, sources, splits
from geoseg_jax.probing.describe import Asked, Found
from geoseg_jax.report import probe as page
from geoseg_jax.scoring import scores

CSV, RECORD, PAGE = "probe.csv", "probe.json", "probe.html"
FEW = 8  # labelled pictures, beside all of them
STRIDES = (4, 8, 16, 32)
_WORKERS = 4  # fits at a time, each with a copy of the features


def probe(asked: Asked, say: Callable[[str], None] = tell) -> dict[str, Any]:
    """Probes, writes the files and returns what probe.json says.

    Raises:
      ConfigError, DataError, WeightsError, CheckpointError: one line, before anything is computed.
    """
    start = time.time()
    _check(asked)
    probed = sources.load(asked.encoders, asked.baselines)
    sources.check_stages(probed, asked.stages)
    reference = _reference(asked, probed)
    found = pictures.read(asked.data, asked.config, asked.resolution, asked.pictures)
    cells = _cells(asked, found)
    say(_opening(found, cells, probed))
    asked.out.mkdir(parents=True, exist_ok=True)
    labels = _labels(found, asked.stride)
    fits = _fit_all(asked, found, probed, cells, labels, say)
    content = describe.describe(asked, found, probed, cells, labels, fits, reference)
    content["seconds"] = round(time.time() - start, 1)
    atomic.write_text(asked.out / CSV, describe.csv_of(fits.rows))
    json_files.write_json(asked.out / RECORD, json_files.plain(content))
    panels = show.panels(found, fits.maps, _shown(asked, found))
    atomic.write_text(asked.out / PAGE, page.render(content, panels))
    return content


def _check(asked: Asked) -> None:
    places.check_local(asked.out, "--out")
    places.check_local(asked.data, "--data")
    if asked.out.exists() and not asked.out.is_dir():
        raise ConfigError(f"--out={asked.out} is a file; name a folder")
    if not (asked.data or asked.config):
        raise ConfigError("give --data=FOLDER (images/, labels/, classes.txt), or --config=FILE.py")
    if not asked.encoders:
        raise ConfigError("--encoders is empty; name one, such as a run's folder, or random")
    for name, least in (("folds", 2), ("repeats", 1), ("pictures", 0), ("shown", 0)):
        if (value := getattr(asked, name)) < least:
            raise ConfigError(f"--{name}={value} must be at least {least}")
    unknown = [word for word in asked.baselines if word not in sources.WORDS]
    if unknown:
        raise ConfigError(
            f"--baselines={unknown[0]} is none of {', '.join(sources.WORDS)}"
            f"{did_you_mean(unknown[0], sources.WORDS)}"
        )
    if asked.stride not in STRIDES:
        raise ConfigError(f"--stride={asked.stride} is none of {', '.join(map(str, STRIDES))}")


def _reference(asked: Asked, probed: Sequence[sources.Probed]) -> str:
    names = [p.name for p in probed]
    if asked.reference and asked.reference not in names:
        raise ConfigError(
            f"--reference={asked.reference} is none of {', '.join(names)}"
            f"{did_you_mean(asked.reference, names)}"
        )
    return asked.reference or names[0]


def _cells(asked: Asked, found: pictures.Labelled) -> list[splits.Cell]:
    """Lists the fits, those on most labels last.

    Where no number of labels is asked for: FEW and all, if there are enough.
    """
    ask = (found.names, found.recordings)
    if asked.labels is not None:
        counts = sorted(asked.labels, key=lambda number: number or math.inf)
        return list(splits.cells(*ask, counts, asked.folds, asked.repeats))
    every = list(splits.cells(*ask, (0,), asked.folds, asked.repeats))
    if min(len(cell.train) for cell in every) <= FEW:
        return every
    return [*splits.cells(*ask, (FEW,), asked.folds, asked.repeats), *every]


def _opening(
    found: pictures.Labelled, cells: Sequence[splits.Cell], probed: Sequence[sources.Probed]
) -> str:
    recordings = len(set(found.recordings) - {""})
    unknown, known = found.recordings.count(""), ""
    if 0 < recordings < len(found.names):
        known = f" (of {count(recordings, 'recording')}"
        known += f", {unknown} of unknown ones)" if unknown else ")"
    height, width = found.images.shape[1:3]
    lines = [f"{len(found.names)} labelled pictures{known} at {width}x{height}"]
    lines += found.notes
    lines.append(f"{count(len(probed), 'encoder')}, {len(cells)} fits of each probe")
    return "\n".join(lines)


def _labels(found: pictures.Labelled, stride: int) -> judge.Labels:
    height, width = (side // stride for side in found.images.shape[1:3])
    classes = len(found.table.classes)
    shares = [patches.shares(label, classes, (height, width)) for label in found.labels]
    judged = np.array(scores.judged_classes(found.table))
    return judge.Labels(found.labels, np.stack(shares), judged)


def _fit_all(
    asked: Asked,
    found: pictures.Labelled,
    probed: Sequence[sources.Probed],
    cells: Sequence[splits.Cell],
    labels: judge.Labels,
    say: Callable[[str], None],
) -> Found:
    """Fits every probe on every encoder, whose features are kept no longer than that.

    Fits run side by side, each on one thread: their products are too small to be worth sharing,
    and threads that wait for each other stand still where a machine has other work.
    """
    fits = Found([], [], {}, [])
    shown = _shown(asked, found)
    most = cells[-1].labels
    workers = min(os.cpu_count() or 1, _WORKERS)
    for number, one in enumerate(probed, start=1):
        begun = time.time()
        maps = sources.features(one, found.images, asked.stages, asked.stride, asked.statistics)
        extracted = time.time() - begun
        for name in judge.PROBES:
            for group in describe.groups(cells):
                fit = functools.partial(judge.judge, name, maps, labels, shown=shown)
                with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
                    outcomes = list(pool.map(fit, group))
                _add(fits, one.name, name, group, outcomes, found)
                if name == judge.LINEAR and group[0].labels == most and not group[0].repeat:
                    fits.maps[one.name] = {p: m for o in outcomes for p, m in o.maps.items()}
        took = time.time() - begun
        say(
            f"{number}/{len(probed)} {one.name}: {maps.shape[-1]} channels in {extracted:.0f} s, "
            f"probes in {took - extracted:.0f} s"
        )
    return fits


def _add(
    fits: Found,
    encoder: str,
    name: str,
    group: Sequence[splits.Cell],
    outcomes: Sequence[judge.Outcome],
    found: pictures.Labelled,
) -> None:
    """Adds the folds of one repeat, which together judge every picture once."""
    by_picture = {p: matrix for o in outcomes for p, matrix in o.matrices.items()}
    matrices = np.stack([by_picture[i] for i in range(len(found.names))])
    first = group[0]
    numbers = scores.scores(matrices.sum(0), found.table)
    settings = " ".join(f"{outcome.setting:g}" for outcome in outcomes)
    fits.rows.append(
        {"encoder": encoder, "probe": name, "labels": first.labels, "repeat": first.repeat}
        | {"settings": settings, "converged": all(o.converged for o in outcomes)}
        | numbers
    )
    bad = sum(not outcome.converged for outcome in outcomes)
    if bad:
        fits.trouble.append(f"{encoder}: {bad} of {len(outcomes)} linear probes did not converge")
    last = fits.scored[-1] if fits.scored else None
    if last and (last.encoder, last.probe, last.labels) == (encoder, name, first.labels):
        joined = np.concatenate([last.matrices, matrices[None]])
        fits.scored[-1] = last._replace(matrices=joined)
    else:
        fits.scored.append(compare.Scored(encoder, name, first.labels, matrices[None]))


def _shown(asked: Asked, found: pictures.Labelled) -> list[int]:
    count = min(asked.shown, len(found.names))
    return [i * len(found.names) // count for i in range(count)]
