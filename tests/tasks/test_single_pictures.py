"""What reconstruction, MAE and MoCo refuse before anything is started."""

import pytest

from geoseg_jax.config.check import check
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.presets import mae, moco, reconstruction
from geoseg_jax.presets.preset import build


def make(preset, **changes):
    config = build(preset.PRESET, "", "test")
    config.data.update({"name": "pictures", "root": "", "train_split": "", "eval_split": ""})
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in changes.items()})
    return config


@pytest.mark.parametrize("preset", [mae, moco, reconstruction])
def test_what_the_presets_make_is_good(preset):
    check(make(preset))


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        (mae, {"model__encoder": "resnet18"}, "resnet18.*can't leave patches out"),
        (
            mae,
            {"data__height": 230},
            "data.height=230 must be a multiple of 16, .*224 or 240",
        ),
        (
            mae,
            {"model__mae_heads": 5},
            "mae_width=512 must be a multiple of 4 and of .*mae_heads=5",
        ),
        (mae, {"transfer__frozen": ("encoder",)}, "'mae', which trains all of its parts"),
        (mae, {"task__mask_ratio": 1.0}, "task.mask_ratio=1.0"),
        (moco, {"data__crop_views": 1}, "crop_views=1 must be 2.*two windows"),
        (moco, {"task__norm_groups": 7}, "norm_groups=7 must divide .*batch_size=256"),
        (moco, {"task__norm_groups": 256}, "groups of at least 2"),
        (moco, {"train__micro_batches": 2}, "micro_batches=2 moves the queue"),
        (moco, {"task__queue": 128}, "queue=128 must hold at least one batch"),
        (moco, {"task__blur_sigma": (2.0, 0.1)}, "must be the smallest and the largest"),
        (reconstruction, {"task__hole_size": 6}, "hole_size=6 must be odd"),
        (reconstruction, {"model__encoder": "vit_tiny"}, "model.decoder='dpt'"),
    ],
)
def test_what_does_not_go_together_is_named(preset, changes, message):
    with pytest.raises(ConfigError, match=message):
        check(make(preset, **changes))
