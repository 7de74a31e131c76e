"""Bad settings are refused at the start, by their full name and with the near miss."""

import pathlib
import re

import pytest

from geoseg_jax.config import settings
from geoseg_jax.config.check import check, check_warm_up
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.presets import depth, segmentation, supervised_depth
from geoseg_jax.presets.preset import build
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORLD = {"name": "synthetic", "world": "street", "train_size": 1, "eval_size": 1, "seed": 0}
VIDEO = {"name": "video", "root": "", "frame_stride": 1, "min_motion": 0.0, "held_out": 0.1}
VIDEO |= {"gap": 1, "intrinsics": "fov", "fov": 60.0}
WINDOWS = {"crop_area": (0.08, 1.0)}


def make(preset=depth, arg="", data=WORLD, **changes):
    """A preset's config as nested dicts; keys of changes with dots as `__`."""
    config = build(preset.PRESET, arg, "test.py").to_dict()
    config["data"] |= data
    for key, value in changes.items():
        *sections, name = key.split("__")
        section = config
        for part in sections:
            section = section[part]
        section[name] = value
    return config


def refused(config, *said, skip=()):
    with pytest.raises(ConfigError) as error:
        check(config, skip)
    for part in said:
        assert part in str(error.value)


def test_a_good_config_passes():
    check(make())
    check(tiny.make_config(), skip=("task", "model", "data"))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train__steps", 0, "config.train.steps=0 must be an integer of at least 1"),
        ("train__steps", 2.5, "config.train.steps=2.5"),
        ("train__steps", True, "config.train.steps=True"),
        ("train__best_mode", "mni", "must be 'min' or 'max'; did you mean 'min'"),
        (
            "optimizer__name",
            "adamm",
            "config.optimizer.name='adamm' must be 'adam', 'adamw' or 'sgd'; did you mean 'adam'",
        ),
        ("optimizer__learning_rate", float("nan"), "config.optimizer.learning_rate=nan"),
        ("optimizer__learning_rate", -1e-4, "must be a finite number of at least 0"),
        ("optimizer__rules", (("encoder/.*",),), "must be pairs"),
        ("optimizer__rules", (("encoder/.*", -1.0),), "must be pairs"),
        ("data__bad_share", 1.5, "from 0 to 1"),
        ("data__flip", 1, "config.data.flip=1 must be True or False"),
        ("data__scale", (2.0, 0.5), "config.data.scale=[2.0, 0.5] must be () or the smallest"),
        ("data__scale", (0.0, 2.0), "as in (0.5, 2.0)"),
        ("data__crop", (512,), "config.data.crop=[512] must be () or height and width"),
        ("data__crop", (512.0, 512), "as in (512, 512)"),
        ("data__frames", (-1, 0), "must be an integer other than 0, as in (-1, 1) in every entry"),
        ("data__keep_rows", (0.8, 0.0), "config.data.keep_rows=[0.8, 0.0] must be two ascending"),
        ("task__eval__crop", "grag", "did you mean 'garg'"),
        ("model__encoder", "resnet19", "did you mean 'resnet18'"),
        ("train__stpes", 3, "config.train.stpes is not a setting; did you mean 'train.steps'"),
        (
            "task__name",
            "selfsup_dept",
            "must be one of selfsup_depth, .*did you mean 'selfsup_depth",
        ),
    ],
)
def test_bad_values(key, value, said):
    with pytest.raises(ConfigError, match=said if ".*" in said else re.escape(said)):
        check(make(**{key: value}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model__deeplab__align_corners": True}, "without deeplabv3; set it to False"),
        ({"model__deeplab__norm_momentum": 0.2}, "without deeplabv3; set it to 0.1"),
        (
            {"model__norm_momentum": 0.05, "transfer__frozen": ("encoder",)},
            "config.model.norm_momentum=0.05 has no effect without an encoder with batch",
        ),
        (
            {"data__picture_resize": "bicubic", "data__name": "nyu"},
            "has no effect without a data set of picture files; set it to 'area'",
        ),
    ],
)
def test_versions_of_what_is_not_there(changes, said):
    data = {"name": "camvid", "root": "", "train_split": "train", "eval_split": "val"}
    check(make(segmentation, "", data))
    refused(make(segmentation, "", data, **changes), said)


def test_values_that_do_not_go_together():
    refused(make(optimizer__weight_decay=0.1), "adamw")
    refused(
        make(task__min_depth=200.0), "config.task.min_depth=200.0 must be below config.task.max"
    )
    refused(make(task__initial_depth=0.01), "must lie between config.task.min_depth=0.1 and")


def cropped(**data):
    """Depth from truth, which may be cut out of scaled pictures."""
    sizes = {"height": 192, "width": 640, "scale": (0.5, 2.0), "crop": (384, 512)}
    return make(supervised_depth, "", WORLD | sizes | data)


def test_crops_that_fit_and_that_do_not():
    check(cropped())
    check(cropped(crop=(), scale=(0.5, 1.0)))
    refused(cropped(crop=(416, 512)), "crop=[416, 512] is larger", "at most 384")
    said = "width=640 times the largest config.data.scale, 1; "
    refused(cropped(crop=(192, 672), scale=()), said)
    refused(make(data__scale=(0.5, 2.0)), "scale=[0.5, 2.0] is for single pictures")


