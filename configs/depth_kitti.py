"""Self-supervised depth on KITTI raw, as in monodepth2 (Godard et al., ICCV 2019).

    python -m geoseg_jax.main --config=configs/depth_kitti.py:mono_stereo \
        --workdir=W --config.data.root=/data/kitti_raw

Options behind the colon: geoseg_jax/presets/depth.py.
What to expect: the paper's absolute relative error on the Eigen test split at 640x192, without
ImageNet weights, is .132 (mono), .130 (stereo) and .127 (mono+stereo); its mono training takes
12 hours on one Titan Xp. Not yet reproduced here at full length; the README has what was run.
Hardware: any; on a CPU, try it with --config.data.width=416 --config.data.height=128 first.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth


def get_config(arg: str = "") -> ConfigDict:
    config, options = depth.make(arg, "depth_kitti.py")
    config.task.eval.crop = "garg"
    config.data.update({"name": "kitti", "root": "", "ground_truth": "auto"})
    config.data.train_split = "eigen_train"  # or a file: DRIVE FRAME l|r a line
    config.data.eval_split = "eigen_test"  # or a file, or train
    # 20 epochs of 39,810 frames at batch 12
    config.train.update({"steps": 66_000, "eval_every": 3_300, "pictures_every": 3_300})
    return depth.finish(config, options)
