"""Self-supervised depth from any video, by a camera that nobody calibrated: pre-train on your own.

    python -m geoseg_jax.main --config=configs/depth_video.py --workdir=W --config.data.root=ROOT

ROOT is a folder of frames, a video file (.mp4, .mov, ...), or a folder of such folders and files,
each with a camera of its own. What works: a camera that moves forward or sideways through a scene
that mostly stands still, with a bend or a shake now and then, at a fixed zoom. Frames in which it
moved by less than config.data.min_motion, a share of the width, since the last one kept are left
out; config.data.frame_stride=2 halves the frames before that, where there are plenty.

Losses and networks: monodepth2 (Godard et al., ICCV 2019). Intrinsics: learned, one set for each
video (Gordon et al., "Depth from Videos in the Wild", ICCV 2019; Li et al., CoRL 2020).

Options behind the colon: those of geoseg_jax/presets/depth.py, and
  focal        (the default) one focal length is learned, pixels are square and the optical axis is
               in the middle: how structure from motion starts as well, since in a video that goes
               straight on the axis can hardly be told from how the camera is turned
  learned      two focal lengths and the principal point, all that the papers learn
  fov=60       with the word `assumed`: the horizontal field of view, in degrees, is just this;
               otherwise where learning starts
  assumed      nothing is learned of the camera
  given        config.data.calibration="fx fy cx cy", shares of width and height, or a text file of
               these in pixels, beside the video or elsewhere
  resolution=512x288

There is no ground truth. eval.json has the photometric error on held-out frames (the last
tenth of each video) beside that of a depth map without relief and of the unmoved sources, and the
focal length as a share of the width (`focal_x`: 0.87 is 60 degrees, 0.5 is 90). Expect the first to
fall below the other two, and look at the pictures. Both parts are of the same videos, as the log
notes: another video would score less. The papers find depth on
KITTI to be as good with learned intrinsics as with given ones, which is not yet reproduced here.
Hardware: any; an hour of video wants a GPU, on which it was not timed here. On a CPU, try it with
:resolution=224x128 first: 300 steps of 4 took 27 minutes on a core (docs/arms.md).
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import depth, preset, sections
from geoseg_jax.presets.argument import Option

CAMERA = Option(
    ("focal", "learned", "assumed", "given"),
    "one focal length is learned; all four numbers are; none is, see fov; config.data.calibration",
)
SIZE = sections.RESIZED._replace(default="512x288")
FOV = Option(60.0, "horizontal field of view, degrees: assumed, or where learning starts")


def get_config(arg: str = "") -> ConfigDict:
    more = {"views": ("mono",), "camera": CAMERA, "fov": FOV, "resolution": SIZE}
    return preset.build(depth.PRESET, arg, "depth_video.py", _set_up, **more)


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "video", "root": "", "cache_dir": "", "truth": "none"})
    config.data.update({"frame_stride": 1, "min_motion": 0.003, "held_out": 0.1, "gap": 5})
    camera = options["camera"]
    config.data.intrinsics = "given" if camera == "given" else "fov"
    config.data.update({"fov": options["fov"], "calibration": ""})
    config.task.initial_fov = options["fov"]
    if camera in ("learned", "focal"):
        config.task.intrinsics = camera
        # One number would move as slowly as any one of a network's millions, were it not for this.
        config.optimizer.rules = (("intrinsics/focal.*", 10.0),)
    config.train.update({"steps": 20_000, "best_metric": "photometric"})
