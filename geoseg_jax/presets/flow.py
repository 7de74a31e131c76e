"""Optical flow, from pictures alone in two ways or from truth: what its configs share.

strong: the choices that Jonschkowski et al., "What Matters in Unsupervised Optical Flow", ECCV 2020
(UFlow), found to matter on KITTI, on any encoder: cost volumes from coarse to fine on normalised
features, census, forward-backward occlusion, second-order smoothness on the flow's own map,
dropped residuals, self-distillation in the second half. It sees as many pairs as UFlow, a million,
in 125,000 updates of 8 where UFlow's public code has a million updates of 1, at the same rate of
1e-4: an eighth of the updates, and a rate that by the rule of the square root would be 2.8e-4 here.
Which is better was not tried; the rate then falls to a tenth for the last quarter, theirs stays.
paper: the pre-training that Lao et al., ECCV 2024, compare with, as their public code has it:
features concatenated, SSIM + L1 at four scales, no occlusion, Adam at 5e-5 for 50 epochs of
batches of 8, without colour jitter and never mirrored: left and right camera take turns, as they do
in KITTI's list here. Where it differs: theirs starts from ImageNet weights (init= takes some), here
it starts from random ones unless told; from random flows, here from none (see models/flow.py); it
leads to the frame before, here to the next, as true flow does; flows are enlarged there with
corners aligned; and its list of frames is of moving ones alone.
supervised: PWC-Net's robust end-point error (Sun et al., CVPR 2018) on the network of `strong`.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth, sections
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.encoders import DECODER, decoder_of, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

# Options of every flow config, FILE.py:paper,resnet50,init=W; a word alone says which choice.
OPTIONS = sections.OPTIONS | {
    "method": Option(
        ("strong", "paper", "supervised"),
        "UFlow's choices, Lao et al.'s, or learned from true flow",
    ),
    "decoder": DECODER._replace(meaning="of paper; auto: unet, or dpt on a ViT"),
}
# Pairs that UFlow sees in a million steps of one.
_UFLOW_PAIRS = 1_000_000
# Frames of one camera in the split of Eigen's that monodepth2 trains on. In an epoch of theirs each
# moment is seen once, by either camera at random.
_EPOCH = 39_810 // 2


def _start(options: Options) -> ConfigDict:
    method = options["method"]
    if method != "paper" and options["decoder"] != "auto":
        raise ValueError(
            f"decoder={options['decoder']} has no effect on {method}, which has a decoder "
            "of its own; it is for paper"
        )
    config = sections.assemble(
        options,
        task=_TASK,
        model={},
        # The next frame alone: the way back is learned from the same pair.
        data=depth.DATA
        | {"frames": (1,), "stereo": False, "truth": "flow"}
        # Of both frames and their flow alike, from height x width on; see data/transforms.py.
        | {"scale": (), "crop": ()},
        optimizer=depth.OPTIMIZER,
        train=depth.TRAIN | {"batch_size": 8, "best_metric": "epe"},
    )
    {"paper": _paper, "strong": _strong, "supervised": _supervised}[method](config, options)
    suit_vit(config)
    return config


def _finish(config: ConfigDict, options: Options) -> None:
    warm_up(config, options)
    if options["smoke"]:
        smoke(config, "views")
        config.data.update({"eval_name": "", "eval_root": "", "train_split": "", "eval_split": ""})
        config.task.distillation.start = 0.3  # so that it is seen to run
        if config.data.crop:
            config.data.crop = (64, 64)


PRESET = Preset(OPTIONS, _start, _finish)


def _strong(config: ConfigDict, options: Options) -> None:
    del options
    config.model.update(_PYRAMID)
    config.train.steps = _UFLOW_PAIRS // config.train.batch_size


def _supervised(config: ConfigDict, options: Options) -> None:
    del options
    config.model.update(_PYRAMID)
    config.data.truth_in_training = True
    config.task.supervision = "truth"
    # What is for pictures alone.
    config.task.update({"smoothness": 0.0, "occlusion": "none", "occlusion_start": 0.0})
    config.task.bidirectional = False
    config.task.distillation.weight = 0.0
    # PWC-Net's weights .005, .01, .02, .08, .32 are of sums over ever fewer pixels; of means over
    # all pixels they are in the proportion 4 : 2 : 1 : 1 : 1, the finest first.
    config.task.scale_weights = (1.0, 0.5, 0.25, 0.25)
    config.task.level_dropout = 0.0


def _paper(config: ConfigDict, options: Options) -> None:
    config.model.flow = "concat"
    config.model.update(sections.UNET | decoder_of(options["encoder"], options["decoder"]))
    config.task.update(
        {
            "data_term": "ssim_l1",
            "occlusion": "none",
            "occlusion_start": 0.0,
            "bidirectional": False,
            # Their 2.0 stands beside SSIM and L1 summed over the three channels, ours beside means.
            "smoothness": 2.0 / 3,
            "smoothness_order": 1,
            "smoothness_on": "picture",
            "edge_constant": 1.0,
            "scale_weights": (1.0, 0.5, 0.25, 0.125),
            "level_dropout": 0.0,
        }
    )
    config.task.distillation.weight = 0.0
    config.task.jitter.probability = 0.0
    config.data.flip = False
    config.optimizer.update({"learning_rate": 5e-5, "schedule": "constant"})
    config.train.steps = 50 * _EPOCH // config.train.batch_size


_PYRAMID = {
    "flow": "pyramid",
    "flow_width": 32,
    "flow_radius": 4,
    "flow_layers": (128, 128, 96, 64, 32),
    "flow_context_layers": 6,
}
_TASK = {
    "name": "flow",
    "supervision": "photometric",
    "data_term": "census",
    "ssim_weight": 0.85,  # of ssim_l1
    "occlusion": "forward_backward",  # range_map is better where things, not the camera, move
    # The share of the training after which hidden pixels are left out.
    "occlusion_start": 0.1,
    "bidirectional": True,
    # Beside scale_weights and coarse_weights of 1, of every flow as often as they count it. UFlow's
    # 2.0 is of the mean over u and v, along x and along y, ours of the sum.
    "smoothness": 0.5,
    "smoothness_order": 2,
    # map: in its own pixels, of stride 4 at the finest; picture: enlarged, in shares of the sides
    "smoothness_on": "map",
    "edge_constant": 150.0,
    "scale_weights": (1.0,),  # of flows enlarged to the picture, the finest first
    "coarse_weights": (),  # of the same flows on reduced pictures
    "coarse_zoom": 1,  # how many times their own size those pictures are
    "level_dropout": 0.1,
    # From `start` of the training on, at full weight after another `ramp`; `crop` of each side is
    # cut off, 64 pixels of UFlow's 640.
    "distillation": {"weight": 0.6, "start": 0.5, "ramp": 0.1, "crop": 0.1},
    "robust_epsilon": 0.01,  # of supervision 'truth'
    "robust_power": 0.4,
    "jitter": sections.jitter(0.2, hue=0.1, probability=0.5),
}
