"""`smoke`: a config at a size that a laptop's CPU does in about a minute, without any data."""

from ml_collections import ConfigDict

SIZE = (64, 96)  # height, width
_WORLD = {"name": "synthetic", "world": "street", "seed": 0, "cache_dir": ""}
_OBJECTS = {"name": "synthetic_objects", "seed": 0}
# What takes the place of the data set, by what the task looks at.
_DATA = {"views": _WORLD, "pictures": _WORLD | {"frames": (), "stereo": False}, "objects": _OBJECTS}


def smoke(config: ConfigDict, looks_at: str) -> None:
    """Shrinks a complete config in place: all of its code runs, nothing is learned.

    Args:
      config: of a preset; its task, losses and networks stay as they are.
      looks_at: 'views' (pictures with neighbours and their truth), 'pictures' or 'objects'
        (pictures of one object with its category).
    """
    height, width = SIZE if looks_at != "objects" else (64, 64)
    config.data.update(_DATA[looks_at])
    config.data.update({"train_size": 16, "eval_size": 8, "height": height, "width": width})
    config.data.update({"workers": 0})
    config.optimizer.warmup_steps = min(config.optimizer.get("warmup_steps", 0), 2)
    config.train.update({"steps": 6, "batch_size": 4, "eval_batch_size": 4, "log_every": 2})
    config.train.update({"eval_every": 3, "checkpoint_every": 3, "pictures_every": 3})
