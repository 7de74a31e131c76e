"""Every configuration in the folder builds, and one training step of it has the right shapes."""

import functools
import importlib.util
import json
import pathlib
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geoseg_jax.config.check import check, check_warm_up
from geoseg_jax.config.settings import flatten
from geoseg_jax.core.batch import FIELDS
from geoseg_jax.data.labels.table import LabelTable, label_table
from geoseg_jax.ops.disparity import disparity_to_depth
from geoseg_jax.tasks import make_task
from geoseg_jax.training.programs import INDEPENDENT

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "configs"
# The arguments to try beside none; a configuration that takes some must name them here.
ARGUMENTS = {
    "classify_folder": ["vit_tiny,resolution=64x64", "smoke"],
    "classify_imagenet": ["class_folder,resnet50,init=W", "vit_tiny"],
    "classify_synthetic": ["smoke,tiny"],
    "depth_cityscapes": ["mono,preset=paper_code,tiny", "supervised,extra,tiny"],
    "depth_kitti": ["mono,init=W", "stereo,improved", "mono,poses=given", "supervised,smoke,tiny"],
    "depth_nyu": ["held_out,paper_code,tiny", "vit_tiny,smoke"],
    "depth_odometry": ["stereo,tiny", "mono_stereo,poses=learned,init=W", "vit_tiny,smoke"],
    "depth_synthetic": ["mono", "room", "stereo,vit_tiny", "supervised,room,berhu,tiny"],
    "depth_video": ["learned,fov=90,tiny", "smoke,tiny"],
    "flow_chairs": ["strong,tiny", "smoke,tiny"],
    "flow_kitti": ["paper,init=W,pairs", "supervised,tiny"],
    "flow_synthetic": ["paper,vit_tiny,room", "supervised,vit_tiny,smoke"],
    "mae_imagenet": ["vit_tiny,pictures,batch=256", "vit_tiny,smoke"],
    "moco_imagenet": ["class_folder,vit_tiny,init=W", "tiny,smoke"],
    "quickstart": [],
    "reconstruct_kitti": ["holes,tiny,init=W", "vit_tiny,smoke"],
    "reconstruct_synthetic": ["room,tiny"],
    "reconstruct_video": ["resolution=96x64,tiny", "smoke,tiny"],
    "segment_camvid": ["init=W,labels=16,frozen=True", "decoder=linear,frozen=True"],
    "segment_cityscapes": ["decoder=unet,encoder=resnet18", "preset=paper_code"],
    "segment_folder": ["parts=encoder+decoder"],
    "segment_kitti": ["preset=paper_code", "fold=3,resolution=416x128", "decoder=deeplabv3"],
    "segment_nyu": ["classes=nyu13"],
    "segment_synthetic": ["world=room", "seed=2"],
}
TRUE_DEPTH = {"depth", "depth_size", "constant_depth", "constant_shape"}
DEPTH = {"image", "sources", "intrinsics", "stereo_pose"} | TRUE_DEPTH
VIDEO = {"image", "sources", "intrinsics", "stereo_pose", "video", "flipped"}
VIEWS_JUDGED = {"photometric", "photometric_identity", "photometric_flat"}
FLOW = {"image", "sources", "flow", "flow_valid", "flow_visible", "constant_flow"}
# A task -> what its batches hold, and some of what it sums up in evaluation.
KINDS = {
    "selfsup_depth": (DEPTH, {"abs_rel", "abs_rel_constant"}),
    "video": (VIDEO, VIEWS_JUDGED),
    "views": (DEPTH - TRUE_DEPTH, VIEWS_JUDGED),
    "depth_supervised": (
        {"image"} | TRUE_DEPTH,
        {"abs_rel", "abs_rel_scaled", "abs_rel_constant"},
    ),
    "flow": (FLOW, {"epe", "epe_occ_constant", "outliers_noc_zero"}),
    "classification": ({"image", "category"}, {"top1", "top5", "counts"}),
    "reconstruction": ({"image"}, {"l1", "l1_constant"}),
    "mae": ({"image"}, {"mse", "mse_constant"}),
    "moco": (
        {"image", "sources"},
        {"contrastive_accuracy", "contrastive_accuracy_constant"},
    ),
    "segmentation": ({"image", "label", "label_size"}, {"confusion"}),
}
KEY = jax.random.key(0)
# Studies are plans of such runs: tests/study/test_plan.py.
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("study_"))


