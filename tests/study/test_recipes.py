from ml_collections import ConfigDict

from geoseg_jax.config import settings
from geoseg_jax.study.recipes import share


def _own(seed):
    return {"seed": seed, "data.subset": seed, "init_from": f"runs/{seed}"}


def _config(seed, steps=5):
    data = {"subset": seed, "crop": (2, 3)}
    return ConfigDict(
        {"seed": seed, "init_from": f"runs/{seed}", "data": data, "train": {"steps": steps}}
    )


def _made(make, seeds):
    """The recipes, and of which seeds configs were made."""
    asked = []

    def counted(seed):
        asked.append(seed)
        return make(seed)

    return share(counted, seeds, _own), asked


def test_two_configs_stand_for_all_replicates():
    recipes, asked = _made(_config, range(1, 100))
    assert len(asked) == 2
    for seed, recipe in zip(range(1, 100), recipes, strict=True):
        assert recipe.config().to_dict() == _config(seed).to_dict()
        assert recipe.flat == settings.flatten(_config(seed))
        assert (recipe.get("seed"), recipe.get("train.steps")) == (seed, 5)
    assert len({recipe.kind(lambda key: key == "train.steps") for recipe in recipes}) == 1


def test_a_config_that_does_more_with_a_seed_is_made_for_each():
    def odd(seed):
        return _config(seed, steps=5 + seed)

    recipes, asked = _made(odd, range(4))
    assert set(asked) == {0, 1, 2, 3}
    assert [r.config().to_dict() for r in recipes] == [odd(seed).to_dict() for seed in range(4)]


def test_a_seed_that_has_no_effect_stays_as_the_config_says():
    def fixed(seed):
        return _config(7)

    recipes, asked = _made(fixed, range(9))
    assert len(asked) == 2
    assert {recipe.get("seed") for recipe in recipes} == {7}


def test_changes_leave_others_as_they_are():
    first, second = _made(_config, (1, 2))[0]
    changed = first.changed({"train.steps": 9, "data.crop": (4, 4)})
    changed.config().seed = 5
    assert (changed.config().train.steps, changed.get("seed")) == (9, 1)
    assert changed.flat["data.crop"] == [4, 4]
    assert (first.config().train.steps, second.config().train.steps) == (5, 5)
