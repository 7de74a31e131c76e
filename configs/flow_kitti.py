"""Optical flow on KITTI, from pictures alone or from truth, evaluated on the benchmark of 2015.

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
Lao et al.'s public code pre-trains on flow from ImageNet weights (paper,init=W), so that what it
transfers is ImageNet and flow; without init= it is flow alone. What else differs: presets/flow.py.
Supervised sees windows of 960x288 out of pictures of 1248x384, enlarged by 0.87 to 1.32, as RAFT is
tuned on KITTI (Teed and Deng, ECCV 2020, public code: by 2^-0.2 to 2^0.4; PWC-Net's takes 896x320
and zooms by e^-0.2 to e^0.6). What differs: both are tuned from Chairs and Things on, where weights
here are random unless told (--config.init_from=W of flow_chairs.py, with
--config.transfer.parts="('encoder','flow')"); 10,000 steps of 8 on 150 pairs, where RAFT has 50,000
of 6 on 200, and PWC-Net 150,000 of 4 with the pairs of 2012; the loss is PWC-Net's, without weight
decay; RAFT does not mirror, draws the factor's logarithm and erases patches of the second frame,
PWC-Net also rotates and squeezes. It was not run at length here.
Frames of 142 of the 200 pairs lie in drives that raw has too: eval.json counts shared drives. Their
flow is never seen by strong and paper, which is how the field reports them.
Hardware: any; about that of depth_kitti.py a step, more than twice that for supervised. Not timed
here on KITTI; docs/arms.md has the time of a pair of 288x192 on a CPU. There, try `smoke` first.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow, preset
from geoseg_jax.presets.argument import Option

TRAIN_ON = Option(
    ("auto", "raw", "pairs"),
    "raw: frames of the raw drives; pairs: the flow benchmark's; auto: pairs where supervised",
)


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(flow.PRESET, arg, "flow_kitti.py", _set_up, train_on=TRAIN_ON)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    train_on, method = options["train_on"], options["method"]
    if train_on == "auto":
        train_on = "pairs" if method == "supervised" else "raw"
    if train_on == "raw" and method == "supervised":
        raise ValueError("flow_kitti.py:raw: the raw drives have no true flow; use pairs")
    config.data.root = ""
    if train_on == "raw":
        config.data.update({"name": "kitti", "train_split": "eigen_train"})
        config.data.update({"eval_name": "kitti_flow", "eval_root": "", "eval_split": "all"})
    else:
        config.data.update({"name": "kitti_flow", "train_split": "pool", "eval_split": "fold0"})
        # 150 pairs: a few hundred times each.
        config.train.steps = 10_000
    if method == "supervised":
        config.data.update({"height": 384, "width": 1248})
        config.data.update({"scale": (0.87, 1.32), "crop": (288, 960)})
        config.train.eval_batch_size = 4
    config.train.update({"eval_every": 5_000, "pictures_every": 5_000})