def get_config(name, arg=""):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def kind(config):
    """A key of KINDS: the task, and whether it is judged without any truth."""
    name = config.task.name
    if name == "selfsup_depth" and config.data.get("truth") == "none":
        return "video" if "intrinsics" in config.data else "views"
    return name


def abstract_batch(config):
    """The shapes that the batches of a configuration have."""
    height, width = config.data.get("crop", ()) or (config.data.height, config.data.width)
    views = len(config.data.get("frames", ())) + config.data.get("stereo", False)
    # Two for each group of batch normalisation.
    sizes = {"B": 2 * config.task.get("norm_groups", 1), "S": views or 1}
    sizes |= dict.fromkeys(("H", "D_H", "L_H", "F_H"), height)
    sizes |= dict.fromkeys(("W", "D_W", "L_W", "F_W"), width)

    def struct(field):
        shape = tuple(sizes[axis] if axis in sizes else int(axis) for axis in field.axes)
        return jax.ShapeDtypeStruct(shape, field.dtype)

    keys = KINDS[kind(config)][0] | {"id", "mask"}
    keys |= {"source_poses"} if config.data.get("poses") else set()
    return {key: struct(FIELDS[key]) for key in keys}


def with_small_encoders(config):
    """In place: a trace takes seconds a config less, and settings and shapes are the same."""
    if "scales" in config.task:
        config.task.scales = min(2, config.task.scales)  # each is traced like the one before
    for key in ("encoder", "pose_encoder"):
        if config.model.get(key) not in (None, "", "shared"):
            vit = config.model[key].startswith("vit")
            config.model[key] = "vit_tiny" if vit else "tiny"
    if "flow_layers" in config.model:
        config.model.update({"flow_layers": (4,), "flow_context_layers": 1})


class Labels(NamedTuple):
    """A training set of one picture, all of whose pixels are of class 0."""

    table: LabelTable

    def __len__(self):
        return 1

    def label(self, index):
        return np.full((2, 2), index, np.uint8)


def data_for(config):
    """What a task asks of the data when it is made."""
    if config.task.name == "classification":
        source = SimpleNamespace(categories=("cat", "dog", "house"))
        return SimpleNamespace(train=source, eval=source)
    if config.task.name != "segmentation":
        return None
    name = {"synthetic_segmentation": "synthetic_street"}
    table = label_table(config.data.classes or name.get(config.data.name, "camvid11"))
    # One label picture, for the weights of classes.
    return SimpleNamespace(train=Labels(table))


def test_every_config_is_covered():
    assert set(NAMES) == set(ARGUMENTS)


class Withheld:
    """The value of a setting that no program may depend on: to use it is an error."""

    def _refuse(self, *_):
        raise AssertionError("a task reads a setting of training.programs.INDEPENDENT")

    __bool__ = __eq__ = __lt__ = __gt__ = __len__ = __iter__ = __str__ = __format__ = _refuse
    __hash__ = None


def withhold_independent(config):
    """In place: a program that is made of it serves all runs that differ in these settings alone.

    See geoseg_jax.training.programs.
    """
    for key in INDEPENDENT & set(flatten(config)):
        *sections, name = key.split(".")
        section = functools.reduce(getattr, sections, config)
        with section.ignore_type():
            section[name] = Withheld()


def words(config):
    """What decides which way a trace goes: the settings that are words; numbers are numbers."""
    found = {
        key: value
        for key, value in flatten(config).items()
        if key.startswith(("task.", "model.")) and isinstance(value, str | bool)
    }
    return json.dumps([found, config.data.get("classes")], sort_keys=True)


CASES = [(name, arg) for name in NAMES for arg in ["", *ARGUMENTS.get(name, [])]]


@functools.cache
def differing_cases():
    """Of the cases that are traced alike the first."""
    found = {}
    for name, arg in CASES:
        config = get_config(name, arg)
        with_small_encoders(config)
        found.setdefault((words(config), *sorted(abstract_batch(config))), (name, arg))
    return list(found.values())


