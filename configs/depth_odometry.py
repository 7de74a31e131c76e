"""Self-supervised depth on KITTI's odometry benchmark, by the motion that it gives.

    python -m geoseg_jax.main --config=configs/depth_odometry.py --workdir=W --config.data.root=ROOT

ROOT holds sequences/NN/image_2/000000.png (or image_0, grey), sequences/NN/calib.txt and
poses/NN.txt: the folder `dataset` of the benchmark's zips. Options behind the colon:
geoseg_jax/presets/depth.py, of which mono and poses=given are the defaults here; with
poses=learned a network learns the motion, and `stereo`, which has none, needs no poses.
Papers: Geiger, Lenz, Urtasun, "Are we ready for Autonomous Driving?", CVPR 2012 (the data); Godard
et al., "Digging into Self-Supervised Monocular Depth Estimation", ICCV 2019 (losses, networks).
Trains on sequences 00 to 08, evaluates on 09 and 10, as Zhou et al. (SfMLearner, CVPR 2017) divide
them.
What to expect: the benchmark has no depth, hence eval.json has the photometric error on these
sequences beside that of a depth map without relief and of the unmoved sources; expect the first to
fall below the other two. There is no published number for that, and it was not run here at full
length. With poses given depth is in metres. Sequences 00, 04, 05 and 07 are cut from drives that
Eigen tests on, which the leakage check knows: to evaluate on his split what was learned here,
train with --config.data.train_split=01-03,06,08.
Hardware: a GPU, on which it was not timed here; a step costs what one of depth_kitti.py:mono does,
less the pose network. On a CPU, try it with --config.data.width=416 --config.data.height=128 first.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth, preset


def get_config(arg: str = "") -> ConfigDict:
    # A stereo pair's pose is always given.
    pairs = {"stereo", "views=stereo"} & set((arg or "").split(","))
    more = {"views": "mono", "poses": "learned" if pairs else "given"}
    return preset.build(depth.PRESET, arg, "depth_odometry.py", _set_up, **more)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "kitti_odometry", "root": "", "truth": "none"})
    config.data.update({"train_split": "00-08", "eval_split": "09,10"})
    # 20 epochs of the 40,800 left and right frames of 00 to 08 at batch 12
    config.train.update({"steps": 68_000, "eval_every": 3_400, "pictures_every": 3_400})
    config.train.best_metric = "photometric"
