"""Turns predictions into scores and files."""
