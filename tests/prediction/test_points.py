"""Points of a depth picture, read by hand."""

import struct

import numpy as np

from geoseg_jax.prediction.points import write_ply


def test_points_lie_where_the_camera_sees_them(tmp_path):
    depth = np.array([[2.0, 4.0, 8.0], [1.0, 3.0, 5.0]], np.float32)
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    camera = np.array([[10.0, 0, 1], [0, 20, 0.5], [0, 0, 1]])
    write_ply(tmp_path / "a" / "x.ply", depth, picture, camera)
    header, data = (tmp_path / "a" / "x.ply").read_bytes().split(b"end_header\n")
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "element vertex 6",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {colour}" for colour in ("red", "green", "blue")),
    ]
    points = list(struct.iter_unpack("<fffBBB", data))
    assert len(points) == 6
    # Row 1, column 2: 5 (2 - 1) / 10 to the right, 5 (1 - 0.5) / 20 down.
    np.testing.assert_allclose(points[5], (0.5, 0.125, 5, 15, 16, 17), rtol=1e-6)
    np.testing.assert_allclose(points[0], (-0.2, -0.05, 2, 0, 1, 2), rtol=1e-6)
