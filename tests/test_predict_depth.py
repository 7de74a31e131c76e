"""Depth of a checkpoint as files: of a video, at its own size, in a format that others read."""

import json

import cv2
import jax
import numpy as np
import pytest

from geoseg_jax import predict
from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.data import pictures
from geoseg_jax.scoring import depth_files
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import TrainState
from tests.data.fabricate_video import HEIGHT, WIDTH, write_file, write_folder
from tests.test_configs import abstract_batch, get_config
from tests.test_predict import random_variables

COUNT = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("depth"))


def make_run(folder):
    """A run on two videos whose cameras were learned; its task and its variables."""
    for name, seed in (("a", 0), ("b", 1)):
        write_folder(folder / "videos" / name, range(0, 24, 2), seed)
    config = get_config("depth_video", "tiny,learned,resolution=64x32")
    config.model.pose_encoder = "tiny"
    config.data.update({"root": str(folder / "videos"), "cache_dir": str(folder / "cache")})
    config.data.update({"gap": 0, "held_out": 0.25})
    task = make_task(config)
    variables = random_variables(task, abstract_batch(config), seed=0)
    two = {name: np.repeat(v, 2) for name, v in variables["params"]["intrinsics"].items()}
    variables["params"]["intrinsics"] = two
    manager = checkpoints.Checkpoints(folder / "run" / "checkpoints")
    state = TrainState(np.asarray(1), **variables, opt_state={"count": np.zeros(())})
    manager.save(1, state, {"config": settings.plain(config), "data": "", "best": None})
    manager.close()
    json_files.write_json(folder / "run" / "config.json", settings.plain(config))
    return folder / "run", task, variables


def test_a_video_file_becomes_depths_at_its_own_size(run, tmp_path):
    workdir, *_ = run
    write_file(tmp_path / "mine.mp4", COUNT)
    arguments = ["--workdir", str(workdir), "--images", str(tmp_path / "mine.mp4")]
    arguments += ["--batch_size=2"]
    assert predict.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    names = [path.name for path in sorted((tmp_path / "out" / "depth").iterdir())]
    assert names == [f"{i:06d}.png" for i in range(COUNT)]
    for name in names:
        depth = pictures.read_depth_picture(tmp_path / "out" / "depth" / name)  # as KITTI's
        assert depth.shape == (HEIGHT, WIDTH)
        assert depth.min() > 0
        assert cv2.imread(str(tmp_path / "out" / "colour" / name)).shape == (HEIGHT, WIDTH, 3)
    papers = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert papers["unit"] == "metres, up to a common factor"
    assert papers["pictures"] == COUNT


def test_a_split_of_videos_keeps_their_names(run, tmp_path):
    workdir, task, variables = run
    assert predict.predict(workdir, tmp_path, say=lambda text: None) == 2
    (first, second) = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("depth/*/*.png"))
    assert (str(first), str(second)) == ("depth/a/11.png", "depth/b/11.png")
    picture = cv2.imread(str(workdir.parent / "videos" / "a" / "11.png"))
    image = np.stack([pictures.to_rgb(pictures.resize(picture, 32, 64))] * 2)
    inverse = jax.jit(task.predict)(variables, {"image": image})["inverse_depth"][0]
    expected = 1 / cv2.resize(np.asarray(inverse), (WIDTH, HEIGHT))
    written = pictures.read_depth_picture(tmp_path / first)
    np.testing.assert_allclose(written, expected, atol=0.5 / 256, rtol=1e-4)


def test_depth_ends_where_sixteen_bits_do(tmp_path):
    inverse = np.array([[1e-9, 1 / 300.0, 0.1, 1e4]], np.float32)
    path = depth_files.write_depth(tmp_path, "street/1", inverse)
    assert path == tmp_path / "depth" / "street" / "1.png"
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tolist() == [[65535, 65535, 2560, 1]]
    colours = depth_files.colour(inverse).astype(int).sum(-1)[0]
    assert colours[3] > colours[2] >= colours[0]
