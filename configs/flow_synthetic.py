"""Optical flow on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/flow_synthetic.py:strong --workdir=W

Options behind the colon: geoseg_jax/presets/flow.py, and world: street (the default) or room. The
world is rendered once and kept in config.data.cache_dir. Pictures of 192x64, as the quickstart's,
so that a laptop's CPU does it in minutes; all methods have the same number of steps, for comparing
them. Beside each number of eval.json stands that of the mean flow at each pixel
(epe_constant) and of no motion (epe_zero).
`strong` differs from presets/flow.py, whose choices were published for KITTI: at the start, from no
motion, the loss must lead to the true one. The cosine between minus its gradient and the true flow
is .21 on the street at 96x32 and .49 in the rooms at 192x64, that of a census of whole pictures
.08 and .22, of a census of pictures reduced to a quarter .01 and .07. So it compares by SSIM + L1,
each flow on pictures four times as large as its own map, from coarse to fine.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow, preset, readers
from geoseg_jax.presets.encoders import is_vit


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(flow.PRESET, arg, "flow_synthetic.py", _set_up, world=readers.WORLD)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "synthetic", "world": options["world"], "seed": 0, "cache_dir": ""})
    config.data.update({"train_size": 1_000, "eval_size": 64, "height": 64, "width": 192})
    config.optimizer.update({"schedule": "cosine", "warmup_steps": 20})
    if not is_vit(options["encoder"]):
        # At 1e-3 the coarse flows of paper used to run to the end of their reach, and stay there.
        rates = {"paper": 3e-4, "strong": 2e-3, "supervised": 1e-3}
        config.optimizer.learning_rate = rates[options["method"]]
    config.train.update({"steps": 400, "batch_size": 4, "log_every": 20, "checkpoint_every": 200})
    config.train.update({"eval_every": 200, "pictures_every": 200})
    if config.model.flow == "pyramid":  # a quarter of the decoder's work
        config.model.update({"flow_layers": (64, 64, 32), "flow_context_layers": 0})
    config.task.jitter.probability = 0.0  # the world's frames are lit alike
    if options["method"] == "strong":
        _lead_from_no_motion(config)


def _lead_from_no_motion(config: ConfigDict) -> None:
    """Sets a loss whose gradient leads to the true flow (tests/tasks/test_flow_gradient.py)."""
    config.task.update(
        {
            "data_term": "ssim_l1",
            "scale_weights": (1.0,),
            "coarse_weights": (0.0, 1.0, 1.0, 1.0),
            "coarse_zoom": 4,
            # What leaves the picture, a fifth of a street's pixels, must not be drawn to its border
            # for long: there smoothness goes on with the flow beside it.
            "occlusion": "range_map",
            "occlusion_start": 0.3,
            # Published edge constants are of larger pictures: at 150 nearly every pixel of these is
            # an edge, and smoothness reaches nowhere.
            "edge_constant": 10.0,
            "smoothness": 0.05,
            "level_dropout": 0.0,  # so few steps cannot afford to forget levels at random
        }
    )
    config.task.distillation.weight = 0.0  # nor do they leave a teacher
