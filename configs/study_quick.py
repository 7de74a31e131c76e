"""The comparison on the embedded synthetic street: which pre-training segments best, few labels.

    python -m geoseg_jax.study --config=configs/study_quick.py --workdir=W --processes=2

Eight arms on one ResNet-18, all having looked at the same number of pictures of 96x32; 8, 16 and 64
labels, fine-tuned and frozen, three subsets of labels with a seed each: 144 cells. No data needed.
43 minutes on two CPU cores; what came out is in the README. Settings are changed as on the main
command: --config.factors.replicate="(0,)". Options behind the colon:
  smoke         two arms and four cells of a few steps, a minute or two, nothing learned
  statistics    one more arm: random weights that looked at the inpainting arm's pictures without
                learning, so that batch statistics are the pictures' and nothing else is. What an
                arm is better than this one, it has learned.
Mind what it can tell: pictures this small and pre-trainings this short say how to use the tool, not
which pre-training is best on real pictures. Arms have a budget of pictures, each source view
counted; the pictures of the classification arm are objects of the same renderer.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument
from geoseg_jax.presets.studies import pace, short_cells

SIZE = {"height": 32, "width": 96}
_DEPTH = {"data": SIZE} | pace(4, 4e-4, 20)
_FLOW = {"data": SIZE, "task": {"distillation": {"weight": 0.0}}}


def get_config(arg: str = "") -> ConfigDict:
    options = argument.parse(arg, {"smoke": False, "statistics": False}, "study_quick.py")
    config = ConfigDict(
        {
            "title": "Quick study on synthetic streets",
            "question": "Which pre-training helps segmentation with few labels the most?",
            "arms": _ARMS,
            "reference": "random",
            "goal": 0.0,  # an mIoU: how many steps it takes is told; 0: not asked
            "metric": "miou",  # or another score of eval.json, as "paper_miou" or "iou/car"
            "contrasts": (("depth_stereo", "classification"), ("depth_stereo", "flow_strong")),
            "equivalence": 0.01,  # arms are level where they differ by less; 0: not asked
            # Of every pre-training that has such a setting; classification is of 64x64 objects.
            "pretraining": {
                "data": {"cache_dir": "", "train_size": 500, "eval_size": 32},
                "train": {"eval_every": 0, "pictures_every": 0, "checkpoint_every": 0},
            },
            "budget": {"measure": "images", "amount": 2_500},
            "target": {
                "config": "configs/segment_synthetic.py",
                "set": {
                    "data": {"cache_dir": "", "train_size": 64, "eval_size": 64},
                    "train": short_cells(40, 20),
                    # The recipe of all arms alike: else a transformer's layers learn at decaying
                    # rates where they come from elsewhere.
                    "optimizer": {"layer_decay": 1.0},
                },
            },
            "factors": {
                "labels": (8, 16, 64),
                "training": ("fine_tuned", "frozen"),
                "decoder": ("auto",),
                "resolution": ("96x32",),
                "encoder": ("resnet18",),
                "replicate": (0, 1, 2),
            },
            "panels": 3,
            "without": (),
            "declared": (),
            "keep_checkpoints": False,
        }
    )
    if options["statistics"]:
        config.arms = (_ARMS[0], _STATISTICS, *_ARMS[1:])
    if options["smoke"]:
        config.arms = tuple(a for a in config.arms if a["name"] in _SMOKE)
        config.contrasts = ()
        config.budget.amount = 16
        config.target.set.train.update({"steps": 2, "eval_every": 1})
        config.target.set.data.update({"train_size": 8, "eval_size": 8})
        config.pretraining.data.update({"train_size": 16, "eval_size": 8})
        config.factors.update({"labels": (8,), "training": ("fine_tuned",), "replicate": (0, 1)})
        config.factors.encoder = ("tiny",)
    return config


_SMOKE = ("random", "statistics", "reconstruction")
_STATISTICS = {
    "name": "statistics",
    "label": "Random weights, pictures' statistics",
    "config": "configs/reconstruct_synthetic.py",
    "set": {"data": SIZE, "optimizer": {"learning_rate": 0.0}},
}
_ARMS = (
    {"name": "random", "label": "Random weights"},
    {
        "name": "classification",
        "label": "Classification",
        "config": "configs/classify_synthetic.py:resolution=64x64",
    },
    {
        "name": "reconstruction",
        "label": "Inpainting",
        "config": "configs/reconstruct_synthetic.py",
        "set": {"data": SIZE},
    },
    {
        "name": "depth_mono",
        "label": "Depth, mono",
        "config": "configs/depth_synthetic.py:mono",
        # At four times this rate all depths become one.
        "set": {"data": SIZE} | pace(4, 1e-4, 0),
    },
    {
        "name": "depth_stereo",
        "label": "Depth, stereo",
        "config": "configs/depth_synthetic.py:stereo",
        "set": _DEPTH,
    },
    {
        "name": "depth_supervised",
        "label": "Depth, supervised",
        "config": "configs/depth_synthetic.py:supervised",
        "set": _DEPTH,
    },
    {
        "name": "flow_paper",
        "label": "Flow, paper",
        "config": "configs/flow_synthetic.py:paper",
        "set": _FLOW,
    },
    {
        "name": "flow_strong",
        "label": "Flow, strong",
        "config": "configs/flow_synthetic.py:strong",
        "set": _FLOW,
    },
)
