"""Tiny data sets in every layout that the studies' heads document, by the name of their root."""

import pathlib

import cv2
import jax
import numpy as np

from geoseg_jax.data.nyu import split as nyu_split
from geoseg_jax.interop import Weights, write_weights
from geoseg_jax.models.encoders import make_encoder
from tests.data import (
    fabricate,
    fabricate_cityscapes,
    fabricate_classes,
    fabricate_flow,
    fabricate_labels,
    fabricate_nyu,
    fabricate_video,
)
from tests.models.weights import randomise

SIZE = (48, 96)  # height, width of what has no size of its own
# As many of NYUv2's frames as the largest number of labels but "all" asks for, and two to judge.
NYU_TRAINED, NYU_JUDGED = nyu_split.train_numbers()[:90], nyu_split.test_numbers()[:2]


def kitti_raw(root: pathlib.Path) -> None:
    """A drive that Eigen trains on and one that he tests on, with scans."""
    for number in (1, 2):
        fabricate.write_drive(root, number, range(5), scans=range(5))


def kitti_semantics(root: pathlib.Path) -> None:
    """Pictures of fold 0, and 170 others, of whom the drives of fold 0 have none."""
    fabricate_labels.kitti_semantics(root, [*range(4), *range(60, 200)])


def kitti_flow(root: pathlib.Path) -> None:
    fabricate_flow.kitti(root, ["000000", "000001"])


def cityscapes(root: pathlib.Path) -> None:
    """Stereo, sequences, disparity and cameras, and labels of frames of both splits."""
    fabricate_cityscapes.write(root)
    for split, city, count in (("train", "bremen", 372), ("val", "lindau", 2)):
        names = [f"{city}_{n:06d}_000019" for n in range(count)]
        fabricate_labels.cityscapes(root, split, names)


def camvid(root: pathlib.Path) -> None:
    fabricate_labels.camvid(root, "train", [f"a{n:03d}" for n in range(70)])
    fabricate_labels.camvid(root, "val", ["b000", "b001"])


def nyu_mat(root: pathlib.Path) -> None:
    root.mkdir(parents=True)
    numbers = sorted((*NYU_JUDGED, *NYU_TRAINED))
    fabricate_nyu.write_mat(root / "nyu_depth_v2_labeled.mat", numbers)


def nyu_folder(root: pathlib.Path) -> None:
    """Pictures, labels and depth of 8 bits."""
    numbers = (*NYU_JUDGED, *NYU_TRAINED)
    fabricate_labels.nyu_folder(root, numbers)
    (root / "depths_u8").mkdir()
    size = (fabricate_labels.HEIGHT, fabricate_labels.WIDTH)
    for n in numbers:
        depth = np.random.default_rng(n).integers(10, 255, size, np.uint8)
        assert cv2.imwrite(str(root / "depths_u8" / f"{n:04d}.png"), depth)


def classes(root: pathlib.Path) -> None:
    fabricate_classes.write_class_folder(root, "train", each=8)
    fabricate_classes.write_class_folder(root, "val", each=2)


def video_folder(root: pathlib.Path) -> None:
    """A folder of frames."""
    fabricate_video.write_folder(root, range(0, 60, 2))


def video_folders(root: pathlib.Path) -> None:
    """A folder of folders of frames."""
    for seed, name in enumerate(("morning", "evening")):
        fabricate_video.write_folder(root / name, range(0, 60, 2), seed)


def video_file(root: pathlib.Path) -> None:
    """A folder with a video file in which a picture slides by."""
    import av

    root.mkdir(parents=True, exist_ok=True)
    with av.open(str(root / "drive.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 4_000_000
        for shift in range(0, 60, 2):
            picture = np.ascontiguousarray(fabricate_video.frame(shift)[..., ::-1])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def video_alone(root: pathlib.Path) -> None:
    """A video file, which the root names itself."""
    video_file(root.with_suffix(".folder"))
    (root.with_suffix(".folder") / "drive.mp4").rename(root)


def videos(root: pathlib.Path) -> None:
    """Several videos: two files and a folder of frames."""
    video_file(root)
    (root / "drive.mp4").rename(root / "first.mp4")
    video_file(root)
    fabricate_video.write_folder(root / "walk", range(0, 60, 2), seed=2)


def labels(root: pathlib.Path) -> None:
    """One's own labelled pictures, of which nobody said which judge."""
    fabricate_labels.folder(root, [f"p{n:02d}" for n in range(30)])


def labels_with_lists(root: pathlib.Path) -> None:
    """The same with train.txt and val.txt."""
    labels(root)
    names = [f"p{n:02d}" for n in range(30)]
    (root / "train.txt").write_text("\n".join(names[:26]))
    (root / "val.txt").write_text("\n".join(names[26:]))


def labels_by_recording(root: pathlib.Path) -> None:
    """In folders, each of which is a recording."""
    fabricate_labels.folder(root, [f"trip{n % 10}/{n:02d}" for n in range(30)])


def weights(root: pathlib.Path) -> None:
    """The smallest encoder, as geoseg_jax.interop converts weights from elsewhere."""
    shapes = jax.eval_shape(
        lambda key: make_encoder("tiny").init(key, np.zeros((1, 32, 32, 3), np.float32), False),
        jax.random.key(0),
    )
    host = jax.tree.map(np.asarray, randomise(shapes))
    parts = {name: {"encoder": tree} for name, tree in host.items()}
    write_weights(Weights(parts, "torchvision", "tiny", "0" * 64), root, "tiny.pth")


# The name of a root in the studies -> its layouts, the first of which stands for it elsewhere.
LAYOUTS = {
    "kitti_raw": (kitti_raw,),
    "kitti_semantics": (kitti_semantics,),
    "kitti_flow": (kitti_flow,),
    "cityscapes": (cityscapes,),
    "camvid": (camvid,),
    "nyu": (nyu_mat, nyu_folder),
    "classes": (classes,),
    "video": (video_folder, video_folders, video_file, videos, video_alone),
    "labels": (labels, labels_with_lists, labels_by_recording),
    "imagenet": (weights,),
    "weights": (weights,),
}