def test_supervised_depth_needs_a_truth_and_a_window_that_fits():
    refused(cropped(truth_in_training=False), "truth_in_training=False must be True", "true depth")
    refused(cropped(crop=(380, 448)), "crop=[380, 448] must be multiples of 32")
    refused(cropped(height=200), "config.data.height=200 must be a multiple of 32", "192 or 224")


def test_given_poses_need_data_that_has_them_and_no_network():
    check(make(arg="mono,poses=given"))
    said = "poses=False does not go with config.task.poses='given'"
    refused(make(arg="mono,poses=given", data__poses=False), said)
    said = "poses=True does not go with config.task.poses='learned'"
    refused(make(arg="mono", data__poses=True), said)
    refused(make(arg="stereo,poses=given"), "no effect with config.data.frames=()")
    refused(make(arg="mono,poses=given", data=VIDEO), "config.data.name='video' does not have")
    config = make(arg="mono,poses=given", model__pose_encoder="resnet18")
    refused(config, "pose_encoder='resnet18' has no effect", "poses=given")


def test_flips_and_scales_without_an_effect_are_refused():
    config = make(arg="mono", data__flip_vertical=True, task__intrinsics="focal")
    refused(config, "flip_vertical=True does not go with config.task.intrinsics='focal'")
    config = make(task__scales=1, task__enlarged="depth")
    refused(config, "enlarged='depth' has no effect", "set it to 'disparity'")
    windows = {"scale": (), "crop": (), "flip_vertical": True}
    refused(cropped(**WINDOWS, **windows), "flip_vertical=True does not go", "set it to False")


def test_flip_is_for_depth_that_is_judged_by_depth():
    check(make(task__eval__flip=True))
    refused(make(task__eval__flip=True, data__truth="none"), "flip=True has no effect", "'none'")


def test_random_windows_are_the_only_scaling():
    check(cropped(**WINDOWS, scale=(), crop=(), crop_views=2))
    refused(cropped(**WINDOWS), "scale=[0.5, 2.0] does not go with", "crop_area=")
    frames = cropped(**WINDOWS, scale=(), crop=(), frames=(-1, 1))
    refused(frames, "frames=[-1, 1] does not go with", "crop_area=")
    refused(cropped(crop_views=2), "crop_views=2 needs config.data.crop_area")
    refused(cropped(crop_area=(0.5, 0.1)), "crop_area=[0.5, 0.1] must be () or the smallest")


@pytest.mark.parametrize("key", ["seed", "train.batch_size", "task.name", "data.name"])
def test_a_missing_key_is_named(key):
    config = make()
    *sections, name = key.split(".")
    del (config[sections[0]] if sections else config)[name]
    refused(config, f"config.{key} is missing")


def test_data_of_another_kind_than_the_config_was_made_for():
    refused(make(data__name="kitti"), "config.data.name='kitti' needs config.data.root")


def test_a_warm_up_ends_before_the_training():
    check_warm_up(tiny.make_config(optimizer__warmup_steps=9))
    check_warm_up(tiny.make_config(optimizer__warmup_steps=0, train__steps=1))
    with pytest.raises(ConfigError, match=r"warmup_steps=100 .*steps=100, .*set it to 5"):
        check_warm_up(tiny.make_config(optimizer__warmup_steps=100, train__steps=100))


def test_configs_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = settings.find_config("configs/depth_kitti.py:mono,resnet50")
    assert found == f"{ROOT / 'configs/depth_kitti.py'}:mono,resnet50"
    (tmp_path / "mine.py").write_text("")
    assert settings.find_config("mine.py:a") == "mine.py:a"
    with pytest.raises(FileNotFoundError, match=r"did you mean 'configs/quickstart.py'"):
        settings.find_config("configs/quikstart.py")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"init_from": ""}, "has no effect without config.init_from"),
        ({"transfer__parts": ("decoder",)}, "config.transfer.parts must name"),
        ({"transfer__parts": ("encoder", "pose")}, "as part of 'pose' already"),
        ({"model__encoder": "resnet50"}, "config.model.encoder='resnet50'; set"),
        ({"model__pose_encoder": "shared"}, "needs a pose network on an encoder like"),
        ({"data__frames": (), "data__stereo": True}, "config.data.frames to (-1, 1)"),
        ({"transfer__pose_encoder": "encoder"}, "must be '' or 'repeated'"),
    ],
)
def test_what_a_pose_network_that_starts_from_the_encoder_needs(changes, said):
    repeated = {"transfer__pose_encoder": "repeated"}
    check(make(arg="mono,init=W", **repeated))
    refused(make(arg="mono,init=W", **(repeated | changes)), said)


def test_what_learning_motion_needs():
    refused(
        make(task__automask=False, task__automask_start=0.1), "automask_start=0.1 has no effect"
    )
    refused(make(task__automask_start=1.5), "automask_start=1.5 must")
    check(make(model__pose_encoder="shared"))
    config = make(arg="stereo", model__pose_encoder="shared")
    refused(config, "pose_encoder='shared' has no effect", "frames=()")
    config = make(arg="mono")
    del config["model"]["pose_encoder"]
    refused(config, "config.model.pose_encoder is missing")
