"""Inpainting on the frames of one's own videos: the control arm beside depth_video.py.

    python -m geoseg_jax.main --config=configs/reconstruct_video.py --workdir=W \
        --config.data.root=ROOT

ROOT and the frames taken from it are those of depth_video.py: a folder of frames, a video file, or
a folder of both; still frames are left out, and the last tenth of each video is held out for
evaluation. So depth and inpainting see the same pictures and differ only in what they predict.
Options behind the colon: geoseg_jax/presets/reconstruction.py, and resolution=512x288.
What to expect: eval.json has `l1` within the holes beside the best single colour of the picture
(`l1_constant`) and the mean of a hole's surroundings (`l1_surroundings`), the number to beat.
Hardware: any; an hour of video wants a GPU.
"""

from ml_collections import ConfigDict

from geoseg_jax.presets import preset, reconstruction, sections

SIZE = sections.RESIZED._replace(default="512x288")


def get_config(arg: str = "") -> ConfigDict:
    return preset.build(
        reconstruction.PRESET, arg, "reconstruct_video.py", _set_up, resolution=SIZE
    )


def _set_up(config: ConfigDict, options: preset.Options) -> None:
    config.data.update({"name": "video", "root": "", "cache_dir": ""})
    config.data.update({"frame_stride": 1, "min_motion": 0.003, "held_out": 0.1, "gap": 5})
    # Every video comes with a camera, which this task does not look at.
    config.data.update({"intrinsics": "fov", "fov": 60.0})
    config.train.steps = 20_000
