"""A study of a few cells that is planned as any other; whoever uses it trains nothing, or fakes."""

from geoseg_jax.config import settings
from geoseg_jax.study.plan import make_plan

FACTORS = {
    "labels": (8, 16),
    "training": ("fine_tuned", "frozen"),
    "decoder": ("auto",),
    "resolution": ("96x32",),
    "encoder": ("tiny",),
    "subset": (0,),
    "seed": (0, 1),
}
ARMS = (
    {"name": "random"},
    {"name": "inpainting", "config": "configs/reconstruct_synthetic.py"},
    {
        "name": "chain",
        "config": "configs/depth_synthetic.py:mono",
        "start": "inpainting",
        "set": {"optimizer": {"learning_rate": 3e-4}},
    },
)


def study(**changes):
    """The study as plain data, with other values of top-level keys."""
    made = {
        "title": "Tiny",
        "question": "?",
        "arms": ARMS,
        "reference": "random",
        "pretraining": {"train": {"batch_size": 2}, "data": {"stereo": False}},
        "budget": {"measure": "images", "amount": 12},
        "target": {"config": "configs/segment_synthetic.py", "set": {"train": {"steps": 3}}},
        "factors": FACTORS,
        "panels": 0,
    }
    return settings.plain(made | changes)


def plan(workdir, **changes):
    """Its plan."""
    return make_plan(study(**changes), workdir)
