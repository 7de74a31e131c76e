"""A whole study, its training faked: plan, guard, records, tables, page."""

import csv
import functools
import json
import os
import random
import shutil

import pytest
from ml_collections import ConfigDict

from geoseg_jax.config.settings import ConfigError
from geoseg_jax.study import (
    audit,
    budget,
    conduct,
    guard,
    inside,
    panels,
    plan,
    preview,
    run,
    write,
)
from geoseg_jax.training import loop
from geoseg_jax.training.loop import Result
from tests.data import fabricate_labels
from tests.study import layouts
from tests.study.tiny_study import ARMS, FACTORS, study


def fake(config, workdir, **options):
    del options
    workdir.mkdir(parents=True, exist_ok=True)
    chance = random.Random(f"{config.init_from[-20:]} {config.seed} {config.data.get('labels')}")
    found = {"miou": chance.random(), "pixel_accuracy": 0.5, "iou/road": 0.9, "iou/car": None}
    (workdir / "eval.json").write_text(json.dumps(found))
    (workdir / "config.json").write_text(config.to_json())
    return Result(3, found, 0)


@pytest.fixture
def conducted(monkeypatch):
    """conduct.conduct on the tiny study, and the lines that it said."""
    monkeypatch.setattr(budget, "_counted", lambda config: 7e6)
    monkeypatch.setattr(loop, "run", fake)

    def start(workdir, config=None, **options):
        lines = []
        config = ConfigDict(config or study())
        code = conduct.conduct(config, workdir, say=lines.append, **options)
        return code, "\n".join(lines)

    return start


def test_one_command_from_plan_to_report(conducted, tmp_path):
    code, text = conducted(tmp_path)
    assert code == 0
    assert "26 jobs" in text
    assert "report.html" in text
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert len(rows) == 24
    assert {row["status"] for row in rows} == {"done"}
    results = json.loads((tmp_path / "results.json").read_text())
    arm = next(arm for arm in results["arms"] if arm["name"] == "chain")
    # Two steps of depth, and before them the six of what it starts from.
    (spent,) = arm["spent"]
    assert (spent["steps"], spent["images"], arm["ancestors"]) == (8, 24, ["inpainting"])
    assert "init=" in arm["command"]
    assert "inpainting" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "figures" / "labels.svg").is_file()


def test_what_an_arm_comes_from_is_told_to_the_end(tmp_path):
    """Weights that a pre-training's own config names count too, with what they held."""
    file = tmp_path / "r18.pth"
    arms = (
        *({"name": "random"}, {"name": "imagenet", "weights": str(file)}),
        ARMS[1] | {"set": {"init_from": str(file)}},
        ARMS[2],
    )
    made = plan.make_plan(study(arms=arms), tmp_path)
    first = made.pretrainings[0]
    first.workdir.mkdir(parents=True)
    provenance = {"parents": [{"sha256": "0123456789abcdef"}]}
    (first.workdir / "manifest.json").write_text(json.dumps(provenance))
    own = {arm["name"]: [p for p in made.pretrainings if p.arm == arm["name"]] for arm in arms}
    found = {arm["name"]: write._ancestors(arm, own[arm["name"]], made) for arm in arms}
    assert found == {
        "random": [],
        "imagenet": ["r18.pth"],
        "inpainting": ["r18.pth, sha256 0123456789ab"],
        "chain": ["inpainting", "r18.pth, sha256 0123456789ab"],
    }


def test_a_dry_run_trains_nothing_and_tells_all(conducted, tmp_path):
    code, text = conducted(tmp_path, dry_run=True)
    assert code == 0
    assert not (tmp_path / "cells").exists()
    for told in ("inpainting-tiny", "for 8 cells", "cells (24)", "12 images", "FLOP", "about"):
        assert told in text
    assert "4 through the encoder" in text
    assert "one pre-training per arm: intervals hold for these encoders only" in text
    # Two seeds can show nothing: two arms need seven pairs, eight comparisons nine.
    assert "conditions: 2 comparisons, needs 7 seeds; none can be significant" in text
    assert "each condition: 8 comparisons, needs 9 seeds" in text
    assert "replicates: 2 seeds, the same for all arms" in text


def test_a_dry_run_tells_what_replicates_cost_and_show(conducted, tmp_path):
    factors = {k: v for k, v in FACTORS.items() if k not in ("subset", "seed")}
    factors |= {"replicate": tuple(range(7)), "labels": (8,), "training": ("fine_tuned",)}
    given = study(factors=factors, spread=0.02) | {"contrasts": [["chain", "inpainting"]]}
    made = plan.make_plan(study(factors=factors), tmp_path)
    costs = {job.id: budget.Cost(1, 1, 1e9) for job in (*made.pretrainings, *made.cells)}
    text = preview.describe(made, given, costs)
    assert "3 arms (random, inpainting, chain) x 1 label number (8) x 1 training (fine-" in text
    assert "1 encoder (tiny) x 7 replicates\n= 21 cells: each trains and judges" in text
    assert "2 pre-trained arms x 1 encoder x 7 seeds = 14 pre-trainings" in text
    assert "7 pre-training seeds, one per replicate: 14 GFLOP of" in text
    assert "(0,) it would be 2 GFLOP" in text
    assert "power of 7 replicates" in text
    # All of seven pairs must be above 0: Phi(d)^7 = 0.8.
    assert "2 comparisons, needs 7 replicates; a difference of 1.9 (3.7 points) is found" in text
    assert "the contrasts: 1 comparison, needs 6 replicates" in text


