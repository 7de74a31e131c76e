"""The sweep of learning rates, its training faked: what is tried, on what, and what is chosen."""

import json
import math
import pathlib

import pytest
from ml_collections import ConfigDict

from geoseg_jax.config import files
from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import audit, budget, check, conduct, sweep
from geoseg_jax.study.plan import make_plan
from geoseg_jax.training import loop
from geoseg_jax.training.loop import Result
from tests.study.tiny_study import FACTORS, study

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"

SPEC = {"learning_rate": (1e-3, 3e-3), "pretraining": (0.5, 1.0, 3.0), "labels": 8}
SPEC |= {"replicates": (100, 101), "folds": 4}
FEW = FACTORS | {"labels": (8,), "seed": (0,)}
# The best rate of segmentation: that of the chain is larger where it is fine-tuned.
BEST = {("chain", False): 3e-3}


def fake(config, workdir, **_):
    """Trains nothing; the score tells how far the rate is from the best one."""
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir.parent.parent / "noted").open("a") as file:
        file.write(f"{workdir.name}\n")
    rate = config.optimizer.learning_rate
    if config.task.name == "segmentation":
        arm = "chain" if "chain" in config.init_from else ""
        best = BEST.get((arm, bool(config.transfer.frozen)), 1e-3)
        found = {"miou": 1 / (1 + abs(math.log(rate / best)))}
    else:
        best = 6e-4 if config.task.name == "selfsup_depth" else 1.2e-3
        found = {config.train.best_metric: abs(math.log(rate / best))}
    (workdir / "eval.json").write_text(json.dumps(found))
    (workdir / "config.json").write_text(config.to_json())
    return Result(3, found, 0)


@pytest.fixture
def conducted(monkeypatch):
    monkeypatch.setattr(budget, "_counted", lambda config: 7e6)
    monkeypatch.setattr(loop, "run", fake)

    def start(workdir, given, **options):
        lines = []
        code = conduct.conduct(ConfigDict(given), workdir, say=lines.append, **options)
        return code, "\n".join(lines)

    return start


def test_rates_are_tried_chosen_told_and_used(conducted, tmp_path):
    given = study(factors=FEW, sweep=SPEC)
    code, text = conducted(tmp_path, given)
    assert code == 0
    found = json.loads((tmp_path / "rates.json").read_text())
    assert {key: of["chosen"] for key, of in found.items()} == {
        "pretraining/inpainting/tiny": 4e-4 * 3,  # which is not 0.0012 to the last digit
        "pretraining/chain/tiny": 3e-4 * 3,
        "random/fine_tuned/tiny/auto/96x32": 1e-3,
        "random/frozen/tiny/auto/96x32": 1e-3,
        "inpainting/fine_tuned/tiny/auto/96x32": 1e-3,
        "inpainting/frozen/tiny/auto/96x32": 1e-3,
        "chain/fine_tuned/tiny/auto/96x32": 3e-3,
        "chain/frozen/tiny/auto/96x32": 1e-3,
    }
    assert "chain/fine_tuned/tiny/auto/96x32: learning rate 0.003, at the edge" in text
    for path in tmp_path.glob("cells/*/config.json"):
        config = json.loads(path.read_text())
        mine = "chain-fine_tuned" in path.parent.name
        assert config["optimizer"]["learning_rate"] == (3e-3 if mine else 1e-3)
        assert config["data"]["inner_fold"] == []
    results = json.loads((tmp_path / "results.json").read_text())
    assert "chosen without test labels: pretraining/inpainting/tiny 0.0012" in (results["guard"])
    told = {(of["arm"], of.get("training", of["kind"])): of for of in results["rates"]}
    assert len(told) == 2 + 3 * 2
    first = found["pretraining/inpainting/tiny"]["tried"]
    assert told["inpainting", "pre-training"] == {
        **{"arm": "inpainting", "kind": "pre-training", "encoder": "tiny", "metric": "l1"},
        "less": True,
        **{"tried": [[float(r), s] for r, s in first.items()], "chosen": 1.2e-3},
    }
    assert (told["chain", "frozen"]["metric"], told["chain", "frozen"]["chosen"]) == ("miou", 1e-3)
    assert (tmp_path / "figures" / "rates.png").exists()
    fewer = make_plan(check.expand(given | {"without": ("chain",)}), tmp_path)
    arms = {of["arm"] for of in sweep.curves(tmp_path, fewer, "miou")}
    assert arms == {"random", "inpainting"}  # not what was tried for an arm that is left out
    jobs = (tmp_path / "noted").read_text().split()
    trials = [name for name in jobs if name.startswith("sweep-")]
    assert len(trials) == len(set(trials)) == 2 * 3 + 2 * 2 * 3 * 2
    assert conducted(tmp_path, given)[0] == 0  # whose jobs are all done
    assert (tmp_path / "noted").read_text().split() == jobs


