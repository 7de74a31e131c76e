"""Pairs of pictures with optical flow."""
