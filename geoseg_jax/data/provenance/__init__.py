"""What a run has read, and what of that must not be judged on."""
