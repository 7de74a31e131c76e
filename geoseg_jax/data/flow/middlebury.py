"""Middlebury's optical flow: eight pairs with public dense truth (Baker et al., IJCV 2011)."""

import pathlib
from collections import Counter

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.flow.files import read_flo
from geoseg_jax.data.flow.pairs import FlowPairs, Pair, make_pairs, need_pairs
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.walk import PICTURES

LAYOUT = (
    "ROOT/other-data/RubberWhale/frame10.png and frame11.png with "
    "ROOT/other-gt-flow/RubberWhale/flow10.flo, or a folder with two pictures and one .flo file"
)
HOW_TO_GET = (
    "get other-color-twoframes.zip and other-gt-flow.zip from "
    "https://vision.middlebury.edu/flow/data/ and unpack them into one folder"
)
NO_PAIR = "folder with flow and not with two pictures"


def make(data: ConfigDict) -> tuple[FlowPairs, FlowPairs]:
    """Makes the sources to train and to evaluate on, see flow.pairs.make_pairs; splits by names.

    Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    pairs, left_out = find_pairs(root)
    need_pairs(pairs, root, LAYOUT, HOW_TO_GET)
    return make_pairs(data, pairs, read_flo, {}, left_out)


def find_pairs(root: pathlib.Path) -> tuple[list[Pair], dict[str, int]]:
    """Finds pairs of the official layout by scene, else one per folder that is a pair.

    And how many were left out for which reason.

    Such a folder is ROOT or lies in it: it holds one .flo file, and the pictures that sort first
    and second are its frames, as long as there are just two.
    """
    scenes = root / "other-gt-flow"
    pairs, left_out = [], Counter[str]()
    for scene in walk.list_folder(scenes).folders:
        flow = scenes / scene / "flow10.flo"
        frames = [root / "other-data" / scene / f"frame{n}.png" for n in (10, 11)]
        if all(path.is_file() for path in (flow, *frames)):
            pairs.append(Pair(scene, *frames, flow))
        else:
            left_out[NO_PAIR] += 1
    if pairs:
        return pairs, dict(left_out)
    for folder in (root, *(root / name for name in walk.list_folder(root).folders)):
        flows, frames = (walk.list_folder(folder, endings) for endings in ((".flo",), PICTURES))
        if len(flows.files) == 1 and len(frames.files) == 2:
            names = *frames.files, *flows.files
            pairs.append(Pair(folder.name, *(folder / name for name in names)))
        elif flows.files:
            left_out[NO_PAIR] += 1
    return pairs, dict(left_out)


READER = Reader(make, layout=LAYOUT, how_to_get=HOW_TO_GET)