@functools.cache
def first_of_each_kind():
    """Of the cases one of each key of KINDS."""
    found = {kind(get_config(*case)): case for case in reversed(differing_cases())}
    assert set(found) == set(KINDS)
    return set(found.values())


@pytest.mark.parametrize(("name", "arg"), CASES)
def test_builds(name, arg):
    config = get_config(name, arg)
    check(config)
    assert make_task(config, data_for(config))


@pytest.mark.parametrize(("name", "arg"), differing_cases())
def test_steps_by_nothing_but_what_programs_depend_on(name, arg):
    config = get_config(name, arg)
    with_small_encoders(config)
    check(config)
    data, batch, key = data_for(config), abstract_batch(config), KEY
    withhold_independent(config)
    task = make_task(config, data)
    variables = jax.eval_shape(task.init, key, batch)
    value, aux = jax.eval_shape(task.loss, variables, key, batch, 0.0)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    assert all(term.shape == () for term in aux.terms.values())
    stats = variables.get("batch_stats", {})
    assert jax.tree.structure(aux.batch_stats) == jax.tree.structure(stats)
    if (name, arg) not in first_of_each_kind():
        return  # judged and shown like another
    sums = jax.eval_shape(task.evaluate, variables, batch)
    judged = KINDS[kind(config)][1]
    assert judged | {"images"} <= set(sums)
    pictures = jax.eval_shape(task.visualise, variables, batch)
    pictures.pop("legend", None)
    size = batch["image"].shape
    assert {(p.shape, p.dtype.name) for p in pictures.values()} == {(size, "uint8")}


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match="mono_sterio"):
        get_config(name, "mono_sterio")


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n.startswith(("depth", "flow", "recon", "seg"))]
)
def test_a_transformers_warm_up_is_a_twentieth_of_the_length_that_the_file_sets(name):
    arms = {"depth_kitti": ["supervised"], "flow_kitti": ["strong,pairs", "paper,pairs", "paper"]}
    for arm in ["", *arms.get(name, [])]:
        config = get_config(name, f"{arm},vit_s16".strip(","))
        least = 10 if name == "segment_synthetic" else 0  # which the file asks for
        assert config.optimizer.warmup_steps == max(least, config.train.steps // 20), arm
        check_warm_up(config)


@pytest.mark.parametrize(("name", "arg"), [("flow_chairs", ""), ("flow_kitti", "supervised")])
def test_pictures_of_flow_fill_their_windows_at_the_least_scale(name, arg):
    data = get_config(name, arg).data
    for side, whole in zip(data.crop, (data.height, data.width), strict=True):
        assert side <= round(whole * data.scale[0])


@pytest.mark.parametrize(
    ("name", "arg"),
    [
        ("depth_nyu", ""),
        ("depth_cityscapes", "mono,"),
        ("depth_cityscapes", "supervised,"),
        ("segment_kitti", ""),
        ("segment_cityscapes", ""),
    ],
)
def test_the_papers_code_has_nothing_that_suits_transformers(name, arg):
    plain = get_config(name, f"{arg}paper_code,vit_s16,init=W").optimizer
    assert (plain.warmup_steps, plain.layer_decay) == (0, 1.0)
    if name != "segment_cityscapes":  # whose SGD is none for a transformer
        resnet = get_config(name, f"{arg}paper_code,resnet18,init=W").optimizer
        assert plain.to_dict() == resnet.to_dict()
        assert (plain.name, plain.weight_decay, plain.clip_norm) == ("adam", 0.0, 0.0)


def test_who_knows_the_camera_of_a_video():
    for word, told, learned in (
        ("", "fov", "focal"),
        ("learned,fov=90", "fov", "learned"),
        ("assumed", "fov", "given"),
        ("given,resolution=224x128", "given", "given"),
    ):
        config = get_config("depth_video", word)
        check(config)
        assert (config.data.intrinsics, config.task.intrinsics) == (told, learned), word
        assert bool(config.optimizer.rules) == (learned != "given")


def test_stereo_is_judged_in_metres():
    assert get_config("depth_kitti", "mono").task.eval.median_scaling
    assert not get_config("depth_kitti", "mono_stereo").task.eval.median_scaling
    assert not get_config("depth_kitti", "mono,poses=given").task.eval.median_scaling


def test_depth_of_the_papers_code_on_cityscapes_is_5_4_over_disparity():
    """Of disparities 1 / 100 + (1 / 0.1 - 1 / 100) sigmoid."""
    task = get_config("depth_cityscapes", "mono,paper_code").task
    for sigmoid in (0.0, 0.3, 1.0):
        depth = 5.4 / (0.01 + 9.99 * sigmoid)
        assert disparity_to_depth(sigmoid, task.min_depth, task.max_depth) == pytest.approx(depth)
    middle = disparity_to_depth(0.5, task.min_depth, task.max_depth)
    assert task.initial_depth == pytest.approx(middle)  # where a network starts that is told none


def test_improved_truth_is_judged_whole_as_the_literature_does():
    for arm in ("mono", "supervised"):
        for truth, crop, capped in (("eigen", "garg", True), ("improved", "none", False)):
            config = get_config("depth_kitti", f"{arm},{truth}")
            assert config.data.ground_truth == truth
            assert (config.task.eval.crop, config.task.eval.cap_truth) == (crop, capped)


def test_an_argument_reads_like_the_row_that_it_makes():
    arg = "init=W,labels=16,frozen=True,decoder=linear,resolution=416x128"
    config = get_config("segment_kitti", arg)
    assert config.init_from == "W"
    assert config.data.labels == 16
    assert config.transfer.frozen == ("encoder",)
    assert config.model.decoder == "linear"
    assert (config.data.height, config.data.width) == (128, 416)


def test_a_linear_probe_is_frozen_unless_told_otherwise():
    assert get_config("segment_camvid", "decoder=linear").transfer.frozen == ("encoder",)
    assert get_config("segment_camvid", "decoder=linear,frozen=False").transfer.frozen == ()


@pytest.mark.parametrize(
    ("name", "arg"),
    [
        ("segment_kitti", "imagenet=True"),
        ("segment_kitti", "preset=paper_code,fold=2"),
        ("segment_cityscapes", "imagenet=True"),
        ("segment_cityscapes", "preset=paper_code,frozen=True"),
        ("segment_camvid", "subset=3"),
        ("study_camvid", "small,start=imagenet"),  # there are no weights of half a ResNet-18
        ("study_camvid", "windows"),
        ("study_nyu", "small,start=both"),
    ],
)
def test_options_without_an_effect_are_refused(name, arg):
    with pytest.raises(ValueError, match=arg.rpartition(",")[2].split("=")[0]):
        get_config(name, arg)


def test_depth_can_start_from_other_weights():
    assert get_config("depth_kitti", "mono,init=resnet18.pth").init_from == "resnet18.pth"


def test_the_controlled_preset_has_none_of_the_faults():
    def faults(config):
        return {
            "1 gradients accumulate": config.optimizer.accumulate_gradients,
            "2 frozen parts learn": config.transfer.freeze != "all",
            "3 normalised twice": config.task.normalise_twice,
            "4 other classes are judged than trained": config.train.best_metric == "paper_miou",
            "5 label ids are invented": config.data.label_resize != "nearest",
        }

    for name in NAMES:
        if name.startswith("segment"):
            assert not any(faults(get_config(name)).values()), name
    assert all(faults(get_config("segment_kitti", "preset=paper_code,imagenet=True")).values())
    # Its code for Cityscapes is another program, without any of them.
    assert not any(faults(get_config("segment_cityscapes", "preset=paper_code")).values())


def test_the_papers_code_normalises_all_arms_alike():
    """KITTI by monodepth2's mean and deviation, Cityscapes by ImageNet's, whatever came before."""
    for name, wanted in (("segment_kitti", "monodepth2"), ("segment_cityscapes", "imagenet")):
        config = get_config(name, "preset=paper_code,init=W")
        assert (config.model.normalisation, config.transfer.normalisation) == (wanted, "any")
        assert get_config(name, "init=W").transfer.normalisation == "matching"


def test_a_batch_of_the_papers_code_has_no_label_twice():
    sizes = [
        get_config("segment_kitti", f"preset=paper_code,labels={labels}").train.batch_size
        for labels in (8, 16, 64, 0)
    ]
    assert sizes == [8, 16, 16, 16]
