import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from geoseg_jax import settings
from geoseg_jax.study import budget
from geoseg_jax.tasks.base import Aux, Task
from tests.study.tiny_study import plan, study


@pytest.mark.parametrize(
    ("data", "pictures"),
    [
        ({}, 4),
        ({"frames": ()}, 4),
        ({"frames": (1,), "stereo": False}, 8),  # flow
        ({"frames": (-1, 1), "stereo": True}, 16),
        ({"frames": (), "stereo": True}, 8),
        ({"crop_views": 2}, 8),  # MoCo
        ({"crop_views": 1}, 4),
    ],
)
def test_pictures_in_a_step(data, pictures):
    config = {"data": data, "train": {"batch_size": 4}}
    assert budget.pictures_in_a_step(config) == pictures


def test_steps_use_the_budget_up_and_no_more_than_a_step_beyond():
    config = {"data": {"frames": (1,), "stereo": False}, "train": {"batch_size": 4, "steps": 99}}
    steps = {
        (measure, amount): budget.steps_for(config, {"measure": measure, "amount": amount}, 50.0)
        for measure, amount in [("images", 80), ("images", 81), ("flops", 1_000), ("steps", 0)]
    }
    assert list(steps.values()) == [10, 11, 20, 99]
    assert budget.steps_for(config, {"measure": "images", "amount": 1}, 50.0) == 1


def test_what_everyone_gets_is_told():
    told = [
        budget.given({"measure": measure, "amount": amount})
        for measure, amount in [("images", 12_000), ("flops", 1.5e13)]
    ]
    assert told == [
        "12,000 pictures, source views counted",
        "1.5e+13 floating-point operations",
    ]
    assert budget.given({"measure": "steps"}).startswith("the steps of its own config")


def test_flops_of_a_step_are_those_of_its_products():
    """A product of [800, 100] and [100, 50], and in the backward pass one as large."""

    def loss(variables, key, batch):
        value = jnp.square(batch["x"] @ variables["params"]["head"]["w"]).mean()
        return value, Aux({}, {})

    task = Task(
        lambda k, b: {"params": {"head": {"w": jnp.ones((100, 50))}}}, loss, None, None, None
    )
    optimizer = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}
    config = ConfigDict({"seed": 0, "optimizer": optimizer, "train": {"steps": 1}})
    shapes = {"x": jax.ShapeDtypeStruct((800, 100), jnp.float32)}
    assert budget.flops_of_a_step(config, task, shapes) == pytest.approx(
        2 * 2 * 800 * 100 * 50, rel=0.02
    )


def test_pretrainings_get_the_budget_and_cells_keep_their_steps(tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(budget, "_counted", lambda config: counted.append(config) or 7.0)
    memory = tmp_path / "costs.json"
    for _ in range(2):
        made, costs = budget.apply(plan(tmp_path), study()["budget"], memory, lambda text: None)
    # Batches of 2: 12 pictures are 6 steps of inpainting, and 2 of depth from 3 frames each.
    assert [costs[p.id][:2] for p in made.pretrainings] == [(6, 12), (2, 12)]
    assert [p.config.train.steps for p in made.pretrainings] == [6, 2]
    assert costs[made.cells[0].id] == (3, 3 * 8, 21.0)
    for job in made.pretrainings:
        settings.check(job.config)
        assert job.config.optimizer.warmup_steps < job.config.train.steps
    # Each program once: two pre-trainings; cells fine-tuned or frozen.
    assert len(counted) == 4


def test_the_rate_is_measured():
    assert 1e8 < budget.measured_rate() < 1e15
