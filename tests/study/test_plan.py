import dataclasses
import itertools
import pathlib
import re
import shlex

import pytest
from absl import flags
from ml_collections import config_flags

from geoseg_jax.analysis import statistics, units
from geoseg_jax.config import settings
from geoseg_jax.config.check import check
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import audit, guard, preview
from geoseg_jax.study.check import expand
from geoseg_jax.study.plan import command, make_plan
from tests.study.tiny_study import ARMS, FACTORS, plan, study
from tests.test_configs import FOLDER, get_config


def test_every_combination_is_a_cell_and_every_pretraining_is_there_once(tmp_path):
    made = plan(tmp_path)
    assert [p.id for p in made.pretrainings] == ["inpainting-tiny", "chain-tiny"]
    assert len(made.cells) == 3 * 2 * 2 * 2
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    assert {c.pretraining for c in made.cells} == {"", "inpainting-tiny", "chain-tiny"}


def test_a_cell_is_what_its_factors_say(tmp_path):
    for cell in plan(tmp_path).cells:
        config, factors = cell.config, cell.factors
        assert config.data.labels == factors["labels"]
        assert config.transfer.frozen == (("encoder",) if factors["training"] == "frozen" else ())
        assert (config.seed, config.data.subset) == (factors["seed"], factors["subset"])
        assert (config.data.width, config.data.height) == (96, 32)
        assert config.model.encoder == "tiny"
        assert config.train.steps == 3
        start = f"{tmp_path}/pretraining/{factors['arm']}-tiny"
        assert config.init_from == ("" if factors["arm"] == "random" else start)
        check(config)


def test_pretrainings_share_settings_that_they_have_and_chains_start_from_each_other(tmp_path):
    first, second = plan(tmp_path).pretrainings
    assert (first.config.train.batch_size, second.config.train.batch_size) == (2, 2)
    assert (first.config.optimizer.learning_rate, second.config.optimizer.learning_rate) != (
        3e-4,
    ) * 2
    assert second.config.optimizer.learning_rate == 3e-4
    assert (first.config.init_from, second.config.init_from) == ("", str(first.workdir))


REPLICATES = {k: v for k, v in FACTORS.items() if k not in ("subset", "seed")}
REPLICATES |= {"replicate": (0, 1, 4), "labels": (8,), "training": ("fine_tuned",)}


def test_every_replicate_has_encoders_of_its_own(tmp_path):
    made = plan(tmp_path, factors=REPLICATES)
    assert [(p.arm, p.seed) for p in made.pretrainings] == [
        (arm, seed) for seed in (0, 1, 4) for arm in ("inpainting", "chain")
    ]
    assert len({p.workdir for p in made.pretrainings}) == 6
    for job in made.pretrainings:
        assert job.config.seed == job.seed
        assert [link.seed for link in made.chain(job)] == [job.seed] * (1 + (job.arm == "chain"))
    for cell in made.cells:
        factors, start = cell.factors, made.start(cell)
        assert factors["subset"] == factors["seed"] == factors["pretraining_seed"]
        if factors["arm"] == "random":
            assert (start, cell.config.init_from) == (None, "")
        else:
            assert (start.arm, start.seed) == (factors["arm"], factors["seed"])
    audit.check_fair(made)


def test_a_cell_of_another_replicates_encoder_is_unfair(tmp_path):
    made = plan(tmp_path, factors=REPLICATES)
    audit.check_fair(made)
    unlike = {"data.flip": not made.cells[0].config.data.flip}
    cells = [
        c.changed(unlike if c.pretraining == "inpainting-tiny-seed4" else {}) for c in made.cells
    ]
    with pytest.raises(guard.UnfairError):
        audit.check_fair(dataclasses.replace(made, cells=cells))


