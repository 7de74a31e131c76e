"""Middlebury's optical flow: eight pairs with public dense truth (Baker et al., IJCV 2011)."""

import pathlib

from ml_collections import ConfigDict

from geoseg_jax.data.flow.files import read_flo
from geoseg_jax.data.flow.pairs import FlowPairs, Pair, make_pairs, need_pairs
from geoseg_jax.data.reader import Reader

LAYOUT = (
    "ROOT/other-data/RubberWhale/frame10.png and frame11.png with "
    "ROOT/other-gt-flow/RubberWhale/flow10.flo, or a folder with two pictures and one .flo file"
)
HOW_TO_GET = (
    "get other-color-twoframes.zip and other-gt-flow.zip from "
    "https://vision.middlebury.edu/flow/data/ and unpack them into one folder"
)
_PICTURES = (".png", ".jpg", ".jpeg")


def make(data: ConfigDict) -> tuple[FlowPairs, FlowPairs]:
    """Makes the sources to train and to evaluate on, see flow_pairs.make_pairs; splits by names.

    Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    pairs = find_pairs(root)
    need_pairs(pairs, root, LAYOUT, HOW_TO_GET)
    return make_pairs(data, pairs, read_flo, {})


def find_pairs(root: pathlib.Path) -> list[Pair]:
    """Finds pairs of the official layout by scene, else one per folder that is a pair.

    Such a folder is ROOT or lies in it: it holds one .flo file, and the pictures that sort first
    and second are its frames, as long as there are just two.
    """
    pairs = []
    for flow in sorted(root.glob("other-gt-flow/*/flow10.flo")):
        scene = flow.parent.name
        frames = [root / "other-data" / scene / f"frame{n}.png" for n in (10, 11)]
        if all(frame.is_file() for frame in frames):
            pairs.append(Pair(scene, *frames, flow))
    if pairs or not root.is_dir():
        return pairs
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        flows = sorted(folder.glob("*.flo"))
        frames = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
        if len(flows) == 1 and len(frames) == 2:
            pairs.append(Pair(folder.name, *frames, flows[0]))
    return pairs


READER = Reader(make, layout=LAYOUT, how_to_get=HOW_TO_GET)
