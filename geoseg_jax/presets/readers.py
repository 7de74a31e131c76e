"""Where pre-training on single pictures reads them from."""

from ml_collections import ConfigDict

from geoseg_jax.presets.argument import Option

IMAGENET = 1_281_167  # training pictures of ILSVRC 2012
# (train_split, eval_split) of NYUv2: the official one, or of a part of the data set.
NYU_SPLITS = {"official": ("train", "test"), "held_out": ("pool", "held_out")}
NYU_SPLIT = Option(
    tuple(NYU_SPLITS), "official: 795 frames train, 654 judge; held_out: a fifth of what is there"
)
READERS = ("tfds", "class_folder", "pictures")
READER = Option(
    READERS,
    "as tensorflow-datasets prepares it, a folder for each class, or any folder of pictures",
)
# World of the embedded renderer.
WORLD = Option(("street", "room"), "the synthetic world that is rendered")


def imagenet(config: ConfigDict, reader: str) -> None:
    """Sets config.data to read ImageNet-1k, its root excepted.

    Args:
      config: changed in place.
      reader: one of READERS: as tensorflow-datasets prepares it; a folder for each class; or any
        folder of pictures, whatever it holds.
    """
    config.data.update({"name": reader, "root": "", "workers": 8})
    if reader == "tfds":
        config.data.update({"dataset": "imagenet2012", "train_split": "train"})
        config.data.eval_split = "validation"
    elif reader == "class_folder":
        config.data.update({"train_split": "train", "eval_split": "val", "eval_list": ""})
    else:
        config.data.update({"train_split": "", "eval_split": "held_out", "held_out": 0.01})
