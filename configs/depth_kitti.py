"""Depth on KITTI raw: self-supervised as in monodepth2, or `supervised` by its laser scanner.

    python -m geoseg_jax.main --config=configs/depth_kitti.py:mono_stereo \
        --workdir=W --config.data.root=/data/kitti_raw
    python -m geoseg_jax.main --config=configs/depth_kitti.py:supervised \
        --workdir=W --config.data.root=/data/kitti_raw

Options behind the colon: geoseg_jax/presets/depth.py, with `supervised`
geoseg_jax/presets/supervised_depth.py. `mono,poses=given` takes the car's motion from the GPS/IMU
(the drives' folders oxts, calib_imu_to_velo.txt) in the pose network's place: depth is in metres,
and is evaluated without median scaling.
Papers: Godard et al., "Digging into Self-Supervised Monocular Depth Estimation", ICCV 2019; Lee et
al., "From Big to Small" (BTS), arXiv:1907.10326.
What to expect: monodepth2's absolute relative error on the Eigen test split at 640x192, without
ImageNet weights, is .132 (mono), .130 (stereo) and .127 (mono+stereo); its mono training takes
12 hours on one Titan Xp. BTS with a ResNet-50 from ImageNet, at 704x352 windows of full resolution
and on improved ground truth, has .061. Not yet reproduced here at full length; docs/kitti.md has
what was run. Supervision takes the improved ground truth (data_depth_annotated) where the evaluated
frames have it, else single scans, which are full of the scanner's own parallax.
Those numbers are of Eigen's 697 test frames. Here eval_split=eigen_test is every left frame with
true depth of the same 28 drives, and eigen_train every frame of the others, where monodepth2 leaves
out those in which the car stands still. To compare with published numbers, a run needs
  the community's lists of frames, of lines `DRIVE FRAME l|r`: --config.data.train_split=FILE and
    --config.data.eval_split=FILE; python -m geoseg_jax.data.kitti.frames FILE --root=ROOT lists
    which of them are missing, and writes a split of the others;
  the option eigen, their ground truth: its depths are the scanner's forward
    coordinate, 0.28 m more than the camera's, a pixel up and left. Without it (velodyne) ours are
    depths of the camera at the nearest pixel;
  or the option improved, for numbers on improved truth, all of whose pixels then count: no crop, no
    cap but that of predictions. The default, auto, is improved where it is there, else velodyne;
  and --config.task.eval.flip=True where "pp" stands beside them: the mean with the mirror image.
Hardware: any, not timed here at full length; on a CPU, try it with --config.data.width=416
--config.data.height=128 first.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import supervised_depth
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.preset import Options


def get_config(arg: str = "") -> ConfigDict:
    truth = Option(
        ("auto", "velodyne", "eigen", "improved"),
        "auto: improved where it is there, else the scanner's; eigen: as behind published numbers",
    )
    shared = {"ground_truth": truth}
    return supervised_depth.build_any(arg, "depth_kitti.py", _set_up, shared)


def _set_up(config: ConfigDict, options: Options) -> None:
    truth = options["ground_truth"]
    # On improved truth the literature counts every measured pixel, also those beyond 80 m.
    whole = truth == "improved"
    config.task.eval.update({"crop": "none" if whole else "garg", "cap_truth": not whole})
    config.data.update({"name": "kitti", "root": "", "ground_truth": truth})
    config.data.train_split = "eigen_train"  # or a file: DRIVE FRAME l|r a line
    config.data.eval_split = "eigen_test"  # or a file, or train
    # 20 epochs of 39,810 frames at batch 12, for either arm
    config.train.batch_size = 12
    config.train.update({"steps": 66_000, "eval_every": 3_300, "pictures_every": 3_300})
