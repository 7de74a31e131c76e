"""Depth and a camera as coloured points: .ply files (Stanford's polygon format, binary)."""

import pathlib

import numpy as np

from geoseg_jax.core import atomic

POINTS = "points"  # the folder
_POINT = np.dtype(
    [(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in ("red", "green", "blue")]
)
_KINDS = {"<f4": "float", "|u1": "uchar"}


def write_ply(
    path: str | pathlib.Path, depth: np.ndarray, picture: np.ndarray, camera: np.ndarray
) -> None:
    """Writes a point for each pixel: x to the right, y down, z forward, in the depth's unit.

    Args:
      path: of the .ply.
      depth: [H, W] along the camera's axis.
      picture: uint8 [H, W, 3] RGB.
      camera: K [3, 3] in pixels of the picture, (0, 0) the centre of the top-left one.
    """
    rows, columns = np.indices(depth.shape)
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    places = depth[..., None] * (pixels @ np.linalg.inv(camera).T)
    points = np.empty(depth.size, _POINT)
    for number, name in enumerate(_POINT.names[:3]):
        points[name] = places[..., number].ravel()
    for number, name in enumerate(_POINT.names[3:]):
        points[name] = picture[..., number].ravel()
    fields = "".join(f"property {_KINDS[_POINT[name].str]} {name}\n" for name in _POINT.names)
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {depth.size}\n{fields}end_header\n"
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as partial:
        partial.write_bytes(header.encode() + points.tobytes())
