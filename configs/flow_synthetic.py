"""Optical flow on the embedded synthetic world: no data needed.

    python -m geoseg_jax.main --config=configs/flow_synthetic.py:strong --workdir=W

Options behind the colon: geoseg_jax/presets/flow.py, and world: street (the default) or room. The
world is rendered once and kept in config.data.cache_dir. Pictures of 192x64, as the quickstart's,
so that a laptop's CPU does it in minutes; all methods have the same number of steps, for comparing
them. Beside each number of eval.json stands that of the mean flow at each pixel
(epe_constant) and of no motion (epe_zero).
To expect: of `strong,room` an EPE of 0.5 pixels, where no motion has 2.9, after 14 minutes on a
core that other programs shared; the street, with near things that pass by in jumps, takes longer
(docs/arms.md).
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow
from geoseg_jax.presets.encoders import is_vit


def get_config(arg: str = "") -> ConfigDict:
    config, options = flow.make(arg, "flow_synthetic.py", world=("street", "room"))
    config.data.update({"name": "synthetic", "world": options["world"], "seed": 0, "cache_dir": ""})
    config.data.update({"train_size": 1_000, "eval_size": 64, "height": 64, "width": 192})
    config.optimizer.update({"schedule": "cosine", "warmup_steps": 20})
    if not is_vit(options["encoder"]):
        # At 1e-3 the coarse flows of paper used to run to the end of their reach, and stay there.
        config.optimizer.learning_rate = 3e-4 if options["method"] == "paper" else 1e-3
    config.train.update({"steps": 400, "batch_size": 4, "log_every": 20, "checkpoint_every": 200})
    config.train.update({"eval_every": 200, "pictures_every": 200})
    if config.model.flow == "pyramid":  # a quarter of the decoder's work
        config.model.update({"flow_layers": (64, 64, 32), "flow_context_layers": 0})
    config.task.jitter.probability = 0.0  # the world's frames are lit alike
    if options["method"] == "strong":
        # Few steps must reach as far as many do where a census of the picture alone leads, and
        # cannot afford to forget levels at random.
        config.task.update({"coarse_weights": (1.0,), "level_dropout": 0.0})
        config.task.occlusion_start = 0.5
        config.task.distillation.weight = 0.0  # so few steps leave no teacher
    return flow.finish(config, options)
