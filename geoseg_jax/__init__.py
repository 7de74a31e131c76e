"""Which pre-training gives segmentation the most? See README.md.

    import geoseg_jax

    encoder = geoseg_jax.load_encoder("runs/quickstart")
    features = encoder(pictures)

What is public: the names below, `geoseg_jax.ops` and `geoseg_jax.models`; docs/library.md.
"""

import importlib
import importlib.metadata
from typing import Any

# Public name -> its module, which is loaded when the name is first used.
_PUBLIC = {
    "load_encoder": "geoseg_jax.prediction.networks",
    "load_segmenter": "geoseg_jax.prediction.networks",
    "load_depth": "geoseg_jax.prediction.networks",
    "score_folders": "geoseg_jax.scoring.folders",
}
__version__ = importlib.metadata.version("geoseg_jax")
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'geoseg_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
