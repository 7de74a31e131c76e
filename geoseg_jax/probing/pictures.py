"""The labelled pictures of a probe: all that a folder or a config's training split has."""

from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from geoseg_jax.config import files
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.data.labels.check import check_labels
from geoseg_jax.data.labels.subsets import FIRST, Subset, choose
from geoseg_jax.data.labels.table import LabelTable
from geoseg_jax.data.name_splits import POOL, TRAIN
from geoseg_jax.data.pictures import fitting
from geoseg_jax.data.readers import find_reader
from geoseg_jax.data.source import DataError, Source, drive_of, left_out
from geoseg_jax.presets import argument

LONG_SIDE = 320  # of pictures, where nobody says
MULTIPLE = 32  # of heights and widths, so that every stage's grid covers the picture
FEWEST = 4
_FOLDER = "configs/segment_folder.py"


class Labelled(NamedTuple):
    """Pictures with their labels, in memory.

    names, recordings: [N], '' where a recording is unknown. images: uint8 [N, H, W, 3]. labels:
    uint8 [h, w] of each, train ids at its own size. notes: what a reader must know, a line each.
    """

    names: list[str]
    recordings: list[str]
    images: np.ndarray
    labels: list[np.ndarray]
    table: LabelTable
    fingerprint: str
    notes: list[str]


def read(data: str, config: str, resolution: str, most: int) -> Labelled:
    """Reads labelled pictures.

    Args:
      data: ROOT; of configs/segment_folder.py, or of `config`.
      config: FILE.py[:OPTIONS] of a segmentation config, whose training split is read; '' for
        configs/segment_folder.py and all pictures in ROOT.
      resolution: WIDTHxHEIGHT, multiples of MULTIPLE; '' for those nearest to the config's, or of
        a folder to the pictures' proportions with a long side of LONG_SIDE.
      most: pictures at most, spread over all; 0 for all.

    Raises:
      ConfigError, DataError: one line, for what can't be used.
    """
    settings, notes = _settings(data, config), []
    if resolution:
        settings.height, settings.width = _asked(resolution)
    elif config:
        given = f"{settings.width}x{settings.height}"
        settings.height, settings.width = map(_near, (settings.height, settings.width))
        if (size := f"{settings.width}x{settings.height}") != given:
            notes.append(f"pictures are {size}: a probe takes multiples of 32, not {given}")
    source = _source(settings)
    if not (resolution or config):
        settings.height, settings.width = fitting(*source.original(0), LONG_SIDE, MULTIPLE)
        source = _source(settings)
    if source.left_out:
        notes.append(f"left out: {left_out(source)}")
    if most and len(source) > most:
        notes.append(f"{most} of {len(source)} labelled pictures are used (--pictures)")
        source = Subset(source, [i * len(source) // most for i in range(most)])
    check_labels(source, "labels to probe")
    return _read(source, notes)


def _asked(resolution: str) -> tuple[int, int]:
    """Reads WIDTHxHEIGHT: height and width.

    Raises:
      ConfigError: for one that is no multiple of MULTIPLE.
    """
    height, width = argument.size(resolution, "--resolution")
    for key, value in (("height", height), ("width", width)):
        if value % MULTIPLE:
            raise ConfigError(
                f"--resolution={resolution}: the {key} must be a multiple of {MULTIPLE}, such as "
                f"{_near(value)}"
            )
    return height, width


def _near(side: int) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE


def _settings(data: str, config: str) -> ConfigDict:
    """Returns config.data with both splits the same pictures, whose labels keep their size."""
    whole = files.load(config or _FOLDER)
    if whole.task.name != "segmentation":
        raise ConfigError(
            f"--config={config}: it is of {whole.task.name}; a probe needs labels, as of the "
            "segment_ configs"
        )
    settings = whole.data
    if data:
        settings.root = data
    settings.eval_split = TRAIN
    if not config:
        settings.train_split = POOL
    return settings


def _source(settings: ConfigDict) -> Source:
    train, judged = find_reader(settings.name).read(settings)
    if not set(train.names) <= set(judged.names):  # splits of its own, whatever eval_split says
        judged = _whole(train, settings.name)
    place = {name: i for i, name in enumerate(judged.names)}
    count, subset = settings.get("labels", 0), settings.get("subset", FIRST)
    chosen = choose(train.names, count, subset, settings.get("subset_seed", 0))
    return Subset(judged, sorted(place[train.names[i]] for i in chosen))


def _whole(train: Source, name: str) -> Source:
    """Returns the pictures to train on as they are, where their labels have their own size.

    Raises:
      ConfigError: where they are resized to train on them.
    """
    if tuple(train[0].get("label_size", ())) != tuple(train.original(0)):
        raise ConfigError(
            f"config.data.name={name!r} can't judge on its training pictures, whose labels are "
            "resized; name another --config, or the pictures by --data=FOLDER"
        )
    return train


def _read(source: Source, notes: list[str]) -> Labelled:
    images, labels, kept = [], [], []
    classes = len(source.table.classes)
    for i in range(len(source)):
        record = source[i]
        height, width = record["label_size"]
        label = record["label"][:height, :width]
        if (label < classes).any():
            kept.append(i)
            images.append(record["image"])
            labels.append(label)
    if len(kept) < len(source):
        notes.append(f"left out: {len(source) - len(kept)} pictures without a pixel of any class")
    if len(kept) < FEWEST:
        raise DataError(
            f"{len(kept)} labelled pictures: a probe trains on some, chooses settings on others "
            f"and judges on others again; label at least {FEWEST}"
        )
    names = [source.names[i] for i in kept]
    drives = [drive_of(source, i) for i in kept]
    recordings = [n if d is None else d for n, d in zip(names, drives, strict=True)]
    fingerprint = source.fingerprint()
    return Labelled(names, recordings, np.stack(images), labels, source.table, fingerprint, notes)