def test_one_encoder_an_arm_may_serve_all_replicates(tmp_path):
    made = plan(tmp_path, factors=REPLICATES | {"pretraining_seed": (3,)})
    assert [(p.id, p.config.seed) for p in made.pretrainings] == [
        ("inpainting-tiny-seed3", 3),
        ("chain-tiny-seed3", 3),
    ]
    assert {c.factors["pretraining_seed"] for c in made.cells} == {3}
    given = plan(tmp_path, factors=REPLICATES | {"pretraining_seed": (5, 6, 7)})
    pairs = {(c.factors["seed"], c.factors["pretraining_seed"]) for c in given.cells}
    assert pairs == {(0, 5), (1, 6), (4, 7)}
    # Beside subset and seed there is one, of seed 0, unless told otherwise.
    assert {c.factors["pretraining_seed"] for c in plan(tmp_path).cells} == {0}


def test_all_that_varies_may_be_crossed(tmp_path):
    """So that it can be told apart what each does; random weights have no pre-training to vary."""
    factors = {k: v for k, v in REPLICATES.items() if k != "replicate"}
    factors |= {"subset": (0, 1), "seed": (0, 5), "pretraining_seed": (0, 2, 3)}
    made = plan(tmp_path, arms=ARMS[1:], reference="inpainting", factors=factors)
    assert len(made.pretrainings) == 2 * 3
    of_arm = [c for c in made.cells if c.factors["arm"] == "chain"]
    assert {units.replicate(c.factors) for c in of_arm} == set(
        itertools.product((0, 1), (0, 5), (0, 2, 3))
    )
    for cell in made.cells:
        own, config = cell.factors, cell.config
        assert made.start(cell).seed == own["pretraining_seed"]
        assert (config.seed, config.data.subset) == (own["seed"], own["subset"])
    with pytest.raises(ConfigError, match="are the same run: pretraining_seed has no effect"):
        plan(tmp_path, factors=factors)


def test_several_starts_are_an_arm_each(tmp_path):
    depth = {"name": "depth", "label": "Depth", "config": "configs/depth_synthetic.py:mono"}
    arms = (
        {"name": "random"},
        {"name": "imagenet", "label": "ImageNet", "weights": "r18.pth"},
        ARMS[1],
        depth | {"start": ("random", "imagenet", "inpainting")},
    )
    made = plan(tmp_path, arms=arms, factors=REPLICATES | {"replicate": (0, 1)})
    starts = {p.arm: p.config.init_from for p in made.pretrainings if p.seed == 1}
    assert starts == {
        "inpainting": "",
        "depth": "",
        "depth_from_imagenet": "r18.pth",
        "depth_from_inpainting": str(tmp_path / "pretraining" / "inpainting-tiny-seed1"),
    }
    expanded = expand(study(arms=arms))
    assert [arm.get("label") for arm in expanded["arms"][3:]] == [
        "Depth",
        "Depth, from ImageNet",
        "Depth, from inpainting",
    ]
    assert expand(expanded) == expanded
    with pytest.raises(ConfigError, match="'imagenet', which is not an earlier arm"):
        plan(tmp_path, arms=arms, without=("imagenet",))


def test_a_chain_is_what_a_pretraining_starts_from_and_itself(tmp_path):
    made = plan(tmp_path)
    first, second = made.pretrainings
    assert (made.start(first), made.start(second)) == (None, first)
    assert (made.chain(first), made.chain(second)) == ([first], [first, second])
    assert all(made.start(cell) == second for cell in made.cells if cell.factors["arm"] == "chain")


@pytest.mark.parametrize(("steps", "warm_up"), [(100, 10), (20, 5), (3, 0)])
def test_no_cell_warms_up_for_more_than_a_quarter(steps, warm_up, tmp_path):
    target = {"config": "configs/segment_synthetic.py", "set": {"train": {"steps": steps}}}
    cell = plan(tmp_path, target=target).cells[0]
    assert cell.config.optimizer.warmup_steps == warm_up


