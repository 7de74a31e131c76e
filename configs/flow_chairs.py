"""Optical flow on Flying Chairs, from truth, as PWC-Net begins (Sun et al., CVPR 2018).

    python -m geoseg_jax.main --config=configs/flow_chairs.py --workdir=W \
        --config.data.root=/data/FlyingChairs_release

Options behind the colon: geoseg_jax/presets/flow.py; strong and paper learn from pictures alone.
Supervised is trained as long as PWC-Net: its S_long (Ilg et al., "FlowNet 2.0", CVPR 2017) has 1.2
million steps of 8 pairs, 432 times the training set, by Adam at 1e-4, on windows of 448x384
(section 4; 448x320 in the public code) out of pictures that are enlarged at random.
What differs from it:
- The rate falls along a cosine, where theirs is halved after 0.4, 0.6, 0.8 and 1 million steps; of
  the schedules here this is the nearest, and the mean rate is the same within 3 %.
- They zoom by 0.82 to 1.82 and also rotate, squeeze, shift, let the second frame move a little
  against the first, and add noise; here it is 1 to 1.8 (384 rows of 384 leave no room to shrink),
  and mirroring, which is not in their code. Colours change less.
- The error is the sum of |du| and |dv|, theirs the vector's length; no weight decay for their 4e-4.
- A ResNet encoder, and UFlow's cost volumes and decoder.
What to expect: on the 640 validation pairs UFlow (Jonschkowski et al., ECCV 2020) reports EPE 2.55
without labels, PWC-Net about 2 with them. Neither is reproduced here: nothing was run at length on
this data set. --config.train.steps=100_000 is a shorter training, of 36 times the pairs, that no
paper's numbers are of.
Hardware: a GPU; the data set takes about 30 GB of disk.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import flow, preset


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        flow.PRESET, arg, "flow_chairs.py", _set_up, method=("supervised", "strong", "paper")
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "flying_chairs", "root": "", "height": 384, "width": 512})
    config.data.update({"train_split": "train", "eval_split": "val"})
    config.train.update({"eval_every": 5_000, "pictures_every": 5_000})
    if options["method"] == "strong":  # UFlow's choices for Chairs
        config.task.update({"occlusion": "range_map", "smoothness": 1.0, "smoothness_order": 1})
    elif options["method"] == "supervised":
        config.data.update({"scale": (1.0, 1.8), "crop": (384, 448)})
        config.task.robust_power = 1.0  # the robust error is for what follows Chairs (eq. 4)
        config.optimizer.schedule = "cosine"
        config.train.update({"steps": 1_200_000, "batch_size": 8})
        config.train.update({"eval_every": 20_000, "pictures_every": 20_000})
