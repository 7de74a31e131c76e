"""NYUv2 as pictures with depth of a Kinect, from the .mat or from a folder of pictures.

    ROOT/nyu_depth_v2_labeled.mat (or the file itself), or
    ROOT/images/0003.jpg (or .png) with ROOT/depths_u8/0003.png: metres = (v + 0.5) / 25.5

Silberman, Hoiem, Kohli, Fergus, "Indoor Segmentation and Support Inference from RGBD Images", ECCV
2012. The number is the official one, from 1 on.
"""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
from absl import logging
from ml_collections import ConfigDict

from geoseg_jax.data import depth_maps, pictures, walk
from geoseg_jax.data.name_splits import REST, TRAIN, split_names
from geoseg_jax.data.nyu import folder as nyu_folder
from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.data.provenance.reads import quick_hash
from geoseg_jax.data.reader import SHARE_HELD_OUT, TRUTH, Reader
from geoseg_jax.data.source import BadRecord, DataError, Record, Source

DEPTHS = "depths_u8"
LAYOUT = f"ROOT/nyu_depth_v2_labeled.mat, or ROOT/images/0003.jpg with ROOT/{DEPTHS}/0003.png"
GROUND_TRUTH = ("filled", "raw")
_SAMPLED = 50  # frames whose content counts in a fingerprint


