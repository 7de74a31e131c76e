"""Checks cameras against the pictures that they are said to have taken.

A calibration holds pixels, and files of it seldom say of which size: that of the originals beside
frames that were made smaller puts the axis near the border, and training goes on all the same.
"""

import numpy as np

# Where an axis may lie across, as a share of the width. Of the published sets it lies within 0.45
# and 0.55, of pictures made smaller by a quarter beside the calibration of the originals beyond
# 0.64. Of the height it tells nothing: rows of sky or bonnet are often cut off.
_NEAREST, _FARTHEST = 0.3, 0.7
_USUAL = (0.4, 0.6)


def misplaced(intrinsics: np.ndarray, size: tuple[int, int], usual: bool = False) -> str:
    """Tells in one phrase why a camera can hardly be that of these pictures; '' where it can.

    Args:
      intrinsics: K [3, 3] in pixels, (0, 0) the centre of the top-left one.
      size: height and width of the pictures.
      usual: whether an axis that is merely unusual counts.
    """
    height, width = size
    axis = (intrinsics[0, 2] + 0.5) / width, (intrinsics[1, 2] + 0.5) / height
    least, most = _USUAL if usual else (_NEAREST, _FARTHEST)
    if least <= axis[0] <= most:
        return ""
    return (
        f"the camera's axis lies at {axis[0]:.2f} of the width and {axis[1]:.2f} of the height of "
        f"pictures of {width}x{height}, and not near their middle: is the calibration of pictures "
        "of another size?"
    )
