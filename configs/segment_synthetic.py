"""Segmentation on the embedded synthetic world: no data needed, minutes on a laptop's CPU.

    python -m geoseg_jax.main --config=configs/segment_synthetic.py:init=runs/quickstart --workdir=S

Options behind the colon: geoseg_jax/presets/segmentation.py, with 16 labels of 192x64 as defaults,
to follow quickstart.py, and world: street (the default) or room. docs/segmentation.md has
what came out.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, readers, segmentation


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET,
        arg,
        "segment_synthetic.py",
        _set_up,
        labels=16,
        resolution="192x64",
        world=readers.WORLD,
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "synthetic_segmentation", "world": options["world"]})
    # A seed of its own: labelled scenes are not those that the quickstart is trained on.
    config.data.update({"train_size": 128, "eval_size": 128, "seed": 1, "cache_dir": ""})
    config.train.update({"steps": 150, "log_every": 10, "eval_every": 150, "pictures_every": 150})
    config.train.update({"checkpoint_every": 50, "eval_batch_size": 16})
    config.optimizer.warmup_steps = 10
