"""KITTI's optical flow benchmarks of 2015 and 2012: 200 and 194 pairs with sparse true flow."""

import pathlib
import re

from ml_collections import ConfigDict

from geoseg_jax.data import walk
from geoseg_jax.data.flow.files import read_kitti_flow
from geoseg_jax.data.flow.pairs import FlowPairs, Pair, make_pairs, need_pairs
from geoseg_jax.data.kitti.drives_2015 import drives
from geoseg_jax.data.kitti.semantics import FOLDS, fold
from geoseg_jax.data.reader import Reader

LAYOUT = (
    "ROOT/training/image_2/000000_10.png and 000000_11.png (2012: colored_0) with "
    "ROOT/training/flow_occ/000000_10.png and flow_noc/000000_10.png"
)
HOW_TO_GET = (
    "get data_scene_flow.zip from https://www.cvlibs.net/datasets/kitti/eval_scene_flow.php "
    "(2012: data_stereo_flow.zip) and unpack it"
)
# Pictures of 2015, of 2012 in colour, of 2012 in grey; the first that is there is taken.
_PICTURES = ("image_2", "colored_0", "image_0")
_NAME = re.compile(r"[^/]+_10")
NO_SECOND, NO_FLOW = "pair without its second frame", "pair without flow_occ"


def make(data: ConfigDict) -> tuple[FlowPairs, FlowPairs]:
    """Makes the sources to train and to evaluate on, see flow.pairs.make_pairs.

    Splits: 'fold0' to 'fold3' beside the usual ones, blocks of 50 by number as in kitti_semantics:
    the pictures of 2015 are the same.
    Raises DataError where nothing is there.
    """
    root = pathlib.Path(data.root).expanduser()
    pairs, left_out = find_pairs(root)
    need_pairs(pairs, root, LAYOUT, HOW_TO_GET)
    folds = {f"fold{k}": fold(k) for k in range(FOLDS)}
    return make_pairs(data, pairs, read_kitti_flow, folds, left_out)


def find_pairs(root: pathlib.Path) -> tuple[list[Pair], dict[str, int]]:
    """Returns the pairs below ROOT by name, and how many were left out for which reason."""
    training = root / "training"
    folder = next((name for name in _PICTURES if (training / name).is_dir()), _PICTURES[0])
    frames, hidden = walk.by_name(training / folder, endings=(".png",))
    flows, visible = (
        walk.by_name(training / kind, endings=(".png",)).paths for kind in ("flow_occ", "flow_noc")
    )
    # Which drive a picture of 2012 comes from is not published.
    known = drives() if folder == "image_2" else {}
    pairs: list[Pair] = []
    left_out = hidden
    for name in filter(_NAME.fullmatch, frames):
        number = name.removesuffix("_10")
        if f"{number}_11" not in frames:
            left_out[NO_SECOND] += 1
        elif name not in flows:
            left_out[NO_FLOW] += 1
        else:
            drive = known.get(int(number), "") if number.isdecimal() else ""
            views = frames[name], frames[f"{number}_11"]
            pairs.append(Pair(name, *views, flows[name], visible.get(name), drive))
    return pairs, dict(left_out)


READER = Reader(make, layout=LAYOUT, how_to_get=HOW_TO_GET)