class NyuDepth:
    """Frames as a Source of {image, depth, depth_size}.

    files: where they are read from, a MatFrames or FolderFrames. names: of the frames to serve,
    their official numbers with four digits. height, width: that pictures are brought to, and depth
    too (the nearest pixel's) unless full_depth is set. raw: what the sensor measured, with gaps.

    Raises DataError for names that aren't there, and where raw depth is asked for and isn't.
    """

    def __init__(
        self,
        files: "MatFrames | FolderFrames",
        names: Sequence[str],
        height: int,
        width: int,
        *,
        full_depth: bool = False,
        raw: bool = False,
    ):
        missing = [name for name in names if name not in set(files.names)]
        if missing:
            raise DataError(f"{files.path}: there is no frame {missing[0]} with depth")
        if raw and not files.has_raw:
            raise DataError(
                f"config.data.ground_truth='raw': {files.path} has no raw depth (`rawDepths` of "
                "the original file); set it to 'filled'"
            )
        self.names, self.left_out = list(names), dict(files.left_out)
        self._files, self._size, self._full, self._raw = files, (height, width), full_depth, raw

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Record:
        """Raises BadRecord for a frame that can't be read."""
        depth = self.depth(index)
        if not self._full:
            depth = depth_maps.nearest_depth(depth, *self._size)
        return {
            "image": pictures.resize(self._files.image(self.names[index]), *self._size),
            "depth": depth,
            "depth_size": np.array(depth.shape, np.int32),
        }

    def depth(self, index: int) -> np.ndarray:
        """Returns true depth, float32 [H, W] metres at the frame's own size, 0 = not measured."""
        return self._files.depth(self.names[index], self._raw)

    def has_depth(self, index: int) -> bool:
        """Returns all frames have it."""
        del index
        return True

    def describe(self, index: int) -> str:
        return f"nyuv2 frame {self.names[index]}"

    def drive(self, index: int) -> str:
        """Returns the scene, e.g. `kitchen_0004`; '' where the files don't tell."""
        return self._files.scene(self.names[index])

    def files(self, index: int) -> tuple[tuple[str, pathlib.Path | None], ...]:
        """Returns (name, path): the frame by its official number; it has no file of its own."""
        return self._files.read_from(self.names[index])

    def fingerprint(self) -> str:
        """Hashes the frames, the settings, and what a sample of them holds."""
        settings = (self.names, self._size, self._full, self._raw, self._files.fingerprint())
        digest = hashlib.sha256(repr(settings).encode())
        for index in range(0, len(self), max(1, len(self) // _SAMPLED)):
            try:
                digest.update(self.depth(index).tobytes())
            except BadRecord:
                digest.update(b"unreadable")
        return digest.hexdigest()


class MatFrames:
    """The frames of nyu_depth_v2_labeled.mat by name. Raises DataError as MatFile does."""

    def __init__(self, path: pathlib.Path):
        from geoseg_jax.data.nyu import semantics as nyu  # needs h5py, which the folder does not
        from geoseg_jax.data.nyu.mat import MatFile

        self.path, self._mat, self.left_out = path, MatFile(path), {}
        self.names = nyu.frame_names(self._mat)
        self._places = {name: place for place, name in enumerate(self.names)}
        self._numbered = self._mat.numbers is not None
        if not self._mat.has("depths"):
            raise DataError(
                f"{path}: there is no `depths` in the file; get {nyu.FILE}, which has it"
            )
        self.has_raw = self._mat.has("rawDepths")

    def official(self) -> dict[str, list[str]]:
        """Returns the official lists of names; nothing where the frames' numbers are unknown."""
        return nyu_folder.official(self.names) if self._numbered else {}

    def image(self, name: str) -> np.ndarray:
        """Returns uint8 [H, W, 3] RGB."""
        return self._mat.image(self._places[name])

    def depth(self, name: str, raw: bool) -> np.ndarray:
        """Returns float32 [H, W] metres."""
        return self._mat.depth(self._places[name], raw)

    def scene(self, name: str) -> str:
        """Returns the scene; '' where unknown."""
        return self._mat.scenes[self._places[name]] if self._mat.scenes else ""

    def read_from(self, name: str) -> tuple[tuple[str, None], ...]:
        """Returns what the frame is read from; see NyuDepth.files."""
        return ((f"{'nyuv2' if self._numbered else self.path.name} {name}", None),)

    def fingerprint(self) -> str:
        """Hashes the file."""
        return quick_hash(self.path)


class FolderFrames:
    """The frames of a folder of pictures and 8-bit depth maps, by name.

    Raises DataError where there is no picture with depth.
    """

    has_raw = False

    def __init__(self, root: pathlib.Path):
        self.path = root
        images, hidden = walk.by_name(root / "images")
        depths, others = walk.by_name(root / DEPTHS, endings=(".png",))
        self.names = sorted(images.keys() & depths.keys())
        self._images, self._depths = images, depths
        counts = hidden + others
        counts["picture without depth"] = len(images.keys() - depths.keys())
        counts["depth without a picture"] = len(depths.keys() - images.keys())
        self.left_out = {reason: count for reason, count in counts.items() if count}
        if not self.names:
            raise DataError(
                f"config.data.root={str(root)!r} holds no picture with depth; looked for {LAYOUT}; "
                f"{nyu_folder.HOW_TO_GET}"
            )

    def official(self) -> dict[str, list[str]]:
        """Returns the official lists of names."""
        return nyu_folder.official(self.names)

    def image(self, name: str) -> np.ndarray:
        """Returns uint8 [H, W, 3] RGB. Raises BadRecord."""
        return pictures.to_rgb(pictures.read_picture(self._images[name]))

    def depth(self, name: str, raw: bool) -> np.ndarray:
        """Returns float32 [H, W] metres, the middle of the 256 steps to 10 m. Raises BadRecord."""
        del raw  # there is none
        path = self._depths[name]
        picture = pictures.read_numbers(path)
        if picture.dtype != np.uint8 or picture.ndim != 2:
            raise BadRecord(
                f"{path}: {DEPTHS} holds pictures of one 8-bit channel, this one is "
                f"{picture.dtype} {list(picture.shape)}; write metres * 25.5, rounded down"
            )
        return (picture.astype(np.float32) + 0.5) / 25.5

    def scene(self, name: str) -> str:
        """Returns '': the scene is unknown."""
        del name
        return ""

    def read_from(self, name: str) -> tuple[tuple[str, pathlib.Path], ...]:
        """Returns what the frame is read from; see NyuDepth.files."""
        return ((f"images/{self._images[name].name}", self._images[name]),)

    def fingerprint(self) -> str:
        """Hashes nothing: the sampled depths tell."""
        return ""


def make(data: ConfigDict) -> tuple[Source, Source]:
    """Makes the sources; config.data.root is the .mat, its folder, or a folder of pictures.

    config.data: height, width; train_split: 'train' (official), 'pool' (all that is not evaluated)
    or a file of names; eval_split: 'test' (official), 'held_out' (blocks of consecutive frames, a
    share of config.data.held_out), 'train' (what was trained on) or a file of names; ground_truth:
    what is trained on, 'filled' (the default) or 'raw' (the evaluation is always filled, as in the
    literature). All records carry depth, whatever truth and truth_in_training say.

    Raises DataError where nothing is there or a split is empty.
    """
    frames = open_frames(data.root)
    held_out = nyu_split.held_out(frames.names, data.get("held_out", 0.2))
    named = frames.official() | {"held_out": held_out}
    if data.eval_split == REST:
        raise DataError("config.data.eval_split='rest' is for few labels; use held_out or train")
    pool, judged = split_names(frames.names, data.train_split, data.eval_split, named)
    if data.eval_split == TRAIN:
        judged = pool
    both = set(pool) & set(judged)
    if both:
        logging.warning(
            "config.data.eval_split=%s: EVALUATING ON %d OF THE %d TRAINING FRAMES; report the "
            "numbers as such (train_split=pool holds none of what is evaluated).",
            *(data.eval_split, len(both), len(pool)),
        )
    wanted = data.get("ground_truth", "filled")
    if wanted not in GROUND_TRUTH:
        raise DataError(f"config.data.ground_truth={wanted!r}: NYUv2 has filled and raw")
    size = (data.height, data.width)
    train: Source = NyuDepth(frames, pool, *size, raw=wanted == "raw")
    evaluation: Source = NyuDepth(frames, judged, *size, full_depth=True)
    return train, evaluation


def open_frames(root: str) -> MatFrames | FolderFrames:
    """Returns what config.data.root names. Raises DataError where there is nothing of the kind."""
    path = pathlib.Path(root).expanduser()
    if path.is_dir() and (path / DEPTHS).is_dir():
        return FolderFrames(path)
    from geoseg_jax.data.nyu import semantics as nyu

    return MatFrames(nyu.find(root))


READER = Reader(make, TRUTH | SHARE_HELD_OUT, layout=LAYOUT, how_to_get=nyu_folder.HOW_TO_GET)
