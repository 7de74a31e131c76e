"""Reads what others put beside a file of weights: how the encoder's input is normalised."""

import json
import pathlib
from typing import Any

import numpy as np

from geoseg_jax.interop.errors import WeightsError
from geoseg_jax.models import resnet

# What the Hugging Face hub has beside weights: timm's, and that of transformers.
FILES = ("config.json", "preprocessor_config.json")


def normalisation_beside(path: pathlib.Path) -> str:
    """Returns the normalisation (resnet.NORMALISATIONS) that a file beside `path` tells, or ''.

    timm's config.json is asked first, then preprocessor_config.json of transformers.

    Raises:
      WeightsError: where such a file can't be read, or asks for another normalisation.
    """
    timm, transformers = FILES
    told = _beside(path, timm).get("pretrained_cfg")
    if isinstance(told, dict) and {"mean", "std"} <= set(told):
        return _known(told["mean"], told["std"], path.with_name(timm))
    told = _beside(path, transformers)
    if {"image_mean", "image_std"} <= set(told):
        return _known(told["image_mean"], told["image_std"], path.with_name(transformers))
    return ""


def _beside(path: pathlib.Path, name: str) -> dict[str, Any]:
    """Reads a JSON object beside a file; {} where there is none.

    Raises:
      WeightsError: where it can't be read.
    """
    file = path.with_name(name)
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_config(file, f"can't be read ({type(error).__name__})") from error
    return config if isinstance(config, dict) else {}


def _no_config(file: pathlib.Path, what: str) -> WeightsError:
    return WeightsError(f"has {file} beside it, which {what}; correct it or take it away")


def _known(mean: Any, std: Any, file: pathlib.Path) -> str:
    for numbers in (mean, std):
        three = isinstance(numbers, list) and len(numbers) == 3
        if not three or not all(isinstance(n, int | float) and abs(n) < 1e6 for n in numbers):
            raise _no_config(file, "has no three numbers each as mean and deviation")
    for name, known in resnet.NORMALISATIONS.items():
        if np.allclose((mean, std), known, atol=1e-4):
            return name
    raise WeightsError(
        f"expects its input normalised by mean {tuple(mean)} and deviation {tuple(std)}, as "
        f"{file.name} beside it says; known are {', '.join(resnet.NORMALISATIONS)}"
    )
