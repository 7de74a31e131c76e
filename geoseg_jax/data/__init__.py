"""Data sources and batches in numpy; nothing here imports jax, so that workers start fast."""
