import json

import pytest

from geoseg_jax.config import settings
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import audit, guard
from tests.study.tiny_study import ARMS, FACTORS, plan, study


def cells(made):
    return [(cell.id, cell.factors, settings.plain(cell.config)) for cell in made.cells]


def differences(given):
    flats = [(name, own, guard.relevant(settings.flatten(config))) for name, own, config in given]
    return guard.differences(flats)


def test_what_only_the_factors_set_apart_is_fair(tmp_path):
    factors = FACTORS | {"decoder": ("unet", "linear"), "subset": (0, 1)}
    assert differences(cells(plan(tmp_path, factors=factors))) == []


def test_a_transformers_recipe_must_not_depend_on_the_arm(tmp_path):
    """Usually, layers of weights from elsewhere learn at decaying rates, random ones alike."""
    both = FACTORS | {"encoder": ("tiny", "vit_tiny"), "resolution": ("96x32", "192x64")}
    unlike = differences(cells(plan(tmp_path, arms=ARMS[:2], factors=both)))
    assert {d.key for d in unlike} == {"optimizer.layer_decay"}
    target = study()["target"]
    target["set"]["optimizer"] = {"layer_decay": 1.0}
    assert not differences(cells(plan(tmp_path, arms=ARMS[:2], factors=both, target=target)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.steps", 4),
        ("task.normalise_twice", True),
        ("data.flip", False),
        ("data.classes", "cityscapes34"),
        ("optimizer.learning_rate", 1e-4),
        ("model.decoder_padding", "reflect"),
        ("train.eval_every", 7),
    ],
)
def test_a_doctored_cell_is_found(key, value, tmp_path):
    given = cells(plan(tmp_path))
    section, name = key.split(".")
    victim = given[9]
    usual = victim[2][section][name]
    victim[2][section][name] = value
    found = differences(given)
    assert {(d.cell, d.key, d.value, d.expected) for d in found} == {(victim[0], key, value, usual)}
    with pytest.raises(guard.UnfairError, match="differ in 1 cell; "):
        raise guard.UnfairError(differences(given))
    assert f"config.{key}" in guard.table(found)


def test_a_factor_excuses_its_settings_in_other_conditions_alone(tmp_path):
    """Labels may differ between conditions, and not between arms of one."""
    given = cells(plan(tmp_path))
    victim = next(c for c in given if c[1]["arm"] == "chain" and c[1]["labels"] == 8)
    victim[2]["data"]["labels"] = 16
    found = differences(given)
    assert {(d.cell, d.key) for d in found} == {(victim[0], "data.labels")}


@pytest.mark.parametrize(
    ("section", "key", "value"), [("data", "subset", 1), (None, "seed", 5), ("data", "labels", 16)]
)
def test_a_setting_is_what_its_factors_say(section, key, value, tmp_path):
    """A cell of another subset or seed than it is called would be paired with the wrong runs."""
    factors = FACTORS | {"labels": (8,), "training": ("fine_tuned",), "subset": (0, 1)}
    given = cells(plan(tmp_path, factors=factors))
    victim = next(c for c in given[2:] if (c[1]["subset"], c[1]["seed"]) == (0, 0))
    (victim[2][section] if section else victim[2])[key] = value
    assert {(d.cell, d.key.split(".")[-1]) for d in differences(given)} == {(victim[0], key)}


def test_another_recipe_for_all_cells_of_some_labels_is_found(tmp_path):
    given = cells(plan(tmp_path))
    for _, factors, config in given:
        if factors["labels"] == 16:
            config["optimizer"]["learning_rate"] = 0.5
    found = differences(given)
    assert {d.key for d in found} == {"optimizer.learning_rate"}
    assert {d.cell for d in found} == {
        name for name, factors, _ in given if factors["labels"] == 16
    }


def test_an_arms_own_target_is_refused_unless_declared(tmp_path):
    arms = (ARMS[0], {**ARMS[1], "target": {"task": {"normalise_twice": True}}})
    with pytest.raises(ConfigError, match=r"sets task\.normalise_twice for the target"):
        plan(tmp_path, arms=arms)
    made = plan(tmp_path, arms=arms, declared=("task.normalise_twice",))
    audit.check_fair(made, declared=("task.normalise_twice",))
    with pytest.raises(guard.UnfairError):
        audit.check_fair(made)


def test_what_was_trained_counts_and_not_what_was_planned(tmp_path):
    made = plan(tmp_path)
    audit.check_fair(made)
    workdir = made.cells[3].workdir
    workdir.mkdir(parents=True)
    trained = settings.plain(made.cells[3].config)
    (workdir / "config.json").write_text(json.dumps(trained))
    audit.check_fair(made)
    trained["optimizer"]["weight_decay"] = 0.5
    (workdir / "config.json").write_text(json.dumps(trained))
    with pytest.raises(guard.UnfairError) as caught:
        audit.check_fair(made)
    assert {d.key for d in caught.value.differences} == {"optimizer.weight_decay"}


def test_where_data_lies_does_not_matter(tmp_path):
    given = cells(plan(tmp_path))
    given[4][2]["data"]["cache_dir"] = "/elsewhere"
    assert differences(given) == []
