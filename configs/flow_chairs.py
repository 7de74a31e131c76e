"""Optical flow on Flying Chairs, from truth, as PWC-Net begins (Sun et al., CVPR 2018).

    python -m geoseg_jax.main --config=configs/flow_chairs.py --workdir=W \
        --config.data.root=/data/FlyingChairs_release

Options behind the colon: geoseg_jax/presets/flow.py; strong and paper learn from pictures alone.
What to expect: on the 640 validation pairs UFlow (Jonschkowski et al., ECCV 2020) reports EPE 2.55
without labels, PWC-Net about 2 with them. Not yet reproduced here. 512x384 as it is, mirrored at
random; PWC-Net's random crops and scales are not there.
Hardware: a GPU; the data set takes about 30 GB of disk.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow


def get_config(arg: str = "") -> ConfigDict:
    config, options = flow.make(arg, "flow_chairs.py", method=("supervised", "strong", "paper"))
    config.data.update({"name": "flying_chairs", "root": "", "height": 384, "width": 512})
    config.data.update({"train_split": "train", "eval_split": "val"})
    if options["method"] == "strong":  # UFlow's choices for Chairs
        config.task.update({"occlusion": "range_map", "smoothness": 1.0, "smoothness_order": 1})
    config.train.update({"eval_every": 5_000, "pictures_every": 5_000})
    return flow.finish(config, options)
