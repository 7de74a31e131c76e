"""What a study writes, of a plan of which nothing but records is there."""

import json
import re

from geoseg_jax.analysis import pretrainings
from geoseg_jax.study import plan, records, write
from geoseg_jax.study.budget import Cost
from tests.study import tiny_study

SECONDS = {"inpainting": 100.0, "chain": 10.0}


def reported(workdir, seconds=SECONDS, **changes):
    """results.json of a study whose pre-trainings of those arms took so long."""
    study = tiny_study.study(**changes)
    made = plan.make_plan(study, workdir)
    costs = {job.id: Cost(10, 40, 1e9, 30, 20) for job in (*made.pretrainings, *made.cells)}
    for job in made.pretrainings:
        if job.arm in seconds:
            job.workdir.mkdir(parents=True)
            records.write(job.workdir, records.Record(records.DONE, seconds[job.arm], ""))
    write.report(study, made, costs, workdir, "study")
    return json.loads((workdir / "results.json").read_text())


def spent(found):
    """Arm -> encoder -> what was spent on it."""
    kept = ("images", "encoder_images", "pictures", "steps", "flops", "seconds")
    return {
        arm["name"]: {s["encoder"]: tuple(s[name] for name in kept) for s in arm["spent"]}
        for arm in found["arms"]
    }


def test_every_encoder_of_an_arm_has_its_own_budget(tmp_path):
    found = reported(tmp_path, factors=tiny_study.FACTORS | {"encoder": ("tiny", "resnet18")})
    encoders = ("tiny", "resnet18")
    assert spent(found) == {
        "random": dict.fromkeys(encoders, (0, 0, 0, 0, 0, None)),
        "inpainting": dict.fromkeys(encoders, (40, 20, 30, 10, 1e9, 100.0)),
        "chain": dict.fromkeys(encoders, (80, 40, 30, 20, 2e9, 110.0)),
    }


def test_the_time_of_all_pretrainings_counts_each_once(tmp_path):
    """The chain's own sum has the inpainting that it starts from, which is done once for both."""
    assert reported(tmp_path)["pretraining_seconds"] == 110.0


def test_what_is_not_known_is_not_told(tmp_path):
    """Weights from elsewhere, and a chain of which a part is still to be done."""
    weights = {"name": "imagenet", "weights": str(tmp_path / "r18.pth")}
    found = reported(tmp_path, {"inpainting": 100.0}, arms=(*tiny_study.ARMS, weights))
    arms = spent(found)
    assert arms["imagenet"]["tiny"] == (None,) * 6
    assert arms["chain"]["tiny"] == (80, 40, 30, 20, 2e9, None)
    assert found["pretraining_seconds"] == 100.0
    assert reported(tmp_path / "new", {})["pretraining_seconds"] is None


def test_the_page_holds_the_lines_of_the_file(tmp_path):
    reported(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = re.search(r'id="study">(.*?)</script>', text, re.DOTALL)[1]
    lines = json.loads(data)["csv"]
    assert len(lines) == 1 + 24
    assert "".join(f"{line}\n" for line in lines) == (tmp_path / "results.csv").read_text("utf-8")


def test_contrasts_own_tasks_and_the_metric(tmp_path):
    """Contrasts of an arm that is left out are left out; a pre-training tells its own score."""
    pairs = (("inpainting", "chain"), ("chain", "random"))
    study = tiny_study.study(contrasts=pairs, equivalence=0.01, metric="mean_accuracy")
    made = plan.make_plan(study, tmp_path)
    for job in made.pretrainings:
        job.workdir.mkdir(parents=True)
        numbers = {"l1": 0.2, "l1_constant": 0.1}
        (job.workdir / "eval.json").write_text(json.dumps(numbers if job.arm != "chain" else {}))
    found = reported(tmp_path, {}, contrasts=pairs, equivalence=0.01, metric="mean_accuracy")
    assert [(c["arm"], c["other"], c["verdict"]) for c in found["contrasts"]] == [
        (*pairs[0], ""),
        (*pairs[1], ""),
    ]
    assert (found["bound"], found["metric_key"]) == (0.01, "mean_accuracy")
    own = {arm["name"]: arm["own_task"] for arm in found["arms"]}
    assert (own["random"], own["chain"]) == ([], [])
    (told,) = own["inpainting"]
    assert (told["score"], told["constant"], told["beaten"], told["runs"]) == (0.2, 0.1, 0, 1)
    listed = pretrainings.read_csv(tmp_path / "pretrainings.csv")
    assert [row["pretraining"] for row in listed] == [job.id for job in made.pretrainings]
    assert [(row["number"], row["status"]) for row in listed] == [
        ("l1", "missing"),
        ("", "missing"),
    ]
    found = reported(tmp_path / "less", {}, contrasts=pairs, without=("chain",))
    assert found["contrasts"] == []
