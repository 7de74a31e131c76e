"""Small KITTI trees in the true format, and a source without files, for tests."""

import pathlib

import cv2
import numpy as np

from geoseg_jax.data.source import BadRecord

DATE = "2011_09_26"
HEIGHT, WIDTH = 24, 80
FOCAL, CX, CY = 70.0, 39.0, 11.0
# f * (t_x, t_y, t_z) as a P_rect holds it: cameras 6 cm right and 47 cm left of the reference.
LEFT, RIGHT = (4.2, 0.0, 0.0), (-32.9, 0.0, 0.0)


def numbers(values) -> str:
    return " ".join(f"{value:e}" for value in np.ravel(values))


def cam_to_cam(height: int = HEIGHT, width: int = WIDTH) -> str:
    """The lines of calib_cam_to_cam.txt that matter, in their true format and company."""
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02"]
    for camera, last in (("00", (0, 0, 0)), ("02", LEFT), ("03", RIGHT)):
        projection = np.array([[FOCAL, 0, CX, 0], [0, FOCAL, CY, 0], [0, 0, 1, 0]])
        projection[:, 3] = last
        lines += [
            f"S_{camera}: {numbers((1392, 512))}",
            f"S_rect_{camera}: {numbers((width, height))}",
            f"R_rect_{camera}: {numbers(np.eye(3))}",
            f"P_rect_{camera}: {numbers(projection)}",
        ]
    return "\n".join(lines) + "\n"


def velo_to_cam() -> str:
    """A scanner at the reference camera: x forward, y left, z up -> x right, y down, z forward."""
    rotation = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    return (
        f"calib_time: 15-Mar-2012 11:37:16\nR: {numbers(rotation)}\nT: {numbers((0, 0, 0))}\n"
        "delta_f: 0.000000e+00 0.000000e+00\n"
    )


def imu_to_velo() -> str:
    """A GPS/IMU one metre behind the scanner and turned as it is."""
    return f"calib_time: 25-May-2012 16:47:16\nR: {numbers(np.eye(3))}\nT: {numbers((-1, 0, 0))}\n"


def fix(**values: float) -> str:
    """A record of the GPS/IMU: 30 numbers of which the first six are place and attitude."""
    first = {"latitude": 0, "longitude": 0, "altitude": 0, "roll": 0, "pitch": 0, "yaw": 0} | values
    return " ".join(f"{value:.15g}" for value in (*first.values(), *range(24))) + "\n"


def write_fixes(root: pathlib.Path, fixes: dict[int, str], number: int = 1) -> None:
    """Records of the GPS/IMU of a drive, and their calibration."""
    (root / DATE / "calib_imu_to_velo.txt").write_text(imu_to_velo())
    folder = root / drive_name(number) / "oxts" / "data"
    folder.mkdir(parents=True)
    for frame, text in fixes.items():
        (folder / f"{frame:010d}.txt").write_text(text)


def drive_name(number: int, date: str = DATE) -> str:
    return f"{date}/{date}_drive_{number:04d}_sync"


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Smooth noise, so that JPEG and resizing change it little."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def scan(count: int, seed: int = 0) -> np.ndarray:
    """Velodyne points in front of the fabricated camera, float32 [count, 4]."""
    generator = np.random.default_rng(seed)
    ahead = generator.uniform(3, 30, count)
    left = ahead * generator.uniform(-0.5, 0.5, count)
    up = ahead * generator.uniform(-0.15, 0.15, count)
    return np.stack((ahead, left, up, np.zeros(count)), axis=1).astype(np.float32)


def write_calibration(root: pathlib.Path, date: str = DATE) -> None:
    (root / date).mkdir(parents=True, exist_ok=True)
    (root / date / "calib_cam_to_cam.txt").write_text(cam_to_cam())
    (root / date / "calib_velo_to_cam.txt").write_text(velo_to_cam())


def write_drive(
    root: pathlib.Path,
    number: int = 1,
    frames=range(4),
    *,
    sides: str = "lr",
    scans=(),
    ending: str = "png",
    date: str = DATE,
) -> pathlib.Path:
    """A drive with pictures of both cameras and scans of some frames; its calibration too."""
    write_calibration(root, date)
    folder = root / drive_name(number, date)
    for side in sides:
        pictures = folder / f"image_0{2 if side == 'l' else 3}" / "data"
        pictures.mkdir(parents=True)
        for frame in frames:
            content = picture(2 * frame + (side == "r"))
            assert cv2.imwrite(str(pictures / f"{frame:010d}.{ending}"), content)
    if scans:
        (folder / "velodyne_points" / "data").mkdir(parents=True)
    for frame in scans:
        scan(400, frame).tofile(folder / "velodyne_points" / "data" / f"{frame:010d}.bin")
    return folder


class NumberedSource:
    """Records that tell their index; some may be unreadable. Not a file in sight."""

    def __init__(self, size: int, bad=(), shape=(4, 6)):
        self.size, self.bad, self.shape, self.left_out = size, frozenset(bad), shape, {}

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index in self.bad:
            raise BadRecord(f"/pictures/{index}.png: cut short; get it again")
        image = np.random.default_rng(index).integers(0, 256, (*self.shape, 3), np.uint8)
        return {
            "image": image,
            "sources": np.stack((image, 255 - image)),
            "intrinsics": np.diag([5, 5, 1]).astype(np.float32),
            "stereo_pose": np.eye(4, dtype=np.float32),
            "depth": np.full(self.shape, index + 1, np.float32),
            "depth_size": np.array(self.shape, np.int32),
        }

    def describe(self, index):
        return f"number {index}"

    def fingerprint(self):
        return "0" * 64
