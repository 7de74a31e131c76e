"""Data packed into files that read fast."""
