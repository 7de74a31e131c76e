import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config.check import check
from geoseg_jax.data.factory import make_data
from geoseg_jax.study import budget
from geoseg_jax.tasks.base import Aux, Task
from tests.study.tiny_study import plan, study
from tests.test_configs import get_config


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


@pytest.mark.parametrize(
    ("config", "pictures"),
    [
        ({"task": {"name": "reconstruction"}, "data": {}}, 4),
        ({"task": {"name": "depth_supervised"}, "data": {"frames": ()}}, 4),
        ({"task": {"name": "flow"}, "data": {"frames": (1,), "stereo": False}}, 8),
        ({"task": {"name": "selfsup_depth"}, "data": {"frames": (-1, 1), "stereo": True}}, 4),
        ({"task": {"name": "moco"}, "data": {"crop_views": 2}}, 4),
    ],
)
def test_pictures_through_the_encoder(config, pictures):
    config = config | {"train": {"batch_size": 4}, "model": {"pose_encoder": "resnet18"}}
    assert budget.encoder_pictures_in_a_step(config) == pictures
    config["model"]["pose_encoder"] = "shared"
    shared = 12 if config["task"]["name"] == "selfsup_depth" else pictures
    assert budget.encoder_pictures_in_a_step(config) == shared
    steps = budget.steps_for(config, {"measure": "encoder_images", "amount": 240}, 1.0)
    assert steps == 240 / shared


class Named:
    """A source of so many records, each of a frame and the next two."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def files(self, index):
        return [(f"frame {i}", None) for i in range(index, index + 3)] + [("frame 0 label", None)]


def test_distinct_pictures_are_counted_once_and_labels_not():
    assert budget.distinct_pictures(Named(150)) == 152
    assert budget.distinct_pictures([None] * 7) == 7


@pytest.mark.parametrize("name", ["depth_synthetic", "segment_synthetic"])
def test_of_a_world_one_record_is_rendered(name, tmp_path, monkeypatch):
    """And its shapes are those of a batch as it is trained on."""
    made, read = make_data, []
    config = get_config(name)
    config.data.update({"cache_dir": str(tmp_path), "height": 16, "width": 32})
    if "labels" in config.data:
        config.data.labels = 8
    config.train.batch_size = 3

    def noting(config, **options):
        read.append((config.data.train_size, config.data.eval_size))
        return made(config, **options)

    monkeypatch.setattr(budget, "make_data", noting)
    monkeypatch.setattr(budget, "make_task", lambda config, data: None)
    monkeypatch.setattr(budget, "flops_of_a_step", lambda config, task, shapes: shapes)
    shapes = budget._counted(config)
    assert read == [(1, 1)]
    assert shapes["image"] == jax.ShapeDtypeStruct((3, 16, 32, 3), jnp.uint8)
    assert shapes["id"] == jax.ShapeDtypeStruct((3,), jnp.int32)
    if "depth" in name:  # two neighbours and a stereo partner
        assert shapes["sources"].shape == (3, 3, 16, 32, 3)
        assert shapes["intrinsics"].shape == (3, 3, 3)
    else:
        assert shapes["label"].shape == (3, 16, 32)


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
        "12,000 pictures, including source views",
        "1.5e+13 floating-point operations",
    ]
    assert budget.given({"measure": "steps"}).startswith("the steps of its own config")


def test_flops_of_a_step_are_those_of_its_products():
    """A product of [800, 100] and [100, 50], and in the backward pass one as large."""

    class Product(Task):
        def init(self, key, batch):
            return {"params": {"head": {"w": jnp.ones((100, 50))}}}

        def loss(self, variables, key, batch, progress):
            value = jnp.square(batch["x"] @ variables["params"]["head"]["w"]).mean()
            return value, Aux({}, {})

    optimizer = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}
    config = ConfigDict({"seed": 0, "optimizer": optimizer, "train": {"steps": 1}})
    shapes = {"x": jax.ShapeDtypeStruct((800, 100), jnp.float32)}
    assert budget.flops_of_a_step(config, Product(), shapes) == pytest.approx(
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
    # Each picture of the world once: all 12 of inpainting's; depth looks at 6 + 6 of 12 others.
    assert [costs[p.id].pictures for p in made.pretrainings] == [12, 12]
    assert [costs[p.id].encoder_images for p in made.pretrainings] == [12, 4]
    assert costs[made.cells[0].id] == (3, 3 * 8, 21.0, 8, 3 * 8)
    for job in made.pretrainings:
        check(job.config)
        assert job.config.optimizer.warmup_steps < job.config.train.steps
    # Each program once: two pre-trainings; cells fine-tuned or frozen.
    assert len(counted) == 4


def test_a_pretraining_may_have_no_warm_up(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "_counted", lambda config: 7.0)
    config = plan(tmp_path).pretrainings[0].config
    del config.optimizer.warmup_steps
    changes, _ = budget._within(study()["budget"], config, {}, lambda text: None)
    assert changes == {"train.steps": 6}


def test_the_rate_is_measured():
    assert 1e8 < budget.measured_rate() < 1e15
