"""Bad settings are refused at the start, by their full name and with the near miss."""

import pathlib

import pytest

from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.presets import depth, segmentation
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_a_good_config_passes():
    settings.check(tiny.make_config())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train.steps", 0, "config.train.steps=0 must be a whole number of at least 1"),
        ("train.steps", 2.5, "config.train.steps=2.5"),
        ("train.steps", True, "config.train.steps=True"),
        ("train.best_mode", "mni", "did you mean 'min'"),
        (
            "optimizer.name",
            "adamm",
            "config.optimizer.name='adamm' must be one of adam, adamw, sgd",
        ),
        ("optimizer.learning_rate", float("nan"), "config.optimizer.learning_rate=nan"),
        ("optimizer.learning_rate", -1e-4, "of at least 0"),
        ("optimizer.rules", (("encoder/.*",),), "must be pairs"),
        ("optimizer.rules", (("encoder/.*", -1.0),), "must be pairs"),
        ("data.bad_share", 1.5, "at most 1"),
        ("data.flip", 1, "config.data.flip=1 must be True or False"),
        ("data.scale", (2.0, 0.5), "config.data.scale=[2.0, 0.5] must be (), or the least and"),
        ("data.scale", (0.0, 2.0), "as in (0.5, 2.0)"),
        ("data.crop", (512,), "config.data.crop=[512] must be (), or height and width"),
        ("data.crop", (512.0, 512), "as in (512, 512)"),
        ("data.frames", (-1, 0), "other than 0"),
        ("data.keep_rows", (0.8, 0.0), "config.data.keep_rows=[0.8, 0.0] must be two shares"),
        ("task.loss", "silog_rot", "did you mean 'silog_root'"),
        ("model.encoder", "resnet19", "did you mean 'resnet18'"),
        ("train.stpes", 3, "config.train.stpes is not a setting; did you mean 'train.steps'"),
    ],
)
def test_bad_values(key, value, said):
    config = tiny.make_config().to_dict()
    section, name = key.split(".")
    config.setdefault(section, {})[name] = value
    with pytest.raises(ConfigError) as error:
        settings.check(config)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.deeplab.align_corners": True}, "without deeplabv3; set it to False"),
        ({"model.deeplab.norm_momentum": 0.2}, "without deeplabv3; set it to 0.1"),
        (
            {"model.norm_momentum": 0.05, "transfer.frozen": ("encoder",)},
            "config.model.norm_momentum=0.05 has no effect without an encoder with batch",
        ),
        (
            {"data.picture_resize": "bicubic", "data.name": "nyu"},
            "has no effect without a data set of picture files; set it to 'area'",
        ),
    ],
)
def test_versions_of_what_is_not_there(changes, said):
    config, _ = segmentation.make("", "test")
    config.data.update({"name": "camvid", "root": "", "train_split": "train", "eval_split": "val"})
    settings.check(config)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError) as error:
        settings.check(config)
    assert said in str(error.value)


def test_values_that_do_not_go_together():
    config = tiny.make_config().to_dict()
    config["optimizer"]["weight_decay"] = 0.1
    with pytest.raises(ConfigError, match="adamw"):
        settings.check(config)
    config = tiny.make_config().to_dict()
    config["task"] = {"min_depth": 2.0, "max_depth": 1.0}
    with pytest.raises(ConfigError, match=r"config.task.min_depth=2.0 must be below"):
        settings.check(config)


def cropped(**data):
    config = tiny.make_config().to_dict()
    config["model"] = {"encoder": "resnet18"}
    config["data"] |= {"height": 192, "width": 640, "scale": (0.5, 2.0), "crop": (384, 512)} | data
    return config


def test_crops_that_fit_and_that_do_not():
    settings.check(cropped())
    settings.check(cropped(crop=(), scale=(0.5, 1.0)))
    with pytest.raises(ConfigError, match=r"crop=\[416, 512\] is larger.*at most 384"):
        settings.check(cropped(crop=(416, 512)))
    with pytest.raises(ConfigError, match=r"width=640 times the largest config.data.scale, 1; "):
        settings.check(cropped(crop=(192, 672), scale=()))
    with pytest.raises(ConfigError, match=r"scale=\[0.5, 2.0\] is for single pictures"):
        settings.check(cropped(frames=(-1, 1)))


def test_supervised_depth_needs_a_truth_and_a_window_that_fits():
    def supervised(**data):
        return cropped(crop=(384, 448), truth_in_training=True, **data) | {"task": task}

    task = {"name": "depth_supervised"}
    settings.check(supervised(frames=(), stereo=False))
    with pytest.raises(ConfigError, match=r"trains on true depth; set .*truth_in_training=True"):
        settings.check(cropped() | {"task": task})
    with pytest.raises(ConfigError, match=r"crop=\[380, 448\] must be multiples of 32"):
        settings.check(supervised() | {"data": supervised()["data"] | {"crop": (380, 448)}})
    with pytest.raises(ConfigError, match=r"config.data.height=200 must be a multiple of 32"):
        settings.check(supervised(height=200))


def posed(data=None, **task):
    config = tiny.make_config().to_dict()
    config["task"] = {"name": "selfsup_depth", "poses": "given"} | task
    usual = {"name": "synthetic", "world": "street", "train_size": 1, "eval_size": 1, "seed": 0}
    usual |= {"height": 32, "width": 96, "frames": (-1, 1), "stereo": False, "poses": True}
    config["data"] |= usual | (data or {})
    return config


