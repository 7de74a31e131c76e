"""Self-supervised depth as in monodepth2 (Godard et al., ICCV 2019): what its configs share."""

from ml_collections import ConfigDict

from geoseg_jax.presets import sections
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.encoders import DECODER, decoder_of, suit_vit, warm_up
from geoseg_jax.presets.preset import Options, Preset
from geoseg_jax.presets.smoke import smoke

VIEWS = {
    "mono": {"frames": (-1, 1), "stereo": False},
    "stereo": {"frames": (), "stereo": True},
    "mono_stereo": {"frames": (-1, 1), "stereo": True},
}
# Options of every depth config, FILE.py:stereo,resnet50,init=W; a word alone says which choice.
OPTIONS = sections.OPTIONS | {
    "views": Option(
        ("mono_stereo", "mono", "stereo"),
        "what teaches: neighbouring frames, the stereo partner, or both",
    ),
    "decoder": DECODER,
    # Not among choices, since both words say something of a video's camera as well.
    "poses": Option("learned", "or given, by the records (KITTI's GPS/IMU, the synthetic world)"),
}


def _start(options: Options) -> ConfigDict:
    given = options["poses"] == "given"
    model = {k: v for k, v in MODEL.items() if not (given and k == "pose_encoder")}
    config = sections.assemble(
        options,
        task=_TASK | {"poses": options["poses"]},
        model=model | decoder_of(options["encoder"], options["decoder"]),
        data=DATA | VIEWS[options["views"]] | {"poses": given},
        optimizer=OPTIMIZER,
        train=TRAIN,
    )
    if not given:
        # Or 'repeated': the encoder that is taken, its first convolution repeated for the two
        # frames and halved, as in monodepth2; wants model.pose_encoder to be model.encoder.
        config.transfer.pose_encoder = ""
    suit_vit(config)
    if options["views"] == "stereo" or given:  # no motion is learned
        config.task.automask_start = 0.0
    # The true baseline and given poses tell metres; without them the scale is unknown.
    config.task.eval.median_scaling = options["views"] == "mono" and not given
    return config


def _finish(config: ConfigDict, options: Options) -> None:
    warm_up(config, options)
    if options["smoke"]:
        smoke(config, "views")


PRESET = Preset(OPTIONS, _start, _finish)


# What supervised depth has alike.
RANGE = {
    "scales": 4,
    # What is enlarged of the smaller scales, disparity or depth, and how.
    "enlarged": "disparity",
    "align_corners": False,
    "min_depth": 0.1,  # metres, the range of the sigmoid
    "max_depth": 100.0,
    "initial_depth": 10.0,  # metres, where the head starts
    "jitter": sections.jitter(0.2, hue=0.1, probability=0.5),
    # cap_truth: truth beyond max_depth does not count; flip: blended with the mirror image's.
    "eval": {"min_depth": 1e-3, "max_depth": 80.0, "cap_truth": True, "crop": "none"}
    | {"median_scaling": False, "flip": False},
}
_TASK = RANGE | {
    "name": "selfsup_depth",
    "ssim_weight": 0.85,
    "automask": True,
    # The share of the training after which the auto-mask counts; monodepth2 has 0. Before it the
    # motion is learned, which the mask would let run off sideways, see ops/reprojection.py.
    "automask_start": 0.1,
    "smoothness": 1e-3,
    "smoothness_order": 1,
    "intrinsics": "given",  # or learned: 'focal' alone, or 'learned' with the principal point
    "initial_fov": 60.0,  # degrees, where learned intrinsics start
}
MODEL = sections.UNET | {"pose_encoder": "resnet18"}
DATA = {"height": 192, "width": 640, "constant_frames": 200}
ADAM = {
    "name": "adam",
    "learning_rate": 1e-4,
    "schedule": "step",
    "decay_at": 0.75,
    "decay_factor": 0.1,
}
# layer_decay: learning rate of an encoder's layer over that of the next one
OPTIMIZER = ADAM | {"layer_decay": 1.0}
TRAIN = {"batch_size": 12, "eval_batch_size": 16, "best_metric": "abs_rel"}
