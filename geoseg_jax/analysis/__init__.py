"""Turns a study's rows into its answer; numpy and scipy only."""
