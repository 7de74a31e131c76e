"""Every format that the project reads: a good file of each, and how all of it is read.

A format is read as a training reads it, by the reader of its data set, so that whatever lies
between a file and a record is tried as well.
"""

import io
import json
import pathlib
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from geoseg_jax.data.reading import read_record
from geoseg_jax.data.source import (
    DataError,
    HasCategories,
    HasDepth,
    HasFlow,
    HasLabels,
    can,
    drive_of,
    files_of,
    moment_of,
)
from geoseg_jax.interop.errors import WeightsError
from tests.data import (
    fabricate,
    fabricate_cityscapes,
    fabricate_classes,
    fabricate_flow,
    fabricate_labels,
)

ERRORS = (DataError, WeightsError)  # what a user is told in one line
HEIGHT, WIDTH = 16, 32


class Part(NamedTuple):
    """What of a file is mutated: the whole, unless it is hidden behind a checksum.

    take: good file -> the bytes to mutate. put: (good file, mutated bytes) -> the file to read.
    """

    take: Callable[[bytes], bytes] = lambda good: good
    put: Callable[[bytes, bytes], bytes] = lambda good, mutated: mutated


class Format(NamedTuple):
    """A format.

    make: writes all that is needed into a folder, and returns the file that is mutated. read: reads
    all of it. names: what an error may call the file: its path, or that of the set it belongs to.
    """

    make: Callable[[pathlib.Path], pathlib.Path]
    read: Callable[[pathlib.Path], Any]
    part: Part = Part()
    names: Callable[[pathlib.Path], Sequence[str]] = lambda path: (str(path),)


def read_sources(sources: Sequence[Any]) -> None:
    """Reads all that may be asked of sources, as a run does."""
    for source in sources:
        for index in range(len(source)):
            read_record(source, index)
            source.describe(index)
            files_of(source, index)
            drive_of(source, index)
            moment_of(source, index)
            if can(source, HasLabels):
                source.label(index)
                source.check(index)
            if can(source, HasDepth):
                source.depth(index)
            if can(source, HasFlow):
                source.flow(index)
            if can(source, HasCategories):
                source.category(index) if hasattr(source, "category") else None
        source.fingerprint()


def by_reader(name: str, place: str = ".", **data: Any) -> Callable[[pathlib.Path], None]:
    """Reads both sources of a reader; `place`: its root below the format's folder."""

    def read(root: pathlib.Path) -> None:
        from geoseg_jax.data.readers import READERS

        settings = {"height": HEIGHT, "width": WIDTH, "frames": (), "stereo": False} | data
        settings["root"] = str(root / place)
        for key in ("train_split", "eval_split", "classes", "eval_list"):
            if str(settings.get(key, "")).startswith("@"):
                settings[key] = str(root / settings[key][1:])
        read_sources(READERS[name].read(ConfigDict(settings)))

    return read


def png_checksums(good: bytes, mutated: bytes) -> bytes:
    """Makes the checksums of a PNG's chunks right, so that what is in them is looked at."""
    del good
    content, at = bytearray(mutated), 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if at + 12 + length > len(content):
            break
        check = zlib.crc32(content[at + 4 : at + 8 + length])
        struct.pack_into(">I", content, at + 8 + length, check)
        at += 12 + length
    return bytes(content)


CHECKED_PNG = Part(put=png_checksums)


def inside_zip(name: str) -> Part:
    """A member of a zip archive."""

    def take(good: bytes) -> bytes:
        return zipfile.ZipFile(io.BytesIO(good)).read(name)

    def put(good: bytes, mutated: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(buffer, "w") as new:
            for info in old.infolist():
                new.writestr(info.filename, mutated if info.filename == name else old.read(info))
        return buffer.getvalue()

    return Part(take, put)


# Pictures and labels.


def _labelled(ending: str, kind: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        fabricate_labels.folder(root, ("a", "b"))
        image, label = root / "images/a.jpg", root / "labels/a.png"
        if ending == ".png":
            Image.open(image).save(root / "images/a.png")
            image.unlink()
            image = root / "images/a.png"
        ids = fabricate_labels.ids((0, 1, 2))
        colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 0]], np.uint8)
        if kind == "colours":
            fabricate_labels.write_label(label, colours[ids])
        if kind == "palette":
            picture = Image.fromarray(ids).convert("P")
            picture.putdata(ids.ravel().tolist())
            picture.putpalette(colours.ravel().tolist() + [0] * 759)
            picture.save(label)
        return image if kind == "image" else label

    return make