def test_a_dry_run_tells_of_all_that_is_crossed(tmp_path):
    factors = FACTORS | {"subset": (0, 1), "pretraining_seed": (0, 1, 2)}
    given = study(factors=factors, arms=ARMS[1:], reference="inpainting")
    made = plan.make_plan(given, tmp_path)
    costs = {job.id: budget.Cost(1, 1, 1e9) for job in (*made.pretrainings, *made.cells)}
    text = preview.describe(made, given, costs)
    told = "replicates: 2 label subsets x 2 seeds x 3 pre-training seeds, the same for all arms"
    assert told in text
    assert "3 pre-training seeds, each shared by several replicates: 6 GFLOP" in text
    assert "power of 3 pre-trainings" in text


def test_commands_do_one_job_each_and_then_the_report(conducted, tmp_path):
    code, text = conducted(tmp_path, commands=True, command="study")
    jobs = [line.removeprefix("study --only=") for line in text.splitlines() if "--only" in line]
    assert (code, len(jobs), text.splitlines()[-1]) == (0, 26, "study --report")
    with pytest.raises(ConfigError, match=r"chain-tiny starts from inpainting-tiny, which is not"):
        conducted(tmp_path, only=jobs[1])
    with pytest.raises(ConfigError, match=r"--only=inpaintin-tiny: .* did you mean 'inpainting"):
        conducted(tmp_path, only="inpaintin-tiny")
    for job in jobs:
        assert conducted(tmp_path, only=job)[0] == 0
    assert not (tmp_path / "report.html").exists()
    code, text = conducted(tmp_path, report_only=True)
    assert code == 0
    assert "missing" not in text


def test_what_a_job_wants_and_is_not_there_is_told_before_any_is_trained(conducted, tmp_path):
    video = {"name": "video", "config": "configs/depth_video.py", "root": "video"}
    roots = {"video": str(tmp_path / "nowhere")}
    with pytest.raises(ConfigError, match=r"video-tiny can't start: .*nowhere.*=\"\('video',\)"):
        conducted(tmp_path, study(arms=({"name": "random"}, video), roots=roots))
    arms = ({"name": "random"}, {"name": "imagenet", "weights": str(tmp_path / "r18.pth")})
    with pytest.raises(ConfigError, match=r"can't start: .*r18\.pth.*without=\"\('imagenet',\)"):
        conducted(tmp_path, study(arms=arms))
    (tmp_path / "given").mkdir()
    layouts.weights(tmp_path / "given")
    arms = ({"name": "random"}, {"name": "given", "weights": str(tmp_path / "given")})
    refused = r"has weights of tiny, and here the encoder is resnet18_half.*without=\"\('given',\)"
    for encoders in (("resnet18_half",), ("tiny", "resnet18_half")):
        with pytest.raises(ConfigError, match=refused):
            conducted(tmp_path, study(arms=arms, factors=FACTORS | {"encoder": encoders}))
    assert not (tmp_path / "cells").exists()


def test_a_cell_done_elsewhere_with_other_settings_is_refused(conducted, tmp_path):
    conducted(tmp_path)
    path = next((tmp_path / "cells").glob("chain*/config.json"))
    changed = json.loads(path.read_text())
    changed["optimizer"]["weight_decay"] = 0.3
    path.write_text(json.dumps(changed))
    with pytest.raises(guard.UnfairError) as caught:
        conducted(tmp_path)
    assert path.parent.name in guard.table(caught.value.differences)
    for path in (tmp_path / "cells").glob("*/config.json"):  # all alike, and not as planned
        changed = json.loads(path.read_text())
        changed["optimizer"]["weight_decay"] = 0.3
        path.write_text(json.dumps(changed))
    with pytest.raises(audit.StaleError, match="24 jobs done with") as caught:
        conducted(tmp_path)
    found = {(d.key, d.value) for d in caught.value.differences}
    assert found == {("optimizer.weight_decay", 0.3)}


def test_a_workdir_holds_one_study_to_which_arms_and_seeds_may_be_added(conducted, tmp_path):
    conducted(tmp_path, study(arms=ARMS[:2]))
    code, _ = conducted(tmp_path)
    assert code == 0
    with pytest.raises(ConfigError, match=r"another config\.budget"):
        conducted(tmp_path, study(budget={"measure": "images", "amount": 99}))


