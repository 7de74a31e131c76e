"""Pairs of frames with the flow between them, whatever data set they are of, as a Source."""

import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data import pictures
from geoseg_jax.data.flow import files as flow_files
from geoseg_jax.data.flow import maps as flow_maps
from geoseg_jax.data.name_splits import TRAIN, split_names
from geoseg_jax.data.source import BadRecord, DataError, Record

# A file -> flow float32 [H, W, 2] in pixels, and bool [H, W] where it is known.
ReadFlow = Callable[[pathlib.Path], tuple[np.ndarray, np.ndarray]]
ALL = "all"  # a split: every pair there is
SAME_DRIVE = "pair of a drive that evaluates"
# Part of the fingerprint: to be changed with the way in which truth is resized.
_RESIZED = "resized by flow_maps"


class Pair(NamedTuple):
    """Two frames and the flow from the first to the second.

    name: the published one, unique in its set. visible: a flow file that is known just where the
    point is seen in both frames (KITTI's flow_noc), or None. drive: the recording, '' if unknown.
    """

    name: str
    first: pathlib.Path
    second: pathlib.Path
    flow: pathlib.Path
    visible: pathlib.Path | None = None
    drive: str = ""


class FlowPairs:
    """Pairs as a Source of {image, sources} and, if asked for, their flow; `pairs` is public.

    read_flow: what the flow files are read by. height, width: that pictures are brought to.
    flow: 'none'; 'resized', of the pictures' size and in their pixels (training); or 'full', of its
    own size, padded to the largest of the pairs (evaluation). It is resized as `flow_maps.resize`
    does: wherever a scanner measured, a pixel keeps one vector of it. flow_visible is there where
    all pairs have it.

    Raises BadRecord where flow is 'full' and the header of a picture can't be read.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        read_flow: ReadFlow,
        *,
        height: int,
        width: int,
        flow: str = "none",
        left_out: Mapping[str, int] | None = None,
    ):
        self.pairs, self._read_flow = tuple(pairs), read_flow
        self.left_out = dict(left_out or {})
        self._size, self._flow = (height, width), flow
        self._has_visible = all(pair.visible for pair in self.pairs)
        self._padded = self._size
        if flow == "full" and self.pairs:
            sizes = [_picture_size(pair.first) for pair in self.pairs]
            self._padded = tuple(map(max, zip(*sizes, strict=True)))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for a file that can't be read, and for sizes that differ in a pair."""
        pair = self.pairs[index]
        first, second = (_read_picture(path) for path in (pair.first, pair.second))
        _same_size(first, pair.second, second)
        image, source = (
            pictures.to_rgb(pictures.resize(np.ascontiguousarray(p), *self._size))
            for p in (first, second)
        )
        record = {"image": image, "sources": source[None]}
        if self._flow == "none":
            return record
        flow, known = self.flow(index)
        _same_size(first, pair.flow, flow)
        maps = {"flow": flow, "flow_valid": known}
        if self._has_visible:
            _, seen = self._read_flow(pair.visible)
            _same_size(first, pair.visible, seen)
            maps["flow_visible"] = seen & known
        if self._flow == "resized":
            return record | flow_maps.resize(maps, *self._size)
        size = {"flow_size": np.array(flow.shape[:2], np.int32)}
        return record | size | {key: _pad(m, self._padded) for key, m in maps.items()}

    def flow(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads true flow at its own size, and where it is known. Raises BadRecord."""
        return self._read_flow(self.pairs[index].flow)

    def describe(self, index: int) -> str:
        return self.pairs[index].name

    def drive(self, index: int) -> str:
        return self.pairs[index].drive

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns the two pictures, by their names and that of their folder."""
        pair = self.pairs[index]
        return tuple((f"{p.parent.name}/{p.name}", p) for p in (pair.first, pair.second))

    def fingerprint(self) -> str:
        """Hashes the names, the sizes of their files and what is served of them."""
        served = (self._size, _RESIZED if self._flow == "resized" else self._flow)
        digest = hashlib.sha256(repr(served).encode())
        for pair in self.pairs:
            sizes = [path.stat().st_size for path in (pair.first, pair.second, pair.flow)]
            digest.update(f"{pair.name} {sizes}\n".encode())
        return digest.hexdigest()


def make_pairs(
    data: ConfigDict,
    pairs: Sequence[Pair],
    read_flow: ReadFlow,
    named: Mapping[str, Sequence[str]],
    left_out: Mapping[str, int] | None = None,
) -> tuple[FlowPairs, FlowPairs]:
    """Makes the sources to train and to evaluate on.

    data: config.data. train_split: 'pool' (all that is not evaluated, nor of a drive that is),
    'all', one of the `named` lists or a file of names. eval_split: 'all', 'train' (the training
    pairs themselves), a named list or a file. height, width. truth_in_training: whether training
    records carry the flow.
    Raises DataError for an unknown split or a name that isn't there.
    """
    by_name = {pair.name: pair for pair in pairs}
    lists = {ALL: list(by_name), **named}
    trained, judged = split_names(list(by_name), data.train_split, data.eval_split, lists)
    dropped = dict(left_out or {})
    if data.eval_split == TRAIN:
        judged = trained
    elif data.train_split == "pool":
        drives = {by_name[name].drive for name in judged} - {""}
        kept = [name for name in trained if by_name[name].drive not in drives]
        dropped[SAME_DRIVE] = len(trained) - len(kept)
        trained = kept
    if set(trained) & set(judged):
        logging.warning(
            "config.data.eval_split=%s: EVALUATING ON TRAINING PAIRS; report the numbers as such",
            data.eval_split,
        )
    size = {"height": data.height, "width": data.width}
    wanted = "resized" if data.get("truth_in_training", False) else "none"
    dropped = {why: count for why, count in dropped.items() if count}
    return (
        FlowPairs([by_name[n] for n in trained], read_flow, **size, flow=wanted, left_out=dropped),
        FlowPairs([by_name[n] for n in judged], read_flow, **size, flow="full"),
    )


def need_pairs(pairs: Sequence[Pair], root: pathlib.Path, layout: str, how_to_get: str) -> None:
    """Raises DataError where there is none."""
    if not pairs:
        raise DataError(
            f"config.data.root={str(root)!r} holds no pair with flow; looked for {layout}; "
            f"{how_to_get}"
        )


def _pad(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    padded = np.zeros((*size, *maps.shape[2:]), maps.dtype)
    padded[: maps.shape[0], : maps.shape[1]] = maps
    return padded


def _read_picture(path: pathlib.Path) -> np.ndarray:
    read = flow_files.read_ppm if path.suffix == ".ppm" else pictures.read_picture
    return read(path)


def _picture_size(path: pathlib.Path) -> tuple[int, int]:
    if path.suffix == ".ppm":
        return flow_files.read_ppm(path).shape[:2]
    return pictures.picture_size(path)


def _same_size(picture: np.ndarray, path: pathlib.Path, other: np.ndarray) -> None:
    if other.shape[:2] != picture.shape[:2]:
        raise BadRecord(
            f"{path}: {other.shape[1]}x{other.shape[0]} beside a first frame of "
            f"{picture.shape[1]}x{picture.shape[0]}; get both files again"
        )
