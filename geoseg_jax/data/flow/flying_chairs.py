"""Flying Chairs: 22,872 rendered pairs with dense flow (Dosovitskiy et al., FlowNet, ICCV 2015)."""

import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data import text_files, walk
from geoseg_jax.data.flow.files import read_flo
from geoseg_jax.data.flow.pairs import FlowPairs, Pair, make_pairs, need_pairs
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import DataError

LAYOUT = (
    "ROOT/data/00001_img1.ppm, 00001_img2.ppm and 00001_flow.flo with "
    "ROOT/FlyingChairs_train_val.txt"
)
HOW_TO_GET = (
    "get FlyingChairs.zip and FlyingChairs_train_val.txt from "
    "https://lmb.informatik.uni-freiburg.de/resources/datasets/FlyingChairs.en.html"
)
SPLIT_FILE = "FlyingChairs_train_val.txt"
_SPLITS = {"1": "train", "2": "val"}


def make(data: ConfigDict) -> tuple[FlowPairs, FlowPairs]:
    """Makes the sources to train and to evaluate on, see flow.pairs.make_pairs.

    Splits: 'train' (22,232) and 'val' (640), as the official file has them; train_split='pool' is
    what eval_split='val' leaves.
    Raises DataError where nothing is there, or the file of splits is missing or malformed.
    """
    root = pathlib.Path(data.root).expanduser()
    pairs, missing = find_pairs(root)
    need_pairs(pairs, root, LAYOUT, HOW_TO_GET)
    lists = read_splits(root / SPLIT_FILE)
    # 'train' as an evaluation means the training pairs themselves, whatever they are.
    return make_pairs(data, pairs, read_flo, lists, missing)


def find_pairs(root: pathlib.Path) -> tuple[list[Pair], dict[str, int]]:
    """Returns the pairs below ROOT by number, and how many were left out for which reason."""
    folder = root / "data"
    listed = walk.list_folder(folder)
    names, left_out = set(listed.files), listed.passed_over
    pairs = []
    for flow in filter(lambda name: name.endswith("_flow.flo"), listed.files):
        number = flow.removesuffix("_flow.flo")
        frames = [f"{number}_img{n}.ppm" for n in (1, 2)]
        if names.issuperset(frames):
            pairs.append(Pair(number, *(folder / frame for frame in frames), folder / flow))
        else:
            left_out["pair without a frame"] += 1
    return pairs, dict(left_out)


def read_splits(path: pathlib.Path) -> dict[str, list[str]]:
    """Maps 'train' and 'val' -> numbers of pairs; line n of the official file, 1 or 2, is pair n.

    Raises DataError where it is missing, and for another word in it.
    """
    try:
        words = text_files.read_text(path).split()
    except DataError as error:
        raise DataError(f"{error}; {HOW_TO_GET}") from error
    lists: dict[str, list[str]] = {name: [] for name in _SPLITS.values()}
    for line, word in enumerate(words, start=1):
        if word not in _SPLITS:
            raise DataError(f"{path}:{line}: {word!r} is neither 1 (train) nor 2; {HOW_TO_GET}")
        lists[_SPLITS[word]].append(f"{line:05d}")
    return lists


READER = Reader(make, layout=LAYOUT, how_to_get=HOW_TO_GET)
