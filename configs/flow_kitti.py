"""Optical flow on KITTI, from pictures alone or from truth, judged on the benchmark of 2015.

    python -m geoseg_jax.main --config=configs/flow_kitti.py:strong --workdir=W \
        --config.data.root=/data/kitti_raw --config.data.eval_root=/data/kitti_flow
    python -m geoseg_jax.main --config=configs/flow_kitti.py:supervised --workdir=W \
        --config.data.root=/data/kitti_flow

Options behind the colon: geoseg_jax/presets/flow.py, and train_on: raw (the frames that
depth_kitti.py sees, the default of strong and paper) or pairs (those of the flow benchmark, in
folds as segment_kitti.py's; supervised has no other).
What to expect: UFlow (Jonschkowski et al., ECCV 2020), which `strong` follows, with its own encoder
at 640x640, trained on the multi-view extension of the test set: EPE 2.71, Fl-all 9.05 % on the 200
training pairs. PWC-Net (Sun et al., CVPR 2018) without KITTI: 10.35 and 33.67 %. Lao et al. (ECCV
2024) publish no flow metric for `paper`. None reproduced here yet; docs tell what was run.
Frames of 142 of the 200 pairs lie in drives that raw has too: eval.json counts shared drives. Their
flow is never seen by strong and paper, which is how the field reports them.
Hardware: any; about that of depth_kitti.py a step. On a CPU, try `smoke` first.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow


def get_config(arg: str = "") -> ConfigDict:
    config, options = flow.make(arg, "flow_kitti.py", train_on=("auto", "raw", "pairs"))
    train_on, method = options["train_on"], options["method"]
    if train_on == "auto":
        train_on = "pairs" if method == "supervised" else "raw"
    if train_on == "raw" and method == "supervised":
        raise ValueError(f"flow_kitti.py:{arg}: the raw drives have no true flow; use pairs")
    config.data.root = ""
    if train_on == "raw":
        config.data.update({"name": "kitti", "train_split": "eigen_train"})
        config.data.update({"eval_name": "kitti_flow", "eval_root": "", "eval_split": "all"})
    else:
        config.data.update({"name": "kitti_flow", "train_split": "pool", "eval_split": "fold0"})
        # 150 pairs: a few hundred times each.
        config.train.steps = 10_000
    config.train.update({"eval_every": 5_000, "pictures_every": 5_000})
    return flow.finish(config, options)