def test_a_file_of_weights_is_an_arm_without_training(tmp_path):
    made = plan(tmp_path, arms=({"name": "random"}, {"name": "imagenet", "weights": "r18.pth"}))
    assert not made.pretrainings
    starts = {cell.factors["arm"]: cell.config.init_from for cell in made.cells}
    assert starts == {"random": "", "imagenet": "r18.pth"}


def test_a_command_gives_the_very_config(tmp_path):
    for job in (plan(tmp_path).pretrainings[1], plan(tmp_path).cells[5]):
        words = shlex.split(command("geoseg_jax.main", job.argument, job.config, job.workdir))
        given = [w.replace("--config=", f"--config={FOLDER.parent}/") for w in words[3:]]
        given = [w for w in given if not w.startswith("--workdir")]
        values = flags.FlagValues()
        holder = config_flags.DEFINE_config_file("config", flag_values=values)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["", *given])
            values(["", *given])
        assert settings.flatten(holder.value) == settings.flatten(job.config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"referenc": "x"}, "config.referenc is not a study setting; did you mean 'reference'"),
        ({"reference": "randm"}, "'randm', which is not an arm; did you mean 'random'"),
        ({"factors": FACTORS | {"seed": ()}}, r"config.factors.seed=\[\] must be a tuple"),
        ({"factors": FACTORS | {"seed": (0, 0)}}, "must be a tuple of distinct values"),
        ({"factors": FACTORS | {"training": ("frosen",)}}, "did you mean 'frozen'"),
        ({"arms": (*ARMS, {"name": "random"})}, "'random': names must be unique"),
        (
            {"arms": ({"name": "random", "cofig": "x"},)},
            "'random': cofig is not a study setting; did you",
        ),
        (
            {"arms": ({"name": "random"}, {**ARMS[2], "start": "later"})},
            "'later', which is not an earlier arm",
        ),
        ({"arms": ({"name": "random"}, {"name": "b", "set": {}})}, "neither config nor weights"),
        ({"arms": ({"name": "random"}, {**ARMS[2], "start": ()})}, "list one or more"),
        (
            {"arms": (*ARMS[:2], {"name": "b", "weights": "w.pth", "start": "inpainting"})},
            "both weights and start",
        ),
        (
            {"arms": ({"name": "random"}, {**ARMS[1], "set": {"seed": 3}})},
            "has a seed of its own, 3; set config.factors.pretraining_seed",
        ),
        (
            {"factors": REPLICATES | {"pretraining_seed": (0, 1)}},
            "must be one value, for one encoder",
        ),
        ({"factors": FACTORS | {"pretraining_seed": ("a",)}}, "holds 'a'; use integers"),
        ({"spread": 2}, "spread=2 must be the standard deviation"),
        (
            {"factors": FACTORS | {"label": (8,)}},
            "config.factors.label is not a study setting; did you mean 'labels'",
        ),
        ({"factors": FACTORS | {"labels": ("8",)}}, "holds '8'; use integers"),
        ({"factors": FACTORS | {"labels": (0,), "subset": (0, 1)}}, "are the same run: subset"),
        ({"factors": FACTORS | {"decoder": ("auto", "unet")}}, "are the same run: decoder"),
        ({"budget": {"measure": "images", "amount": -5}}, "amount=-5 must be a number above 0"),
        ({"budget": {"measure": "images"}}, "amount=None must be a number"),
        (
            {"budget": {"measure": "image", "amount": 5}},
            "'image' must be one of images, encoder_images, flops, steps",
        ),
        ({"budget": {"amount": 5}}, "measure=None must be one of"),
        ({"budget": {"measure": "steps", "amount": 5}}, "amount=5 has no effect with"),
        ({"goal": 30}, "goal=30 must be a score, such as 0.3, below 1.0"),
        ({"metric": "mIoU"}, "metric='mIoU' is not a segmentation score; did you mean 'miou'"),
        ({"metric": "iou/"}, "is not a segmentation score"),
        ({"equivalence": 1}, "equivalence=1 must be a difference of the metric"),
        ({"contrasts": ("chain",)}, "contrasts holds 'chain', which is not a pair"),
        ({"contrasts": (("chain", "chain"),)}, "which is not a pair of two arms"),
        (
            {"contrasts": (("chain", "rando"),)},
            "'rando', which is not an arm; did you mean 'random'",
        ),
        (
            {"contrasts": (("chain", "random"), ("random", "chain"))},
            "has .'random', 'chain'. twice",
        ),
        ({"arms": ({"name": "random"}, {"label": "x"})}, r"config.arms\[1\] needs a name"),
        (
            {"arms": ({"name": "random"}, {**ARMS[1], "label": "random"})},
            "another arm has the label 'random' too",
        ),
        (
            {"arms": ({"name": "random"}, {**ARMS[1], "target": {"seed": 3}})},
            "sets seed for the target; add it to config.declared",
        ),
        ({"arms": ({"name": "random", "config": "a", "weights": "b"},)}, "give one"),
        ({"target": {"config": "configs/segment_synthtic.py"}}, "did you mean"),
        (
            {"target": study()["target"] | {"set": {"train": {"stesp": 3}}}},
            "config.target.set: 'train.stesp' is not a setting of this config; did you mean",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(changes, message, tmp_path):
    with pytest.raises((ConfigError, OSError), match=message):
        plan(tmp_path, **changes)


# A study's config -> the arguments to try beside none.
STUDIES = {
    "study_camvid": ["imagenet", "both", "small", "small,windows"],
    "study_cityscapes": ["preset=paper_code,sweep"],
    "study_folder": ["resolution=64x32,both", "small", "smoke"],
    "study_kitti": ["preset=paper_code,sweep"],
    "study_nyu": ["small,held_out,sweep"],
    "study_quick": ["smoke", "more,sweep", "full,more", "full,crossed", "smoke,crossed"],
}
CASES = [(name, argument) for name, others in STUDIES.items() for argument in ["", *others]]


def test_no_study_is_left_out():
    assert {path.stem for path in FOLDER.glob("study_*.py")} == set(STUDIES)


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_studies_can_be_planned_and_are_fair(name, argument, tmp_path):
    config = settings.plain(get_config(name, argument))
    for root in config.get("roots", ()):
        with pytest.raises(ConfigError, match=r"needs config\.roots\."):
            make_plan(config, tmp_path)
        config["roots"][root] = f"/data/{root}"
    made = make_plan(config, tmp_path)
    audit.check_fair(made, config.get("declared", ()))
    if "smoke" not in argument and "crossed" not in argument:  # which compare arms
        arms = {cell.factors["arm"] for cell in made.cells}
        assert preview.units_of(made) >= statistics.pairs_needed(len(arms) - 1)
        assert arms.issuperset(arm for pair in config.get("contrasts", ()) for arm in pair)
    for job in (*made.pretrainings, *made.cells[::7]):
        check(job.config)
    seen = {job.config.data.get("root") for job in (*made.pretrainings, *made.cells)}
    assert seen >= {f"/data/{root}" for root in config.get("roots", ()) if "eval" not in root} - {
        f"/data/{name}" for name in ("imagenet", "weights", "kitti_flow")
    }


def test_full_and_more_of_the_quick_study_have_every_arm_of_both():
    def arms(argument):
        return {arm["name"] for arm in get_config("study_quick", argument).arms}

    assert arms("full,more") == arms("full") | arms("more") > arms("full")


@pytest.mark.parametrize("name", ["study_kitti", "study_cityscapes"])
def test_the_papers_depth_and_flow_start_from_imagenet_and_inpainting_does_not(name, tmp_path):
    config = settings.plain(get_config(name, "preset=paper_code"))
    config["roots"] = {root: f"/data/{root}" for root in config["roots"]}
    made = make_plan(config, tmp_path)
    starts = {p.arm: p.config.init_from for p in made.pretrainings}
    assert starts.pop("reconstruction") == ""
    assert set(starts.values()) == {"/data/imagenet"}
    assert all(arm.endswith("_from_imagenet") for arm in starts)
    # Else weights that were trained with another normalisation would be refused.
    conventions = {
        (p.config.model.normalisation, p.config.transfer.normalisation) for p in made.pretrainings
    }
    assert conventions == {("monodepth2", "any")}


def test_replicates_pair_subset_and_seed_and_all_labels_have_no_subset(tmp_path):
    factors = {k: v for k, v in FACTORS.items() if k not in ("subset", "seed")}
    factors |= {"replicate": (0, 1, 2), "labels": (8, 0)}
    made = plan(tmp_path, factors=factors, arms=ARMS[:1])
    assert len(made.cells) == 2 * 2 * 3
    for cell in made.cells:
        assert cell.factors["subset"] == cell.factors["seed"] == cell.config.seed
        few = cell.factors["labels"] == 8
        assert cell.config.data.subset == (cell.factors["subset"] if few else -1)
    audit.check_fair(made)


OWN = {"config": "configs/segment_folder.py", "root": "labels"}


def own(tmp_path, target=OWN, **changes):
    """A plan on a folder of one's own, of which nobody said who judges."""
    factors = {k: v for k, v in FACTORS.items() if k not in ("subset", "seed")}
    factors |= {"replicate": (0, 1, 2), "labels": (8, 0)} | changes
    roots = {"labels": "/data/mine"}
    return plan(tmp_path, factors=factors, arms=ARMS[:2], target=target, roots=roots)


def folds(made) -> dict[int, set]:
    """(folds, fold) by replicate."""
    found: dict[int, set] = {}
    for cell in made.cells:
        data = cell.config.data
        found.setdefault(cell.factors["subset"], set()).add((data.folds, data.fold))
    return found


def test_each_replicate_is_judged_on_a_fold_of_its_own_and_all_arms_alike(tmp_path):
    made = own(tmp_path)
    assert folds(made) == {0: {(3, 0)}, 1: {(3, 1)}, 2: {(3, 2)}}
    assert {cell.recipe.flat["data.fold"] for cell in made.cells} == {0, 1, 2}
    audit.check_fair(made)
    chosen = own(tmp_path, OWN | {"set": {"data": {"folds": 2}}})
    assert folds(chosen) == {0: {(2, 0)}, 1: {(2, 1)}, 2: {(2, 0)}}
    assert folds(own(tmp_path, replicate=(4,))) == {4: {(5, 0)}}
    assert "fold" not in plan(tmp_path).cells[0].config.data


def test_cells_of_all_labels_are_called_so(tmp_path):
    names = [cell.id for cell in own(tmp_path).cells]
    assert sum("-all-subset2-" in name for name in names) == 4
    assert sum("-labels8-" in name for name in names) == 12
    assert not any("labels0" in name for name in names)


def test_a_setting_of_all_pretrainings_must_be_one_of_some(tmp_path):
    plan(tmp_path, pretraining={"data": {"stereo": False}})  # inpainting alone has it so
    message = r"config\.pretraining: no pre-training has the setting 'data.stero'; did you mean"
    with pytest.raises(ConfigError, match=message):
        plan(tmp_path, pretraining={"data": {"stero": False}})


@pytest.mark.parametrize(
    ("argument", "labels", "steps", "amount", "replicates"),
    [
        ("", (16, 0), 2_000, 100_000, 7),
        ("labels=4+8,steps=9,pictures=50,replicates=3", (4, 8), 9, 50, 3),
        ("small", (16, 0), 600, 9_000, 7),
        ("small,steps=40,labels=8", (8,), 40, 9_000, 7),
        ("smoke", (0,), 4, 32, 2),
        ("smoke,steps=40", (0,), 40, 32, 2),
        ("weights=a.pth", (16, 0), 2_000, 100_000, 7),
    ],
)
def test_sizes_of_a_study_of_ones_own(argument, labels, steps, amount, replicates):
    config = get_config("study_folder", argument)
    assert config.factors.labels == labels
    assert config.target.set.train.steps == steps
    assert config.target.set.optimizer.layer_decay == 1.0
    assert (config.budget.amount, len(config.factors.replicate)) == (amount, replicates)
    assert config.roots.get("weights", "none") == ("a.pth" if "weights" in argument else "none")
    assert config.trial == ("smoke" in argument)


def test_the_small_study_of_ones_own_shows_half_a_resnet_whole_pictures():
    """In so few steps zoomed ones are learned more slowly: docs/segmentation.md."""
    config = settings.plain(get_config("study_folder", "small"))
    config["roots"] = {root: f"/data/{root}" for root in config["roots"]}
    made = make_plan(config, pathlib.Path("W"))
    for job in (*made.pretrainings, *made.cells):
        assert (job.config.model.encoder, job.config.data.width) == ("resnet18_half", 128)
        assert job.config.model.decoder_channels == (8, 16, 32, 64, 128)
    assert {cell.config.data.scale for cell in made.cells} == {()}
    assert {p.config.optimizer.learning_rate for p in made.pretrainings} == {4e-4}


def test_a_study_of_ones_own_is_either_small_or_a_trial():
    with pytest.raises(ValueError, match="small is a study and smoke a trial; drop one"):
        get_config("study_folder", "small,smoke")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("steps=0", "steps=0 must be at least 1"),
        ("small,pictures=-3", "pictures=-3 must be at least 1"),
        ("replicates=-3", "replicates=-3 must be at least 0"),
        ("resolution=160x90", "160x90: both sides must be multiples of 32, such as 160x96"),
        ("resolution=128", "study_folder.py:resolution='128' must be WIDTHxHEIGHT"),
    ],
)
def test_numbers_that_no_job_of_ones_own_can_start_with(option, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        get_config("study_folder", option)


@pytest.mark.parametrize("labels", ["some", "16+", "-4", "0"])
def test_numbers_of_labels_that_are_none(labels):
    with pytest.raises(ValueError, match=rf"labels='{re.escape(labels)}' must be numbers or all"):
        get_config("study_folder", f"labels={labels}")


def test_an_arm_may_be_left_out(tmp_path):
    made = plan(tmp_path, without=("chain",))
    assert {cell.factors["arm"] for cell in made.cells} == {"random", "inpainting"}
    with pytest.raises(ConfigError, match="'chian', which is not an arm; did you mean 'chain'"):
        plan(tmp_path, without=("chian",))
    with pytest.raises(ConfigError, match="'random', which is not an arm"):
        plan(tmp_path, without=("random",))


@pytest.mark.parametrize("said", ["float32", "auto", "bfloat16"])
def test_every_job_has_one_type_whatever_the_machine_would_choose(said, tmp_path):
    parts = study()
    target = parts["target"]
    made = plan(
        tmp_path,
        pretraining=parts["pretraining"] | {"model": {"compute_dtype": said}},
        target=target | {"set": target["set"] | {"model": {"compute_dtype": said}}},
    )
    expected = "bfloat16" if said == "bfloat16" else "float32"
    types = {job.config.model.compute_dtype for job in (*made.pretrainings, *made.cells)}
    assert types == {expected}


@pytest.mark.parametrize(
    ("argument", "size", "crop", "scale"),
    [("small", (96, 128), (), ()), ("small,windows", (120, 160), (96, 128), (0.8, 1.5))],
)
def test_cells_of_camvid_are_those_of_the_registered_studies(argument, size, crop, scale, tmp_path):
    study = settings.plain(get_config("study_camvid", argument))
    study["roots"] = dict.fromkeys(study["roots"], "/data")
    for cell in make_plan(study, tmp_path).cells:
        data = cell.config.data
        assert (data.height, data.width, data.crop, data.scale) == (*size, crop, scale)