def test_trials_see_no_picture_of_the_result(tmp_path):
    given = check.expand(study(factors=FEW, sweep=SPEC))
    assert sweep.stages(given) == 3
    found = sweep.stage(given, tmp_path, 2, {})
    made = make_plan(given, tmp_path)
    used = {cell.config.data.subset for cell in made.cells}
    for trial in found.trials:
        data = trial.job.config.data
        assert tuple(data.inner_fold) == (0, 4)
        assert data.subset in (100, 101)
        assert data.subset not in used
        assert trial.job.config.optimizer.learning_rate == trial.rate
    # From the very encoders of the study, which are trained but once.
    assert {p.id for p in found.plan.pretrainings} == {p.id for p in made.pretrainings}


def test_labels_that_judge_the_result_choose_no_rate(tmp_path):
    target = {"config": "configs/segment_folder.py", "set": {"data": {"eval_split": "rest"}}}
    given = check.expand(study(factors=FEW, target=target, sweep=SPEC))
    for number in range(3):  # before anything is trained
        with pytest.raises(ConfigError, match="would be chosen on labels that score the result"):
            sweep.stage(given, tmp_path, number, {})
    alone = given | {"sweep": SPEC | {"learning_rate": ()}}
    assert sweep.stages(alone) == 2
    assert len(sweep.stage(alone, tmp_path, 0, {}).trials) == 3


def test_a_chains_trial_starts_from_the_best_one_before(tmp_path):
    given = check.expand(study(factors=FEW, sweep=SPEC))
    found = sweep.stage(given, tmp_path, 1, {"pretraining/inpainting/tiny": 5e-5})
    folders = {trial.job.config.init_from for trial in found.trials}
    assert folders == {str(tmp_path / "sweep" / "sweep-inpainting-tiny-seed100-rate5e-05")}


def test_trials_by_other_settings_are_not_taken(conducted, tmp_path):
    given = study(arms=({"name": "random"},), factors=FEW, sweep=SPEC | {"pretraining": ()})
    assert conducted(tmp_path, given)[0] == 0
    with pytest.raises(audit.StaleError, match="8 jobs done with other settings"):
        conducted(tmp_path, given | {"sweep": given["sweep"] | {"folds": 2}})
    with pytest.raises(ConfigError, match=r"a study with another config\.budget"):
        conducted(tmp_path, given | {"budget": {"measure": "images", "amount": 24}})


def test_a_rate_that_fails_is_out(conducted, tmp_path, monkeypatch):
    def failing(config, workdir, **_):
        if workdir.name.startswith("sweep-") and config.optimizer.learning_rate == failing.rate:
            raise ValueError("diverged")
        return fake(config, workdir)

    monkeypatch.setattr(loop, "run", failing)
    failing.rate = 1e-3
    given = study(arms=({"name": "random"},), factors=FEW, sweep=SPEC | {"pretraining": ()})
    assert conducted(tmp_path, given)[0] == 0
    found = json.loads((tmp_path / "rates.json").read_text())
    assert {of["chosen"] for of in found.values()} == {3e-3}
    assert found["random/frozen/tiny/auto/96x32"]["tried"]["0.001"] is None


def test_commands_do_the_sweep_first(conducted, tmp_path):
    given = study(arms=({"name": "random"},), factors=FEW, sweep=SPEC | {"pretraining": ()})
    _, text = conducted(tmp_path, given, commands=True, command="study")
    jobs = [line.removeprefix("study --only=") for line in text.splitlines() if "--only" in line]
    assert len(jobs) == 2 * 2 * 2 + 2
    with pytest.raises(ConfigError, match="needs learning rates that are not chosen yet"):
        conducted(tmp_path, given, only=jobs[-1])
    with pytest.raises(ConfigError, match="a report needs learning rates"):
        conducted(tmp_path, given, report_only=True)
    _, text = conducted(tmp_path, given, dry_run=True)
    assert "learning-rate sweep first: 8 jobs, 8 left" in text
    for job in jobs:
        assert conducted(tmp_path, given, only=job)[0] == 0
    assert conducted(tmp_path, given, report_only=True)[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": ()}, "config.sweep.rates is not a study setting"),
        ({"learning_rate": (1e-3,)}, "must be two or more learning rates"),
        ({"learning_rate": (), "pretraining": ()}, "drop it"),
        ({"replicates": (0, 100)}, "subsets that config.factors doesn't have"),
        ({"labels": 3}, "at least config.sweep.folds=4"),
    ],
)
def test_what_cannot_be_swept_is_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        make_plan(study(factors=FEW, sweep=SPEC | changes), tmp_path)


def test_it_is_refused_before_anything_is_tried(conducted, tmp_path):
    with pytest.raises(ConfigError, match="must be two or more learning rates"):
        conducted(tmp_path, study(factors=FEW, sweep=SPEC | {"pretraining": (1.0,)}))
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("options", ["sweep", "full,sweep", "smoke,sweep", "crossed,smoke,sweep"])
def test_a_sweep_of_the_embedded_world_has_the_labels_that_it_asks_for(options):
    config = files.load(str(CONFIGS / f"study_quick.py:{options}"))
    assert config.sweep.folds <= config.sweep.labels <= config.target.set.data.train_size
