"""What is there of a study: whatever it rests on must not have changed since."""

import json

import pytest

from geoseg_jax.config import settings
from geoseg_jax.study import audit
from tests.study.tiny_study import FACTORS, plan


def write(job, train="pictures", judged="test", start=None, end="end", part="encoder"):
    """A job's manifest as after its training; start and end stand for hashes of that part."""
    job.workdir.mkdir(parents=True, exist_ok=True)
    (job.workdir / "config.json").write_text(json.dumps(settings.plain(job.config)))
    provenance = {
        "data": {"train": {"sha256": train}, "eval": {"sha256": judged}},
        "parts_sha256": {part: end},
        "parents": [{"taken": {part: start}}] if start else [],
    }
    (job.workdir / "manifest.json").write_text(json.dumps(provenance))


def finished(tmp_path):
    """A plan, all of which is done; an encoder is called by what trained it."""
    made = plan(tmp_path)
    first, second = made.pretrainings
    write(first, end="inpainting")
    write(second, start="inpainting", end="chain")
    for cell in made.cells:
        write_cell(cell)
    return made


def write_cell(cell, **others):
    arm, labels = cell.factors["arm"], cell.factors["labels"]
    usual = {"train": f"{labels} pictures", "start": None if arm == "random" else arm}
    write(cell, **(usual | others))


def stale(made) -> set[tuple[str, str]]:
    with pytest.raises(
        audit.StaleError, match="done with other settings, data or weights"
    ) as caught:
        audit.check(made)
    return {(d.cell, d.key) for d in caught.value.differences}


def test_what_is_as_planned_passes(tmp_path):
    audit.check(plan(tmp_path / "nothing"))
    audit.check(finished(tmp_path / "all"))


def test_settings_that_were_otherwise(tmp_path):
    made = finished(tmp_path)
    first, second = made.pretrainings
    for job, height in ((first, 128), (second, 96)):
        trained = settings.plain(job.config)
        trained["data"]["height"] = height
        (job.workdir / "config.json").write_text(json.dumps(trained))
    assert stale(made) == {(first.id, "data.height"), (second.id, "data.height")}


def test_a_folder_may_be_moved_as_a_whole(tmp_path):
    made = finished(tmp_path)
    file = made.pretrainings[1].workdir / "config.json"
    trained = json.loads(file.read_text())
    trained["init_from"] = "/elsewhere/pretraining/" + made.pretrainings[0].id
    file.write_text(json.dumps(trained))
    audit.check(made)


@pytest.mark.parametrize(("argument", "split"), [("judged", "eval"), ("train", "train")])
def test_other_data_in_one_cell(tmp_path, argument, split):
    made = finished(tmp_path)
    write_cell(made.cells[5], **{argument: "others"})
    assert stale(made) == {(made.cells[5].id, f"data of {split}")}


def test_a_root_that_changed_between_two_numbers_of_labels(tmp_path):
    """All cells of 8 labels come before those of 16, which are compared with them all the same."""
    made = finished(tmp_path)
    later = [cell for cell in made.cells if cell.factors["labels"] == 16]
    for cell in later:
        write_cell(cell, judged="others")
    assert stale(made) == {(cell.id, "data of eval") for cell in later}


def test_all_labels_are_one_training_set(tmp_path):
    factors = FACTORS | {"labels": (0,), "subset": (0,), "seed": (0, 1)}
    made = plan(tmp_path, factors=factors)
    for cell in made.cells:
        write_cell(cell, train="all")
    audit.check(made)
    write_cell(made.cells[-1], train="others")
    assert stale(made) == {(made.cells[-1].id, "data of train")}


@pytest.mark.parametrize(
    ("argument", "excused", "not_excused"),
    [
        ("judged", ("data.eval_split", "data.height"), ("data.flip", "data.train_split")),
        ("train", ("data.train_split", "data.root"), ("data.scale", "data.eval_split")),
    ],
)
def test_arms_may_have_data_of_their_own_where_that_is_declared(
    tmp_path, argument, excused, not_excused
):
    made = finished(tmp_path)
    for cell in made.cells:
        if cell.factors["arm"] == "chain":
            write_cell(cell, **{argument: f"{cell.factors['labels']} others"})
            if argument == "judged":
                write_cell(cell, judged="others")
    assert stale(made)
    for key in excused:
        audit.check(made, declared=(key,))
    for key in not_excused:
        with pytest.raises(audit.StaleError):
            audit.check(made, declared=(key,))


def test_where_the_rest_is_judged_that_depends_on_the_labels(tmp_path):
    """As in the paper's code: the first labels train, all other pictures judge."""
    target = {"config": "configs/segment_kitti.py:preset=paper_code", "root": "kitti"}
    factors = FACTORS | {"subset": (-1,), "decoder": ("auto",), "resolution": ("640x192",)}
    factors |= {"encoder": ("resnet18",)}
    arms = ({"name": "random"}, {"name": "torch", "weights": "resnet18.pth"})
    changes = {"arms": arms, "target": target, "roots": {"kitti": "K"}, "factors": factors}
    made = plan(tmp_path, **changes)
    for cell in made.cells:
        left = f"all but {cell.factors['labels']}"
        write(cell, train=str(cell.factors["labels"]), judged=left)
    audit.check(made)
    write(made.cells[-1], train="16", judged="all but 8")
    assert stale(made) == {(made.cells[-1].id, "data of eval")}


def test_parts_other_than_the_encoder_count_too(tmp_path):
    made = finished(tmp_path)
    write(made.pretrainings[0], end="one", part="decoder")
    write(made.pretrainings[1], start="another", end="chain", part="decoder")
    assert (made.pretrainings[1].id, "decoder at the start") in stale(made)


def test_a_setting_that_came_later_and_is_off_is_no_change(tmp_path):
    made = finished(tmp_path)
    file = made.cells[0].workdir / "config.json"
    trained = json.loads(file.read_text())
    assert trained["data"].pop("scale") == []
    file.write_text(json.dumps(trained))
    audit.check(made)


def test_a_pretraining_that_was_done_again_leaves_stale_cells(tmp_path):
    made = finished(tmp_path)
    write(made.pretrainings[0], end="inpainting once more")
    alike = {c.id for c in made.cells if c.factors["arm"] == "inpainting"}
    chain = made.pretrainings[1].id
    assert stale(made) == {(name, "encoder at the start") for name in (*alike, chain)}


def test_one_cell_from_other_weights_of_the_same_name(tmp_path):
    made = finished(tmp_path)
    victim = next(c for c in reversed(made.cells) if c.factors["arm"] == "chain")
    write_cell(victim, start="another")
    assert stale(made) == {(victim.id, "encoder at the start")}
