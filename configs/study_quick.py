"""The comparison on the embedded synthetic street: which pre-training segments best, few labels.

    python -m geoseg_jax.study --config=configs/study_quick.py --workdir=W --processes=2

Four arms on one ResNet-18 of half the channels, pictures of 96x32, 8 and 64 labels, fine-tuned and
frozen, eight replicates: one more than the exact test needs for three comparisons. No data needed.
docs/study.md has the results, and how long they took on two CPU cores. Options behind the colon:
sweep of geoseg_jax/presets/studies.py, and
  smoke         two arms and four cells of a few steps, a minute or two, nothing learned
  more          inpainting, stereo and supervised depth, and the flow of Lao et al.'s public code
                too, with ten replicates: three times the time
  full          the study of docs/preregistration.md: inpainting, stereo depth, and classification
                followed by stereo depth too, and pre-trainings that are nearly four times as long;
                with `more`, every arm that is named here, and ten replicates
  crossed       where the scatter of runs comes from: classification and mono depth, 8 labels, four
                subsets of labels x four seeds x four pre-trainings; with `full` these are as long
Mono depth is given the camera's motion (poses=given): with so few steps of pictures so small a pose
network gives all streets one speed, and depth does not beat its constant prediction (docs/arms.md).
Every pre-training has the same number of floating-point operations, and so about the same time.
Frozen encoders have the batch statistics of the labelled pictures, all arms alike: otherwise random
weights would lose by their statistics alone.
Pictures this small and pre-trainings this short show how to use the tool, not which pre-training is
best on real pictures. The classification arm's pictures are objects of the same renderer.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.argument import Option
from geoseg_jax.presets.studies import CALIBRATED, RANDOM, SWEEP, short_cells, study, sweep
from geoseg_jax.presets.two_cores import (
    DECODER,
    DEPTH,
    DEPTH_MONO,
    FLOW_STRONG,
    LONG,
    NETWORK,
    PRETRAINING,
    SIZE,
)


def get_config(arg: str = "") -> ConfigDict:
    known = {
        "smoke": Option(
            False, "four cells of a few steps, minutes: all of it runs, nothing is learned"
        ),
        "more": Option(False, "more arms and ten replicates: three times the time"),
        "full": Option(False, "the study of docs/preregistration.md: other arms, trained longer"),
        "crossed": Option(False, "four subsets x seeds x pre-trainings: where scatter comes from"),
        "sweep": SWEEP,
    }
    options = argument.parse(arg, known, "study_quick.py")
    if options["crossed"] and options["more"]:
        raise ValueError("study_quick.py: crossed has two arms and no more; drop one of the two")
    config = study(
        (*_ARMS, *_MORE) if options["more"] else _ARMS,
        {
            "labels": (8, 64),
            "training": ("fine_tuned", "frozen"),
            "replicate": tuple(range(10 if options["more"] else 8)),
            "resolution": ("96x32",),
            "encoder": NETWORK,
        },
        sweep(options["sweep"], (2e-3, 4e-3, 8e-3), labels=32),  # of 64
        title="Quick study on synthetic streets",
        question="Which pre-training helps segmentation with few labels the most?",
        # The paper's claim.
        contrasts=(("depth_mono", "classification"), ("depth_mono", "flow_strong")),
        pretraining=PRETRAINING,  # classification is of 64x64 objects
        budget={"measure": "flops", "amount": 1.2e12},
        target={
            "config": "configs/segment_synthetic.py",
            "set": {
                "data": {"cache_dir": "", "train_size": 64, "eval_size": 64},
                "model": DECODER,
                "train": short_cells(200, 200),
                # The recipe of all arms alike: else a transformer's layers learn at decaying
                # rates where they come from elsewhere. The rate is the best of 2, 4 and 8e-3 for
                # random weights on other streets (data.seed=77); `sweep` tries rates for each arm.
                "optimizer": {"layer_decay": 1.0, "learning_rate": 4e-3},
            }
            | CALIBRATED,
        },
        panels=3,
    )
    if options["more"]:
        config.contrasts += (("depth_supervised", "classification"), ("depth_mono", "flow_paper"))
    if options["full"]:
        _lengthen(config)
    if options["crossed"]:
        _cross(config)
    if options["smoke"]:
        _shrink(config)
    return config


def _lengthen(config: ConfigDict) -> None:
    """In place: the study of docs/preregistration.md."""
    config.arms = (*config.arms, *(arm for arm in _MORE[:2] if arm not in config.arms), _CHAIN)
    config.contrasts += (
        ("depth_stereo", "classification"),
        ("depth_stereo_from_classification", "classification"),
    )
    config.budget = ConfigDict(LONG)


def _cross(config: ConfigDict) -> None:
    """In place: every subset of labels with every seed and every pre-training.

    Without random weights, which have no pre-training that could vary.
    """
    config.title = "Crossed study on synthetic streets"
    config.question = "Where does the scatter of runs come from: labels, seed or pre-training?"
    config.arms, config.reference, config.contrasts = (_ARMS[1], DEPTH_MONO), "classification", ()
    del config.factors.replicate
    config.factors.labels = (8,)
    for factor in ("subset", "seed", "pretraining_seed"):
        config.factors[factor] = tuple(range(4))


def _shrink(config: ConfigDict) -> None:
    """In place: a trial of all of it, in which nothing is learned."""
    config.trial = True
    if "replicate" in config.factors:
        config.arms, config.contrasts = (_ARMS[0], _MORE[0]), ()
    config.budget = ConfigDict({"measure": "images", "amount": 16})
    config.target.set.train.update({"steps": 2, "eval_every": 1})
    config.target.set.data.update({"train_size": 8, "eval_size": 8})
    config.pretraining.data.update({"train_size": 16, "eval_size": 8})
    config.factors.update({"labels": (8,), "training": ("fine_tuned",)})
    if "sweep" in config:
        config.sweep.labels = 8
    for factor in ("replicate", "subset", "seed", "pretraining_seed"):
        if factor in config.factors:
            config.factors[factor] = (0, 1)
    config.factors.encoder = ("tiny",)


_ARMS = (
    RANDOM,
    {
        "name": "classification",
        "label": "Classification",
        "config": "configs/classify_synthetic.py:resolution=64x64",
    },
    DEPTH_MONO,
    FLOW_STRONG,
)
_MORE = (
    {
        "name": "reconstruction",
        "label": "Inpainting",
        "config": "configs/reconstruct_synthetic.py",
        "set": {"data": SIZE},
    },
    {
        "name": "depth_stereo",
        "label": "Depth, stereo",
        "config": "configs/depth_synthetic.py:stereo",
        "set": DEPTH,
    },
    {
        "name": "depth_supervised",
        "label": "Depth, supervised",
        "config": "configs/depth_synthetic.py:supervised",
        "set": DEPTH,
    },
    {
        "name": "flow_paper",
        "label": "Flow, paper",
        "config": "configs/flow_synthetic.py:paper",
        "set": {"data": SIZE},
    },
)
_CHAIN = {
    **_MORE[1],
    "name": "depth_stereo_from_classification",
    "label": "Classification, then stereo depth",
    "start": "classification",
}