def test_given_poses_need_data_that_has_them_and_no_network():
    settings.check(posed(eval={"median_scaling": False}))
    with pytest.raises(ConfigError, match=r"poses=False does not go with .*poses='given'"):
        settings.check(posed({"poses": False}))
    with pytest.raises(ConfigError, match=r"poses=True does not go with .*poses='learned'"):
        settings.check(posed(poses="learned"))
    with pytest.raises(ConfigError, match=r"no effect with config.data.frames=\(\)"):
        settings.check(posed({"frames": (), "stereo": True}))
    video = {"root": "", "frame_stride": 1, "min_motion": 0.0, "held_out": 0.1, "gap": 1}
    with pytest.raises(ConfigError, match=r"data.name='video' has none; those of kitti, "):
        settings.check(posed({"name": "video", "intrinsics": "fov", "fov": 60.0} | video))
    config = posed()
    config["model"] = {"pose_encoder": "resnet18"}
    with pytest.raises(ConfigError, match=r"pose_encoder='resnet18' has no effect .*poses=given"):
        settings.check(config)


def test_flips_and_scales_without_an_effect_are_refused():
    video = {"frames": (-1, 1), "flip_vertical": True, "crop": (), "scale": ()}
    config = cropped(**video) | {"task": {"name": "selfsup_depth", "intrinsics": "focal"}}
    with pytest.raises(ConfigError, match=r"flip_vertical=True: config.task.intrinsics='focal'"):
        settings.check(config)
    config["task"] = {"name": "selfsup_depth", "scales": 1, "enlarged": "depth"}
    with pytest.raises(ConfigError, match=r"enlarged='depth' has no effect .*set it to 'disparity"):
        settings.check(config)
    windows = {"scale": (), "crop": (), "crop_area": (0.08, 1.0), "flip_vertical": True}
    with pytest.raises(ConfigError, match=r"flip_vertical=True does not go .*set it to False"):
        settings.check(cropped(**windows))


def test_flip_is_for_depth_that_is_judged_by_depth():
    settings.check(posed(eval={"flip": True}))
    with pytest.raises(ConfigError, match=r"eval.flip=True has no effect .*truth='none'"):
        settings.check(posed({"truth": "none"}, eval={"flip": True}))


def test_random_windows_are_the_only_scaling():
    windows = {"scale": (), "crop": (), "crop_area": (0.08, 1.0)}
    settings.check(cropped(**windows, crop_views=2))
    with pytest.raises(ConfigError, match=r"scale=\[0.5, 2.0\] does not go with .*crop_area="):
        settings.check(cropped(crop_area=(0.08, 1.0)))
    with pytest.raises(ConfigError, match=r"frames=\[-1, 1\] does not go with .*crop_area="):
        settings.check(cropped(**windows, frames=(-1, 1)))
    with pytest.raises(ConfigError, match=r"crop_views=2 needs config.data.crop_area"):
        settings.check(cropped(crop_views=2))
    with pytest.raises(ConfigError, match=r"crop_area=\[0.5, 0.1\] must be \(\), or the least"):
        settings.check(cropped(**windows | {"crop_area": (0.5, 0.1)}))


def test_a_missing_key_is_named():
    config = tiny.make_config().to_dict()
    del config["train"]["batch_size"]
    with pytest.raises(ConfigError, match=r"config.train.batch_size is missing"):
        settings.check(config)


def test_data_of_another_kind_than_the_config_was_made_for():
    config = tiny.make_config().to_dict()
    config["data"]["name"] = "kitti"
    with pytest.raises(ConfigError, match=r"config.data.name='kitti' needs config.data.root"):
        settings.check(config)


def test_a_warm_up_ends_before_the_training():
    settings.check_warm_up(tiny.make_config(optimizer__warmup_steps=9))
    settings.check_warm_up(tiny.make_config(optimizer__warmup_steps=0, train__steps=1))
    with pytest.raises(ConfigError, match=r"warmup_steps=100 .*steps=100, .*set it to 5"):
        settings.check_warm_up(tiny.make_config(optimizer__warmup_steps=100, train__steps=100))


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
        ({"transfer.parts": ("decoder",)}, "config.transfer.parts must name"),
        ({"transfer.parts": ("encoder", "pose")}, "as part of 'pose' already"),
        ({"model.encoder": "resnet50"}, "config.model.encoder='resnet50'; set"),
        ({"model.pose_encoder": "shared"}, "needs a pose network on an encoder like"),
        ({"data.frames": (), "data.stereo": True}, "config.data.frames to (-1, 1)"),
        ({"transfer.pose_encoder": "encoder"}, "must be '' (random weights) or 'repeated'"),
    ],
)
def test_what_a_pose_network_that_starts_from_the_encoder_needs(changes, said):
    config, _ = depth.make("mono,init=W", "test.py")
    config.data.name = "synthetic_objects"
    config.data.update({"train_size": 1, "eval_size": 1, "seed": 0})
    config.transfer.pose_encoder = "repeated"
    settings.check(config)
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError) as error:
        settings.check(config)
    assert said in str(error.value)


def test_what_learning_motion_needs():
    base = {"seed": 0, "optimizer": {"name": "adam", "learning_rate": 1e-3}}
    base["train"] = {"steps": 1, "batch_size": 1, "eval_batch_size": 1}
    task = {"name": "selfsup_depth", "automask": True, "automask_start": 0.1}
    settings.check(base | {"task": task})
    with pytest.raises(ConfigError, match=r"automask_start=0.1 has no effect with .*automask=Fal"):
        settings.check(base | {"task": task | {"automask": False}})
    with pytest.raises(ConfigError, match=r"automask_start=1\.5 must"):
        settings.check(base | {"task": task | {"automask_start": 1.5}})
    shared = {"task": task, "model": {"pose_encoder": "shared"}}
    settings.check(base | shared | {"data": {"frames": (-1, 1), "stereo": True}})
    with pytest.raises(ConfigError, match=r"pose_encoder='shared' has no effect .*frames=\(\)"):
        settings.check(base | shared | {"data": {"frames": (), "stereo": True}})