def test_failures_make_another_exit_code_and_are_in_the_report(conducted, tmp_path, monkeypatch):
    def failing(config, workdir, **options):
        if "seed1" in workdir.name:
            raise ValueError("too much")
        return fake(config, workdir)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "run", failing)
        code, text = conducted(tmp_path)
    assert code == conduct.FAILED
    assert "12 of 24 cells have no result" in text
    assert "ValueError: too much" in (tmp_path / "results.csv").read_text()
    code, text = conducted(tmp_path, retry=True)
    assert code == 0
    assert "trying 12 failed jobs again" in text


def test_without_a_look_inside_the_rest_of_the_report_is_there(conducted, tmp_path, monkeypatch):
    def failing(*_):
        raise MemoryError("no room for maps")

    monkeypatch.setattr(inside, "look", failing)
    code, text = conducted(tmp_path)
    assert code == 0
    assert "encoders not compared: MemoryError: no room for maps" in text
    for name in ("table.md", "table.tex", "report.html", "results.json", "figures/labels.svg"):
        assert (tmp_path / name).stat().st_size


def test_panels_are_kept_of_the_first_seed(conducted, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(panels, "keep", lambda cell, count, programs: kept.append((cell.id, count)))
    conducted(tmp_path, study(panels=2))
    assert len(kept) == 3 * 2 * 2
    assert {count for _, count in kept} == {2}
    assert all("seed0" in name for name, _ in kept)
    shutil.rmtree(tmp_path / "cells")
    assert conducted(tmp_path, study(panels=2), report_only=True)[0] == 0


def noting(config, workdir):
    with (workdir.parent.parent / "noted").open("a") as file:
        file.write(f"{workdir.name}\n")
    return fake(config, workdir)


def ending(config, workdir):
    os._exit(7)


def train_faked(made, train, say):
    return run.work(made, run.jobs_of(made), say, run=train)


def test_processes_share_the_jobs_and_do_none_twice(tmp_path):
    made = plan.make_plan(study(), tmp_path)
    jobs = run.jobs_of(made)
    ended = conduct._share(2, functools.partial(train_faked, made, noting), jobs)
    assert ended == run.Ended(0, [])
    noted = (tmp_path / "noted").read_text().split()
    assert sorted(noted) == sorted(job.id for job in jobs)


def test_every_process_keeps_what_it_compiles(monkeypatch):
    kept = []
    monkeypatch.setattr(conduct.compile_cache, "keep_compiled", lambda: kept.append(1))
    assert conduct._train_in_child(lambda say: run.Ended(0, [])) == 0
    assert kept


def test_processes_that_end_without_a_word_are_told_of(tmp_path):
    made = plan.make_plan(study(), tmp_path)
    with pytest.raises(OSError, match=r"ended with \[7, 7\] and left 26 jobs, first inpain"):
        conduct._share(2, functools.partial(train_faked, made, ending), run.jobs_of(made))


def test_a_dry_run_says_who_judges_and_labels_that_judge_choose_no_rates(conducted, tmp_path):
    root = fabricate_labels.folder(tmp_path / "mine", [f"p{n:02d}" for n in range(12)])
    factors = {k: v for k, v in FACTORS.items() if k not in ("subset", "seed")}
    factors |= {"replicate": (0, 1, 2), "labels": (4, 0)}
    given = study(
        arms=ARMS[:1],
        factors=factors,
        target={"config": "configs/segment_folder.py", "root": "labels"},
        roots={"labels": str(root)},
    )
    _, text = conducted(tmp_path / "w", given, dry_run=True)
    assert "each of 12 labelled pictures judges once over 3 replicates: about 4 judge" in text
    assert "that is few" in text
    twice = given | {"target": given["target"] | {"set": {"data": {"folds": 2}}}}
    _, text = conducted(tmp_path / "w2", twice, dry_run=True)
    assert "12 labelled pictures in 2 folds judge by turns over 3 replicates: about 6 judge" in text
    (root / "val.txt").write_text("p00\np01\n")
    _, text = conducted(tmp_path / "w", given, dry_run=True)
    assert "10 pictures may train, every cell is judged on 2 others; that is few" in text
    (root / "val.txt").unlink()
    spec = {"labels": 4, "replicates": (7,), "learning_rate": (0.1, 0.2), "folds": 2}
    refused = pytest.raises(ConfigError, match=r"would be chosen on labels that score .* val\.txt")
    with refused:
        conducted(tmp_path / "w", given | {"sweep": spec}, dry_run=True)
    # Nor is anything trained before that is said.
    given |= {"arms": ARMS[:2], "sweep": spec | {"pretraining": (0.5, 1.0)}}
    with refused:
        conducted(tmp_path / "w", given)
    assert not (tmp_path / "w" / "sweep").exists()
