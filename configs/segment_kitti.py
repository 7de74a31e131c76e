"""Segmentation on KITTI semantics (Alhaija et al., IJCV 2018): 200 labelled pictures.

    python -m geoseg_jax.main --config=configs/segment_kitti.py:init=W,labels=16,frozen=True \
        --workdir=S --config.data.root=/data/kitti_semantics

Options behind the colon: geoseg_jax/presets/segmentation.py, with labels=16 as default, and
  fold=0..3: 50 pictures, consecutive by number, that evaluate; the others, less those of the same
    drives, are the pool that labels are taken from;
  preset=controlled (default): 19 classes, scored over the whole split at full resolution;
  preset=paper_code: the public code of Lao et al. (ECCV 2024) with its faults, each a switch in
    segmentation.paper_code: the first 16 train, all others test, 34 outputs, 20,000 steps, a batch
    of at most as many pictures as there are labels;
  imagenet=True: with paper_code, for the arm that starts from ImageNet (or MoCo).
Not as there with paper_code: a batch is always full, where the last of an epoch may be smaller
there, and the learning rate falls at every step, there once an epoch.
Second-hand numbers of the paper are not claimed here; nothing was run at full length yet.
Hardware: 20,000 steps of 16 want a GPU; not timed here.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import argument, preset, segmentation
from geoseg_jax.presets.argument import Option


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        segmentation.PRESET,
        arg,
        "segment_kitti.py",
        _set_up,
        labels=16,
        fold=Option(0, "of the labelled pictures that judge"),
        preset=argument.PRESET,
        imagenet=Option(False, "paper_code: weights of ImageNet, normalised twice"),
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "kitti_semantics", "root": "", "classes": "cityscapes19"})
    config.data.update({"train_split": "pool", "eval_split": f"fold{options['fold']}"})
    config.optimizer.learning_rate = 1e-4
    config.train.update(
        {"steps": 20_000, "batch_size": 16, "eval_every": 1_000, "pictures_every": 1_000}
    )
    if options["preset"] == "paper_code":
        if options["fold"]:
            raise ValueError("segment_kitti.py:fold has no meaning with preset=paper_code")
        segmentation.paper_code(config, options["imagenet"])
        config.data.eval_split = "rest"
    elif options["imagenet"]:
        raise ValueError("segment_kitti.py:imagenet=True needs preset=paper_code")
