"""Sparse true depth of KITTI: velodyne scans projected into a picture."""

import pathlib

import numpy as np

from geoseg_jax.data.source import BadRecord

_BYTES_PER_POINT = 16  # float32 x, y, z, reflectance


def read_scan(path: str | pathlib.Path) -> np.ndarray:
    """Reads a velodyne scan as float32 [N, 3]: x forward, y left, z up, metres.

    Raises BadRecord where the file is missing, empty or no whole number of points.
    """
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror}; get the scan again") from error
    if not data or len(data) % _BYTES_PER_POINT:
        raise BadRecord(
            f"{path}: {len(data)} bytes are no whole number of velodyne points (4 float32, "
            f"{_BYTES_PER_POINT} bytes each); get the scan again"
        )
    return np.frombuffer(data, np.float32).reshape(-1, 4)[:, :3]


def project_scan(points: np.ndarray, projection: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Projects a scan to depth along the optical axis, float32 [height, width] metres, 0 = none.

    points: [N, 3] metres; projection: [3, 4], (u z, v z, z) <- (point, 1); size: (height, width).
    A point belongs to the pixel whose centre is nearest, (0, 0) being the centre of the top-left
    pixel; where several fall on one pixel the nearest to the camera wins, as it hides the others.
    """
    height, width = size
    u, v, z = projection[:, :3] @ points.T.astype(np.float64) + projection[:, 3:]
    ahead = z > 0
    u, v, z = u[ahead], v[ahead], z[ahead]
    x, y = np.floor(u / z + 0.5), np.floor(v / z + 0.5)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return _nearest(x[inside], y[inside], z[inside], size)


def project_scan_as_published(
    points: np.ndarray, projection: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Projects a scan as numbers on Eigen's split are published; arguments as of `project_scan`.

    As monodepth2's public export makes it (kitti_utils.py, export_gt_depth.py; Godard et al., ICCV
    2019), after KITTI's MATLAB code. It differs from `project_scan` in three ways: a pixel holds
    the point's forward coordinate in the scanner's frame, which is about 0.28 m more than its depth
    in the camera's; pixels are those of `project_scan` minus one, up and left; and what counts as
    ahead is so by the scanner. The export also takes the first column of a row for the last one of
    the row above where it looks for several points on one pixel; that is not repeated here, and
    concerns these two columns alone, which Garg's crop leaves out.
    """
    height, width = size
    points = points.astype(np.float64)
    points = points[points[:, 0] >= 0]
    u, v, z = projection[:, :3] @ points.T + projection[:, 3:]
    x, y = np.rint(u / z) - 1, np.rint(v / z) - 1
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return _nearest(x[inside], y[inside], points[inside, 0], size)


def _nearest(x: np.ndarray, y: np.ndarray, z: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns float32 [height, width], at each pixel the least z of those that fell there, or 0."""
    x, y = x.astype(np.int64), y.astype(np.int64)
    far_to_near = np.argsort(-z, kind="stable")
    depth = np.zeros(size, np.float32)
    # Of several writes to one pixel numpy keeps the last one.
    depth[y[far_to_near], x[far_to_near]] = z[far_to_near]
    return depth