_FOLDER = by_reader("folder", train_split="pool", eval_split="rest", classes="")


def _rotated(root: pathlib.Path) -> pathlib.Path:
    """A JPEG with an EXIF orientation, as telephones write."""
    path = _labelled(".jpg", "image")(root)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(path).save(path, exif=exif)
    return path


def _class_list(root: pathlib.Path) -> pathlib.Path:
    fabricate_labels.folder(root, ("a", "b"))
    return root / "classes.txt"


def _name_list(root: pathlib.Path) -> pathlib.Path:
    fabricate_labels.folder(root, ("a", "b", "c"))
    (root / "mine.txt").write_text("# chosen\na\nb.jpg\n")
    return root / "mine.txt"


def _class_folder(root: pathlib.Path) -> pathlib.Path:
    fabricate_classes.write_class_folder(root, each=1)
    (root / "val").mkdir()
    for i, name in enumerate(fabricate_classes.CLASSES):
        (root / f"val/v{i}.JPEG").write_bytes(fabricate_classes.jpeg(i))
        del name
    (root / "val.txt").write_text("v0.JPEG n01\nv1.JPEG n02\nv2.JPEG 2\n")
    (root / "words.txt").write_text("n01\tcat, tom cat\nn02\tdog\nn10\tcow\n")
    return root / "val.txt"


_CLASSES = by_reader("class_folder", train_split="train", eval_split="val", eval_list="")


# KITTI.


def _kitti(root: pathlib.Path) -> pathlib.Path:
    folder = fabricate.write_drive(root, 1, frames=range(2), scans=(0, 1))
    fabricate.write_fixes(root, {0: fabricate.fix(), 1: fabricate.fix(latitude=1e-5)})
    (root / "mine.txt").write_text(
        f"# two\n{fabricate.drive_name(1)} 0 l\n{fabricate.drive_name(1)} 1 l\n"
    )
    truth = root / fabricate.drive_name(1) / "proj_depth/groundtruth/image_02"
    truth.mkdir(parents=True)
    for frame in (0, 1):
        depth = np.full((fabricate.HEIGHT, fabricate.WIDTH), 256 * (5 + frame), np.uint16)
        assert cv2.imwrite(str(truth / f"{frame:010d}.png"), depth)
    return folder


