"""Depth on Cityscapes: by stereo pairs, by neighbours in time, by both, or `supervised`.

    python -m geoseg_jax.main --config=configs/depth_cityscapes.py:stereo,extra \
        --workdir=W --config.data.root=/data/cityscapes
    python -m geoseg_jax.main --config=configs/depth_cityscapes.py:mono ...
    python -m geoseg_jax.main --config=configs/depth_cityscapes.py:supervised,extra ...

All need leftImg8bit, camera and, for evaluation, disparity; stereo (the default) needs
rightImg8bit, mono leftImg8bit_sequence, mono_stereo both of these (and rightImg8bit_sequence, or
only annotated frames have a partner). Options behind the colon: geoseg_jax/presets/depth.py, with
`supervised` geoseg_jax/presets/supervised_depth.py, and
  extra        trains on train and train_extra, 22,973 pairs; there are no sequences of the latter
  preset       controlled (the default), or paper_code: what the public code of Lao et al. (ECCV
               2024) sets. By views: smoothness 6, no auto-mask, depth = 5.4 / disparity, depth
               enlarged with the corners aligned, one encoder for depth and pose, no flips, Adam at
               5e-5. Supervised: L1, flips left to right and upside down, see
               presets/supervised_depth.py

Pictures are 800x320 of the upper four fifths: the rest shows the car's own bonnet. Neighbours are
two frames away, 8.5 in a second, about KITTI's rate.
The public code's depth starts from ImageNet's weights (`--encoder_type ... pretrained`): paper_code
as it was run is paper_code,init=resnet18.pth. Without init= the encoder starts from random weights,
so that all it knows it has from depth.
paper_code by views does not bring back the public code's neighbours (of the annotated pictures,
which are seconds to minutes apart, the one before and the one after in the folder), its windows
(out of the middle of the full picture), its mean over both neighbours' errors (here the smaller one
counts), what its 6 weighs (the smoothness of depth enlarged to the picture, where here it is of
disparity at each scale's own size, so that 6 is stronger), the encoder's input, (x - .45) / .225
there, and its motion: of the target and a neighbour in this order (here the earlier frame comes
first, and the motion is inverted where that is the neighbour), and 5.4 times smaller against the
depth at the start.
Papers: Godard et al. (monodepth2), ICCV 2019; for supervision by disparity, which is that of
semi-global matching and no measurement, Lee et al., arXiv:1907.10326.
What to expect: an absolute relative error of about .129 for monodepth2's mono training, as reported
by Watson et al. (ManyDepth), CVPR 2021, on the test split at 416x128 without the lowest quarter:
--config.data.eval_split=test --config.data.height=128 --config.data.width=416
--config.data.keep_rows="(0.0,0.75)" --config.task.eval.crop=cityscapes. Not yet reproduced here.
Hardware: one GPU; 50 epochs of 22,973 pairs at batch 8, as in Lao et al., are 143,000 steps,
which were not timed here.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, supervised_depth
from geoseg_jax.presets.preset import Options


def get_config(arg: str = "") -> ConfigDict:
    shared = {
        "extra": argument.Option(False, "trains on train and train_extra, 22,973 pairs"),
        "preset": argument.PRESET,
    }
    return supervised_depth.build_any(arg, "depth_cityscapes.py", _set_up, shared, views="stereo")


def _set_up(config: ConfigDict, options: Options) -> None:
    if options["extra"] and config.data.frames:
        raise ValueError(
            "depth_cityscapes.py:extra: train_extra has no sequences; drop extra, or choose stereo"
        )
    config.data.update({"name": "cityscapes_depth", "root": "", "height": 320, "width": 800})
    config.data.keep_rows = (0.0, 0.8)
    config.data.train_split = "train+train_extra" if options["extra"] else "train"
    config.data.eval_split = "val"
    if config.data.frames:
        config.data.frames = (-2, 2)
    steps = 143_000 if options["extra"] or config.data.frames else 18_500
    config.train.update({"steps": steps, "batch_size": 8, "eval_batch_size": 4})
    config.train.update({"eval_every": steps // 10, "pictures_every": steps // 10})
    if options["preset"] == "paper_code" and options["views"] != supervised_depth.SUPERVISED:
        config.task.update({"smoothness": 6.0, "automask": False, "automask_start": 0.0})
        # 5.4 / disparity, with the disparity of monodepth2's range of 0.1 to 100.
        config.task.update({"min_depth": 0.54, "max_depth": 540.0})
        if options["views"] == "mono":  # the sigmoid's middle, too near for a known baseline
            config.task.initial_depth = 5.4 / 5.005
        config.task.update({"enlarged": "depth", "align_corners": True})
        config.data.flip = False
        if config.data.frames and "pose_encoder" in config.model:
            config.model.pose_encoder = "shared"
        config.task.jitter.update({"hue": 0.0, "probability": 1.0})
        config.optimizer.update({"name": "adam", "learning_rate": 5e-5, "schedule": "constant"})
        config.optimizer.update({"weight_decay": 0.0, "clip_norm": 0.0, "layer_decay": 1.0})
    elif options["preset"] == "paper_code":
        config.optimizer.decay_at = 0.4
        config.data.flip_vertical = True
