"""Used by every other folder: the batch, whole-or-nothing files, near misses, the terminal."""
