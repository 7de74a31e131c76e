"""From a study's rows to its answer; numpy and scipy only."""
