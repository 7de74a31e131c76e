"""Runs controlled comparisons of pre-trainings and reports them."""
