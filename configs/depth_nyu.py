"""Depth from a Kinect: supervised, on NYUv2's 795 labelled training frames.

    python -m geoseg_jax.main --config=configs/depth_nyu.py --workdir=W --config.data.root=ROOT

ROOT is nyu_depth_v2_labeled.mat or its folder, or a folder of pictures
(geoseg_jax/data/nyu/depth.py). Options behind the colon: geoseg_jax/presets/supervised_depth.py,
and
  official     trains on the official 795 frames, evaluates on the 654 (the default)
  held_out     for a part of the data set: holds out a fifth of what is there, in blocks of 20
               frames, for evaluation
Pictures are 512x384, training looks at random windows of 448x384, the size of Lao et al. (ECCV
2024), zoomed by 1 to 1.5 with their depth (Eigen et al., NIPS 2014). Depth is predicted from 0.1 m
to 10 m, and evaluated up to 10 m within Eigen's window.
preset=paper_code: what the public code of Lao et al. sets, see supervised_depth.paper_code. It
starts from ImageNet's weights, which are an option here: paper_code,init=resnet18.pth.
Papers: Lee et al., "From Big to Small", arXiv:1907.10326, for the loss; Li and Snavely,
"MegaDepth", CVPR 2018, for gradient matching.
What to expect: an absolute relative error of about .21, that of Liu et al. (Deep Convolutional
Neural Fields, TPAMI 2016), who train on these 795 frames from ImageNet's weights; BTS has .110 with
24,231 frames of the raw videos. Neither is reproduced here yet.
Hardware: one GPU; 10,000 steps are 100 epochs, which were not timed here. On a CPU, first try
--config.data.width=160 --config.data.height=128 --config.data.crop="()" --config.data.scale="()":
400 steps of 8 took 18 minutes on a core, to .293 of `held_out` (docs/arms.md).
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, supervised_depth
from geoseg_jax.presets.readers import NYU_SPLIT, NYU_SPLITS


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(supervised_depth.PRESET, arg, "depth_nyu.py", _set_up, split=NYU_SPLIT)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.task.update({"max_depth": 10.0, "initial_depth": 2.5, "gradient_weight": 0.5})
    config.task.eval.update({"max_depth": 10.0, "crop": "eigen_nyu"})
    config.data.update({"name": "nyu_depth", "root": "", "height": 384, "width": 512})
    config.data.update({"scale": (1.0, 1.5), "crop": (384, 448)})
    config.data.train_split, config.data.eval_split = NYU_SPLITS[options["split"]]
    config.data.held_out = 0.2
    config.data.ground_truth = "filled"  # or raw, where the file has it
    if options["preset"] == "paper_code":
        config.task.gradient_weight = 0.0
        config.data.update({"scale": (), "flip": False})
