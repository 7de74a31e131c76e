"""The embedded synthetic world: streets, rooms and single objects, ray-cast, with exact truth."""

from geoseg_jax.data.labels.tables.synthetic import CLASSES, OBJECT_CATEGORIES
from geoseg_jax.data.synthetic.cache import CachedSource, cached_source
from geoseg_jax.data.synthetic.source import EVAL_SEED, WORLD_VERSION, ObjectSource, SyntheticSource

__all__ = [
    "CLASSES",
    "EVAL_SEED",
    "OBJECT_CATEGORIES",
    "WORLD_VERSION",
    "CachedSource",
    "ObjectSource",
    "SyntheticSource",
    "cached_source",
]
