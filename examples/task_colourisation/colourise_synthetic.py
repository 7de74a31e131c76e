"""Colourisation on the embedded synthetic world: no data needed.

    pip install --editable examples/task_colourisation
    cd examples/task_colourisation
    python -m geoseg_jax.main --config=colourise_synthetic.py --workdir=W

Options behind the colon: geoseg_jax/presets/reconstruction.py, `smoke` among them. An arm of a
study names this file as its `config`.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, reconstruction


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(reconstruction.PRESET, arg, "colourise_synthetic.py", _set_up)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.task = ConfigDict({"name": "colourisation"})
    config.data.update({"name": "synthetic", "world": "street", "seed": 0, "cache_dir": ""})
    config.data.update({"train_size": 1_000, "eval_size": 64, "height": 64, "width": 192})
    config.train.update({"steps": 500, "batch_size": 8, "best_metric": "l1"})
