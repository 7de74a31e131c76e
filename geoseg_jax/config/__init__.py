"""Configurations: their table, checks, files and changes, and the command line."""