def _in_kitti(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        return _kitti(root).parents[1] / file.format(drive=fabricate.drive_name(1))

    return make


def _by_kitti(truth: str, poses: bool = False) -> Callable[[pathlib.Path], None]:
    splits = {"train_split": "@mine.txt", "eval_split": "@mine.txt", "ground_truth": truth}
    views: dict[str, Any] = {"frames": (1,), "poses": True} if poses else {}
    return by_reader("kitti", truth_in_training=not poses, **splits, **views)


def _odometry(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        from tests.data.kitti import test_odometry

        test_odometry.write(root, count=3)
        return root / file

    return make


_ODOMETRY = by_reader(
    "kitti_odometry", train_split="00", eval_split="00", truth="none", poses=True, frames=(1,)
)


# Cityscapes, NYUv2 and flow.


def _cityscapes(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        fabricate_cityscapes.write_frame(root, "train", "aachen_000000_000019", 0)
        fabricate_cityscapes.write_frame(root, "val", "ulm_000000_000019", 1)
        return root / file

    return make


_CITYSCAPES = by_reader(
    "cityscapes_depth", train_split="train", eval_split="val", truth_in_training=True, stereo=True
)


def _mat(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        from tests.data import fabricate_nyu

        fabricate_nyu.write_mat(root / "nyu_depth_v2_labeled.mat", (3, 4))
        return root / file

    return make


_MAT_SPLITS = {"train_split": "pool", "eval_split": "train"}


def _read_mat(root: pathlib.Path) -> None:
    by_reader("nyu_depth", **_MAT_SPLITS)(root)
    by_reader("nyu", train_split="pool", eval_split="rest")(root)


def _nyu_depth_picture(root: pathlib.Path) -> pathlib.Path:
    fabricate_labels.nyu_folder(root, (3, 4))
    (root / "depths_u8").mkdir()
    for n in (3, 4):
        depth = np.full((fabricate_labels.HEIGHT, fabricate_labels.WIDTH), 20 + n, np.uint8)
        assert cv2.imwrite(str(root / f"depths_u8/{n:04d}.png"), depth)
    return root / "depths_u8/0003.png"


def _chairs(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        return fabricate_flow.chairs(root, (1, 2)) / file

    return make


_CHAIRS = by_reader("flying_chairs", train_split="train", eval_split="val", truth_in_training=True)


def _kitti_flow(root: pathlib.Path) -> pathlib.Path:
    return fabricate_flow.kitti(root, ("000000", "000001")) / "training/flow_occ/000000_10.png"


_KITTI_FLOW = by_reader("kitti_flow", train_split="all", eval_split="train", truth_in_training=True)


# Packs and data sets of tensorflow-datasets.


def _pack(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        make_pack(root / "pack")
        return next(iter((root / "pack").glob(file)))

    return make


def make_pack(folder: pathlib.Path, origin: str | None = None, **fields: np.ndarray) -> None:
    """A pack of two records; origin: JSON of where they come from; fields: of the records."""
    from geoseg_jax.data.packs import merge, packed, parts

    class Source(fabricate.NumberedSource):
        def __getitem__(self, index):
            return super().__getitem__(index) | fields

    records = {"records": 2, "parts": 1, "left_out": {}, "fingerprint": "0", "names": {}}
    plan = {
        "source": {"frames": [-1, 1]}, "height": HEIGHT, "width": WIDTH, "fit": "crop",
        "quality": 95, "views": [-1, 1], "bad_share": 0.0,
        "splits": {split: records for split in parts.SPLITS},
    }  # fmt: skip
    waiting = folder.with_name(folder.name + ".parts")
    waiting.mkdir(parents=True)
    for split in parts.SPLITS:
        part = parts.make_part(Source(2, shape=(HEIGHT, WIDTH)), 0, 95)
        for record in part.records if origin is not None else ():
            record["origin"] = origin
        parts.write_part(parts.part_path(waiting, split, 0), part)
    merge.merge(waiting, plan, folder)
    assert packed.read_pack(folder)


def in_array_record(number: int = 0) -> Part:
    """An entry of an array_record file, behind the hashes of its chunks."""

    def entries(good: bytes) -> list[bytes]:
        from array_record.python.array_record_module import ArrayRecordReader

        with tempfile.NamedTemporaryFile() as file:
            file.write(good)
            file.flush()
            reader = ArrayRecordReader(file.name)
            return list(reader.read_all())

    def put(good: bytes, mutated: bytes) -> bytes:
        from array_record.python.array_record_module import ArrayRecordWriter

        with tempfile.NamedTemporaryFile() as file:
            writer = ArrayRecordWriter(file.name, "group_size:1")
            for place, entry in enumerate(entries(good)):
                writer.write(mutated if place == number else entry)
            writer.close()
            return pathlib.Path(file.name).read_bytes()

    return Part(lambda good: entries(good)[number], put)


def _pack_part(root: pathlib.Path) -> pathlib.Path:
    make_pack(root / "pack")
    return root / "pack.parts/train-000000.npz"


def _read_pack_part(root: pathlib.Path) -> None:
    from geoseg_jax.data.packs import parts

    parts.read_part(root / "pack.parts/train-000000.npz")


_PACK = by_reader("packed", "pack", frames=(-1, 1), truth="depth")


def _of_pack(path: pathlib.Path) -> tuple[str, ...]:
    """A pack's files are many: what is damaged is told by the pack, and the record."""
    root = next(p for p in path.parents if p.name == "pack")
    return (str(root),)


def _tfds(file: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        return next(iter(fabricate_classes.write_tfds(root).glob(file)))

    return make


_TFDS = by_reader(
    "tfds", dataset="pets", train_split="train", eval_split="validation", central_share=0.9
)


def _of_tfds(path: pathlib.Path) -> tuple[str, ...]:
    return (str(path.parent), "pets:1.0.0", "pets/1.0.0")


# Videos.


def _video(
    name: str, codec: str, pixels: str = "yuv420p"
) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        import av

        from tests.data import fabricate_video

        path = root / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = HEIGHT * 2, WIDTH * 2, pixels
            for number in range(6):
                picture = fabricate_video.frame(2 * number, height=HEIGHT * 2, width=WIDTH * 2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return path

    return make


class _Videos:
    """Reads videos by one decoder, as a folder of them is read."""

    def __init__(self) -> None:
        self._decoder: Any = None

    def __call__(self, root: pathlib.Path) -> None:
        from geoseg_jax.data.video.decoder import Decoder

        self._decoder = self._decoder or Decoder()
        path = next(p for p in root.iterdir() if p.name.startswith("film"))
        for _ in self._decoder.decode(path)[1]:
            pass


def _camera(root: pathlib.Path) -> pathlib.Path:
    from tests.data import fabricate_video

    fabricate_video.write_folder(root / "clip", range(0, 12, 2), height=HEIGHT * 2, width=WIDTH * 2)
    (root / "clip/camera.txt").write_text("# pixels\n60 60\n31.5 15.5\n")
    return root / "clip/camera.txt"


_VIDEO_FOLDER = by_reader(
    "video", frames=(-1, 1), truth="none", frame_stride=1, min_motion=0.0, held_out=0.5, gap=0,
    intrinsics="given", calibration="camera.txt", cache_dir="",
)  # fmt: skip


# Weights.


def _weights(kind: str, name: str) -> Callable[[pathlib.Path], pathlib.Path]:
    def make(root: pathlib.Path) -> pathlib.Path:
        from tests.interop import resnets
        from tests.interop.test_reading import write

        return write(root / name, resnets.torchvision("tiny"), kind)

    return make


def _read_weights(root: pathlib.Path) -> None:
    from geoseg_jax.interop import read_weights

    read_weights(next(p for p in root.iterdir() if p.name.startswith("weights")))


def _our_weights(root: pathlib.Path) -> pathlib.Path:
    from geoseg_jax.interop import read_weights, write_weights

    path = _weights("zip", "x.pth")(root)
    write_weights(read_weights(path), root / "weights", "x.pth")
    return root / "weights/weights.safetensors"


def _vit_config(root: pathlib.Path) -> pathlib.Path:
    """What the hub has beside a ViT's file."""
    import functools

    import safetensors.numpy

    from geoseg_jax.models import encoders, vit
    from tests.interop import test_vits

    encoders.ENCODERS.setdefault("vit_mini", functools.partial(vit.ViTTiny, grid=14))
    arrays = {k: np.ascontiguousarray(v) for k, v in test_vits.timm().items()}
    safetensors.numpy.save_file(arrays, root / "weights.safetensors")
    content = {"pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (root / "config.json").write_text(json.dumps(content))
    return root / "config.json"


# What a run read, written down by itself.


def _reads(root: pathlib.Path) -> pathlib.Path:
    from geoseg_jax.data.provenance.reads import RunReads, reads_of

    reads = reads_of(fabricate.NumberedSource(2))
    path = root / "files.json"
    path.write_text(json.dumps(RunReads(reads, reads, (("w", reads),)).as_json()))
    return path


def _read_reads(root: pathlib.Path) -> None:
    from geoseg_jax.data.provenance.reads import read_run

    read_run(root / "files.json")


_DAY = fabricate.DATE


def _of_pair(path: pathlib.Path) -> tuple[str, ...]:
    """Names the picture, or its label, whose size may be another then."""
    return str(path), str(path.parents[1] / "labels" / path.stem)


_AACHEN = "{}/train/aachen/aachen_000000_000019_{}"

FORMATS: dict[str, Format] = {
    "picture.jpg": Format(_labelled(".jpg", "image"), _FOLDER, names=_of_pair),
    "picture.jpg exif": Format(_rotated, _FOLDER, names=_of_pair),
    "picture.png": Format(_labelled(".png", "image"), _FOLDER, names=_of_pair),
    "picture.png checked": Format(_labelled(".png", "image"), _FOLDER, CHECKED_PNG, _of_pair),
    "label.png ids": Format(_labelled(".jpg", "ids"), _FOLDER, CHECKED_PNG),
    "label.png colours": Format(_labelled(".jpg", "colours"), _FOLDER, CHECKED_PNG),
    "label.png palette": Format(_labelled(".jpg", "palette"), _FOLDER, CHECKED_PNG),
    "class list": Format(_class_list, _FOLDER),
    "name list": Format(
        _name_list, by_reader("folder", train_split="@mine.txt", eval_split="rest", classes="")
    ),
    "class of picture": Format(_class_folder, _CLASSES),
    "class words": Format(lambda root: _class_folder(root).with_name("words.txt"), _CLASSES),
    "kitti cam_to_cam": Format(_in_kitti(f"{_DAY}/calib_cam_to_cam.txt"), _by_kitti("velodyne")),
    "kitti velo_to_cam": Format(_in_kitti(f"{_DAY}/calib_velo_to_cam.txt"), _by_kitti("velodyne")),
    "kitti imu_to_velo": Format(
        _in_kitti(f"{_DAY}/calib_imu_to_velo.txt"), _by_kitti("velodyne", poses=True)
    ),
    "kitti oxts": Format(
        _in_kitti("{drive}/oxts/data/0000000000.txt"), _by_kitti("velodyne", poses=True)
    ),
    "kitti scan": Format(
        _in_kitti("{drive}/velodyne_points/data/0000000000.bin"), _by_kitti("velodyne")
    ),
    "kitti depth": Format(
        _in_kitti("{drive}/proj_depth/groundtruth/image_02/0000000000.png"),
        _by_kitti("improved"),
        CHECKED_PNG,
    ),
    "kitti split": Format(_in_kitti("mine.txt"), _by_kitti("velodyne")),
    "odometry calib": Format(_odometry("sequences/00/calib.txt"), _ODOMETRY),
    "odometry poses": Format(_odometry("poses/00.txt"), _ODOMETRY),
    "cityscapes camera": Format(_cityscapes(_AACHEN.format("camera", "camera.json")), _CITYSCAPES),
    "cityscapes disparity": Format(
        _cityscapes(_AACHEN.format("disparity", "disparity.png")), _CITYSCAPES, CHECKED_PNG
    ),
    "nyu mat": Format(_mat("nyu_depth_v2_labeled.mat"), _read_mat),
    "nyu numbers": Format(_mat("nyu_depth_v2_labeled_frames.txt"), _read_mat),
    "nyu depth": Format(_nyu_depth_picture, by_reader("nyu_depth", **_MAT_SPLITS), CHECKED_PNG),
    "flow.flo": Format(_chairs("data/00001_flow.flo"), _CHAIRS),
    "picture.ppm": Format(_chairs("data/00001_img1.ppm"), _CHAIRS),
    "chairs split": Format(
        _chairs("FlyingChairs_train_val.txt"),
        _CHAIRS,
        names=lambda path: (str(path), "config.data.train_split", "config.data.eval_split"),
    ),
    "kitti flow": Format(_kitti_flow, _KITTI_FLOW, CHECKED_PNG),
    "pack.json": Format(_pack("pack.json"), _PACK, names=_of_pack),
    "pack records": Format(_pack("train/*/*array_record*"), _PACK, names=_of_pack),
    "pack frames": Format(_pack("frames/*/*array_record*"), _PACK, names=_of_pack),
    "pack record": Format(
        _pack("train/*/*array_record*"), _PACK, in_array_record(), names=_of_pack
    ),
    "pack frame": Format(_pack("frames/*/*array_record*"), _PACK, in_array_record(), _of_pack),
    "pack array": Format(_pack("arrays/*/*array_record*"), _PACK, in_array_record(), _of_pack),
    "pack info": Format(_pack("train/*/dataset_info.json"), _PACK, names=_of_pack),
    "pack features": Format(_pack("train/*/features.json"), _PACK, names=_of_pack),
    "pack part": Format(_pack_part, _read_pack_part),
    "pack part records": Format(_pack_part, _read_pack_part, inside_zip("records.npy")),
    "tfds records": Format(_tfds("*train*array_record*"), _TFDS, names=_of_tfds),
    "tfds record": Format(_tfds("*train*array_record*"), _TFDS, in_array_record(), _of_tfds),
    "tfds info": Format(_tfds("dataset_info.json"), _TFDS, names=_of_tfds),
    "tfds features": Format(_tfds("features.json"), _TFDS, names=_of_tfds),
    "video.mp4": Format(_video("film.mp4", "mpeg4"), _Videos()),
    "video.mp4 h264": Format(_video("film.mp4", "libx264"), _Videos()),
    "video.avi": Format(_video("film.avi", "mpeg4"), _Videos()),
    "video.avi mjpeg": Format(_video("film.avi", "mjpeg", "yuvj420p"), _Videos()),
    "video.mkv": Format(_video("film.mkv", "mpeg4"), _Videos()),
    "video camera": Format(_camera, _VIDEO_FOLDER),
    "weights.pth": Format(_weights("zip", "weights.pth"), _read_weights),
    "weights.pth pickle": Format(
        _weights("zip", "weights.pth"), _read_weights, inside_zip("archive/data.pkl")
    ),
    "weights.pth legacy": Format(_weights("pickles", "weights.pth"), _read_weights),
    "weights.pth tar": Format(_weights("tar", "weights.pth"), _read_weights),
    "weights.safetensors": Format(_weights("", "weights.safetensors"), _read_weights),
    "weights converted": Format(_our_weights, _read_weights),
    "weights config.json": Format(
        _vit_config,
        _read_weights,
        names=lambda path: (str(path), str(path.with_name("weights.safetensors"))),
    ),
    "files.json": Format(_reads, _read_reads),
}
