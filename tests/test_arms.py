"""What all pre-trainings promise alike: one encoder for every transfer, the same step anywhere."""

import os

import jax
import numpy as np
import pytest

from geoseg_jax.data.factory import make_data
from geoseg_jax.data.pipeline import train_batches
from geoseg_jax.data.transforms import augmentation
from geoseg_jax.tasks import TASKS, make_task
from tests.one_step import assert_equal_on_eight_devices
from tests.test_configs import KEY, abstract_batch, data_for, get_config

# A config of each task and the ways in which it learns; what differs between the configs of a task
# is the data.
ARMS = {
    "classify_synthetic": [""],
    "depth_synthetic": ["mono_stereo", "supervised"],
    "depth_video": ["learned"],
    "flow_synthetic": ["strong", "paper", "supervised"],
    "mae_imagenet": [""],
    "moco_imagenet": [""],
    "reconstruct_kitti": [""],
}
PAIRS = [(name, way) for name, ways in ARMS.items() for way in ways]
# An arm -> the encoders that it trains; MAE is for transformers.
BOTH = {"tiny", "vit_tiny"}
ENCODERS = {"mae_imagenet": {"vit_tiny"}}
SLOW = "GEOSEG_JAX_SLOW_TESTS"


def encoder_of(config):
    """{path: (shape, dtype)} of the part encoder, parameters and statistics."""
    task = make_task(config, data_for(config))
    variables = jax.eval_shape(task.init, KEY, abstract_batch(config))
    part = {name: tree.get("encoder", {}) for name, tree in variables.items()}
    leaves = jax.tree_util.tree_leaves_with_path(part)
    return {jax.tree_util.keystr(path): (leaf.shape, leaf.dtype) for path, leaf in leaves}


@pytest.fixture(scope="module")
def wanted():
    """What segmentation looks for in an encoder, by its name."""
    return {name: encoder_of(get_config("segment_synthetic", name)) for name in BOTH}


def test_no_task_is_left_out():
    covered = {get_config(name, way).task.name for name, way in PAIRS}
    assert covered == set(TASKS) - {"segmentation"}


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_every_arm_has_the_encoder_that_segmentation_takes(name, way, wanted):
    for encoder in ENCODERS.get(name, BOTH):
        arg = ",".join(filter(None, (way, encoder, "smoke")))
        found = encoder_of(get_config(name, arg))
        assert found == wanted[encoder], arg
        assert found


@pytest.mark.skipif(os.environ.get(SLOW) != "1", reason=f"half an hour of compiling: set {SLOW}=1")
@pytest.mark.parametrize("encoder", ["resnet18", "vit_s16"])
@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_a_step_of_the_real_encoders_on_eight_devices_equals_one(name, way, encoder, tmp_path):
    """The tasks' own tests compare their losses with the smallest encoders, every time."""
    if encoder.startswith("resnet") and ENCODERS.get(name, BOTH) == {"vit_tiny"}:
        pytest.skip("for transformers alone")
    config = get_config(name, ",".join(filter(None, (way, encoder, "smoke"))))
    config.data.cache_dir = str(tmp_path)
    data = make_data(config)
    batches = train_batches(data.train, batch_size=8, seed=0, augment=augmentation(config.data))
    batch = {key: np.asarray(value) for key, value in next(iter(batches)).items()}
    # Deep networks of random weights amplify rounding: weights that differ by 1e-7 of themselves
    # change, on one device, the norm of mono_stereo's gradient by 1.1e-3, and a kernel of MoCo,
    # which normalises one picture at a time here, by 4.3e-3; both with a ResNet-18.
    tolerance = 1e-2 if name == "moco_imagenet" else 2e-3
    assert_equal_on_eight_devices(make_task(config, data), batch, tolerance, whole=True)
