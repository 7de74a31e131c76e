"""Pictures of any size and of one thing: how they come to the size that a network is given."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geoseg_jax.data import crops


class Fit(NamedTuple):
    """What is kept of a picture; a plain value, so that workers can have it.

    how: 'whole', as it is, for a random window later on; 'central', the middle (see
    `crops.central_window`) at height x width; 'cover', the whole, as small as covers height x
    width, which is what is packed.
    """

    how: str
    height: int
    width: int
    share: float = crops.CENTRAL_SHARE

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Returns the picture [h, w, C], brought to what is kept of it."""
        if self.how == "whole":
            return picture
        if self.how == "cover":
            return crops.cover(picture, self.height, self.width)
        size = self.height, self.width
        return crops.cut(picture, crops.central_window(picture.shape[:2], *size, self.share), *size)


def fits(data: Mapping[str, Any]) -> tuple[Fit, Fit]:
    """Returns what to keep for training and for evaluation, by config.data.

    fit: 'crop' (the default: to evaluate on, the middle; to train on, all of the picture where
    crop_area asks for random windows of it, else the middle) or 'cover' for both; height, width,
    central_share.
    """
    central = Fit(
        "central", data["height"], data["width"], data.get("central_share", crops.CENTRAL_SHARE)
    )
    if data.get("fit", "crop") == "cover":
        cover = central._replace(how="cover")
        return cover, cover
    return central._replace(how="whole") if data.get("crop_area") else central, central
