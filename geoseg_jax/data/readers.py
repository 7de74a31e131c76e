"""All readers of data: a new one is a file with its record, and a line here."""

from geoseg_jax.core.near_miss import did_you_mean
from geoseg_jax.core.plugins import Registry
from geoseg_jax.data import picture_folder
from geoseg_jax.data.cityscapes import depth as cityscapes_depth
from geoseg_jax.data.cityscapes import semantics as cityscapes
from geoseg_jax.data.classes import folder as class_folder
from geoseg_jax.data.classes import tfds
from geoseg_jax.data.flow import flying_chairs, middlebury
from geoseg_jax.data.kitti import flow as kitti_flow
from geoseg_jax.data.kitti import odometry as kitti_odometry
from geoseg_jax.data.kitti import raw as kitti
from geoseg_jax.data.kitti import semantics as kitti_semantics
from geoseg_jax.data.labels import ade20k, camvid, coco_stuff, folder, pascal_context, voc
from geoseg_jax.data.nyu import depth as nyu_depth
from geoseg_jax.data.nyu import folder as nyu
from geoseg_jax.data.packs import packed
from geoseg_jax.data.reader import Reader
from geoseg_jax.data.source import DataError
from geoseg_jax.data.synthetic import classification as synthetic_objects
from geoseg_jax.data.synthetic import segmentation as synthetic_segmentation
from geoseg_jax.data.synthetic import views as synthetic
from geoseg_jax.data.video import source as video

READERS: Registry[Reader] = Registry(
    "geoseg_jax.readers",
    {
        "kitti": kitti.READER,
        "kitti_odometry": kitti_odometry.READER,
        "cityscapes_depth": cityscapes_depth.READER,
        "nyu_depth": nyu_depth.READER,
        "kitti_flow": kitti_flow.READER,
        "middlebury": middlebury.READER,
        "flying_chairs": flying_chairs.READER,
        "synthetic": synthetic.READER,
        "video": video.READER,
        "synthetic_objects": synthetic_objects.READER,
        "class_folder": class_folder.READER,
        "tfds": tfds.READER,
        "pictures": picture_folder.READER,
        "packed": packed.READER,
        "kitti_semantics": kitti_semantics.READER,
        "cityscapes": cityscapes.READER,
        "nyu": nyu.READER,
        "camvid": camvid.READER,
        "voc": voc.READER,
        "ade20k": ade20k.READER,
        "pascal_context": pascal_context.READER,
        "coco_stuff": coco_stuff.READER,
        "folder": folder.READER,
        "synthetic_segmentation": synthetic_segmentation.READER,
    },
)


def find_reader(name: str, key: str = "name") -> Reader:
    """Returns the reader that config.data.name, or another `key`, asks for.

    Raises DataError for an unknown name, with the near miss.
    """
    if name not in READERS:
        hint = did_you_mean(name, READERS)
        raise DataError(f"config.data.{key}={name!r} is none of {', '.join(READERS)}{hint}")
    return READERS[name]
