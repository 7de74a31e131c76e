"""config.transfer: what a run takes from config.init_from."""

from typing import Any


def transfer(parts: tuple[str, ...], frozen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns the section, with the usual values of what it doesn't ask for."""
    return {
        "parts": parts,
        "frozen": frozen,
        "freeze": "all",  # or 'statistics', which is a fault: see presets/segmentation.py
        # Or 'any', a fault too: weights may expect another normalisation than config.model has.
        "normalisation": "matching",
        "checkpoint": "latest",  # or 'best'
        "prefix": "",  # of the encoder's names in a file that holds several: interop/layouts.py
        # A frozen encoder's batch statistics: as they come, or 'calibrated' on the pictures.
        "statistics": "",
        # Of config.optimizer.learning_rate.
        "learning_rate_scale": {"encoder": 1.0, "decoder": 1.0, "head": 1.0, "pose": 1.0},
    }
