"""Frozen probes: what an encoder's features say of labels, without training a network."""
