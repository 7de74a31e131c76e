"""Data sources and batches in numpy; nothing here imports jax, so that workers start fast."""

from geoseg_jax.data.factory import Data, make_data

__all__ = ["Data", "make_data"]
