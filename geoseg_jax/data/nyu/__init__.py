"""NYUv2."""
