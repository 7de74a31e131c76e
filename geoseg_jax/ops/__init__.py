"""Pure functions on arrays: cameras, sampling, losses, metrics; no flax, no config."""
