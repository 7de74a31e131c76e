"""Inpainting on KITTI raw, the control arm of Lao et al. (ECCV 2024).

    python -m geoseg_jax.main --config=configs/reconstruct_kitti.py \
        --workdir=W --config.data.root=/data/kitti_raw

0.1 % to 1 % of the pixels start holes of 7x7, and the whole picture is to be given back, in L1 at
four scales, of which each counts four times the next finer one, as in their public code. The
pictures, the networks, the number of steps and the optimiser are those of depth_kitti.py: what is
asked for is all that differs. Options behind the colon: geoseg_jax/presets/reconstruction.py;
`holes` takes the loss within the holes alone, where nothing can be copied.
What to expect: the paper gives no number of its own for this task; eval.json holds `l1` within the
holes beside the best single colour of the picture (`l1_constant`) and the mean of a hole's
surroundings (`l1_surroundings`), the number to beat. Not yet run here at full length.
Hardware: any; a step costs less than one of depth_kitti.py:stereo; not timed here. `smoke` runs on
a CPU in about a minute.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, reconstruction


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(reconstruction.PRESET, arg, "reconstruct_kitti.py", _set_up)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "kitti", "root": "", "ground_truth": "auto"})
    config.data.train_split = "eigen_train"  # or a file: DRIVE FRAME l|r a line
    config.data.eval_split = "eigen_test"  # or a file, or train
    # 20 epochs of 39,810 frames at batch 12, as depth_kitti.py has
    config.train.update({"steps": 66_000, "eval_every": 3_300, "pictures_every": 3_300})
