"""What predict writes on demand: overlays, videos, numbers, points, flow."""

import json
import shutil

import av
import cv2
import jax
import numpy as np
import pytest

from geoseg_jax import predict
from geoseg_jax.config import settings
from geoseg_jax.core import json_files
from geoseg_jax.data import pictures
from geoseg_jax.data.annotations.overlays import mix
from geoseg_jax.data.flow.files import read_kitti_flow
from geoseg_jax.data.labels.table import label_table
from geoseg_jax.prediction import run
from geoseg_jax.tasks import make_task
from geoseg_jax.training import checkpoints
from geoseg_jax.training.state import TrainState
from tests import test_predict, test_predict_depth
from tests.data.fabricate_video import HEIGHT, WIDTH, write_file, write_folder
from tests.test_configs import abstract_batch, get_config
from tests.test_predict import random_variables


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extras")
    segmentation = test_predict.make_run(folder / "segmentation")
    depth, *_ = test_predict_depth.make_run(folder / "depth")
    return {"label": segmentation, "depth": depth, "flow": make_flow_run(folder / "flow")}


def make_flow_run(folder):
    config = get_config("flow_synthetic", "paper,tiny")
    config.data.update({"height": 32, "width": 64})
    task = make_task(config)
    variables = random_variables(task, abstract_batch(config), seed=0)
    manager = checkpoints.Checkpoints(folder / "checkpoints")
    state = TrainState(np.asarray(1), **variables, opt_state={"count": np.zeros(())})
    manager.save(1, state, {"config": settings.plain(config), "data": "", "best": None})
    manager.close()
    json_files.write_json(folder / "config.json", settings.plain(config))
    return folder


def call(workdir, out, *words):
    flags = ["--workdir", str(workdir), "--out", str(out), *map(str, words)]
    assert predict.main(flags) == 0
    return json.loads((out / "predictions.json").read_text())


def numbers(path):
    return np.load(path, allow_pickle=False)


def picture(path):
    return cv2.imread(str(path))[..., ::-1]


def film(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, float(stream.average_rate)


def test_labels_of_a_video(runs, tmp_path):
    write_file(tmp_path / "mine.mp4", 3)
    words = ("--images", tmp_path / "mine.mp4", "--overlays", "--video", "--npy")
    call(runs["label"], tmp_path, *words)
    frames, rate = film(tmp_path / "video" / "mine.mp4")
    assert (len(frames), rate) == (3, 10.0)
    legend = {tuple(colour) for row in picture(tmp_path / "legend.png") for colour in row.tolist()}
    assert legend >= set(label_table("camvid").palette)
    for i, shown in enumerate(frames):
        labels = numbers(tmp_path / "npy" / f"{i:06d}.npy")
        assert (labels.shape, labels.dtype) == ((HEIGHT, WIDTH), np.uint8)
        stored = cv2.imread(str(tmp_path / "labels" / f"{i:06d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(stored, labels)  # CamVid's ids are its train ids
        overlay = picture(tmp_path / "overlay" / f"{i:06d}.png")
        grey = np.full((HEIGHT, WIDTH, 3), 20 * i, np.uint8)  # as write_file has it
        expected = mix(grey[..., ::-1], labels, label_table("camvid"))[..., ::-1]
        assert np.abs(overlay.astype(int) - expected).max() <= 3  # the video's compression
        assert np.abs(shown.astype(int) - overlay).mean() < 12


def test_a_folder_of_frames_becomes_a_video_by_its_rate(runs, tmp_path):
    write_folder(tmp_path / "walk", range(0, 8, 2))
    call(runs["depth"], tmp_path, "--images", tmp_path / "walk", "--video", "--fps=12")
    frames, rate = film(tmp_path / "video" / "walk.mp4")
    assert (len(frames), rate, frames[0].shape) == (4, 12.0, (2 * HEIGHT, WIDTH, 3))
    assert not (tmp_path / "overlay").exists()
    first = picture(tmp_path / "walk" / "1.png")
    assert np.abs(frames[0][:HEIGHT].astype(int) - first).mean() < 12


def test_the_scale_of_a_video_is_told(runs, tmp_path):
    write_file(tmp_path / "mine.mp4", 3)
    words = ("--images", tmp_path / "mine.mp4", "--npy", "--batch_size=2")
    told = call(runs["depth"], tmp_path, *words)["full_strength"]
    assert told["is"] == "the 95th percentile of 1 / depth"
    every = np.concatenate([1 / numbers(p).ravel() for p in (tmp_path / "npy").iterdir()])
    assert told["of"] == {"mine": pytest.approx(np.percentile(every, 95), rel=0.1)}
    told = call(runs["depth"], tmp_path / "b", "--images", runs["depth"].parent / "videos" / "a")
    assert "full_strength" not in told


def points(path):
    header, data = path.read_bytes().split(b"end_header\n")
    kinds = [("xyz", "<f4", 3), ("rgb", "u1", 3)]
    return np.frombuffer(data, kinds), header.decode().split("vertex ")[1].split()[0]


def test_points_of_a_depth_picture(runs, tmp_path):
    write_folder(tmp_path / "walk", [0])
    words = ("--images", tmp_path / "walk" / "1.png", "--ply", "--npy")
    told = call(runs["depth"], tmp_path, *words, "--fov=90")
    assert told["camera"] == "fov 90"
    found, count = points(tmp_path / "points" / "1.ply")
    assert int(count) == len(found) == HEIGHT * WIDTH
    depth = numbers(tmp_path / "npy" / "1.npy")
    np.testing.assert_allclose(found["xyz"][:, 2], depth.ravel(), rtol=1e-6)
    # 90 degrees: the border lies as far to the side as it is away, half a pixel further out.
    reach = depth[:, 0] * (WIDTH / 2 - 0.5) / (WIDTH / 2)
    np.testing.assert_allclose(found["xyz"].reshape(HEIGHT, WIDTH, 3)[:, 0, 0], -reach, rtol=1e-5)
    original = picture(tmp_path / "walk" / "1.png")
    np.testing.assert_array_equal(found["rgb"].reshape(HEIGHT, WIDTH, 3), original)
    call(runs["depth"], tmp_path, *words, "--camera=0.5 1 0.5 0.5")
    np.testing.assert_allclose(points(tmp_path / "points" / "1.ply")[0]["xyz"], found["xyz"])


def test_the_runs_own_camera(runs, tmp_path):
    """Of a split each video's; of one's own pictures that of a run which learned a single one."""
    told = call(runs["depth"], tmp_path / "split", "--ply", "--npy")
    assert told["camera"] == "learned by the run"
    variables = checkpoints.read_variables(runs["depth"] / "checkpoints" / "1")
    learned = {k: np.asarray(v) for k, v in variables["params"]["intrinsics"].items()}
    focal = np.log1p(np.exp(learned["focal_x"][0])) * WIDTH
    centre = (WIDTH - 1) / 2 + learned["offset_x"][0] * WIDTH
    xyz = points(tmp_path / "split" / "points" / "a" / "11.ply")[0]["xyz"]
    x = (xyz[:, 0] / xyz[:, 2]).reshape(HEIGHT, WIDTH)
    np.testing.assert_allclose(x[5], (np.arange(WIDTH) - centre) / focal, rtol=1e-4, atol=1e-4)
    single = tmp_path / "run"
    shutil.copytree(runs["depth"], single)
    one = {name: value[:1] for name, value in learned.items()}
    manager = checkpoints.Checkpoints(single / "checkpoints")
    params = variables["params"] | {"intrinsics": one}
    state = TrainState(np.asarray(2), params, variables["batch_stats"], {"count": np.zeros(())})
    meta = checkpoints.read_meta(single / "checkpoints" / "1")
    manager.save(2, state, meta)
    manager.close()
    frame = runs["depth"].parent / "videos" / "a" / "11.png"
    told = call(single, tmp_path / "own", "--images", frame, "--ply")
    assert told["camera"] == "learned by the run"
    found = points(tmp_path / "own" / "points" / "11.ply")[0]["xyz"]
    np.testing.assert_allclose(found, xyz, rtol=1e-4, atol=1e-4)


def test_flow_from_frame_to_frame(runs, tmp_path):
    write_folder(tmp_path / "walk", range(0, 8, 2))
    words = ("--images", tmp_path / "walk", "--npy", "--flo", "--overlays")
    told = call(runs["flow"], tmp_path, *words)
    assert told["unit"] == "pixels of the picture, to the next frame"
    assert sorted(p.name for p in (tmp_path / "flow").glob("*.flo")) == ["1.flo", "2.flo", "3.flo"]
    task = make_task(run.read_config(runs["flow"]))
    frames = [pictures.resize(picture(tmp_path / "walk" / f"{i}.png"), 32, 64) for i in (1, 2)]
    batch = {"image": frames[0][None], "sources": frames[1][None, None]}
    variables = checkpoints.read_variables(runs["flow"] / "checkpoints" / "1")
    small = np.asarray(jax.jit(task.predict)(variables, batch)["flow"][0])
    expected = cv2.resize(small, (WIDTH, HEIGHT)) * [WIDTH / 64, HEIGHT / 32]
    assert np.ptp(expected) > 1
    raw = numbers(tmp_path / "npy" / "1.npy")
    np.testing.assert_allclose(raw, expected, atol=1e-3)
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(tmp_path / "flow" / "1.flo")), raw)
    flow, known = read_kitti_flow(tmp_path / "flow" / "1.png")
    assert known.all()
    np.testing.assert_allclose(flow, raw, atol=1 / 128)
    assert picture(tmp_path / "overlay" / "1.png").shape == (2 * HEIGHT, WIDTH, 3)
    assert picture(tmp_path / "colour" / "1.png").std() > 1


BAD = {
    "points of labels": ("label", ["--ply"], "--ply is for runs of depth"),
    "flo of labels": ("label", ["--flo"], "--flo is for runs of flow"),
    "a split's video": ("label", ["--video"], "a split is no video"),
    "no video": ("label", ["--video", "--images", "{walk}"], "give --fps=RATE"),
    "within": ("label", ["--images", "{walk}/.."], "is within --images="),
    "too slow": ("label", ["--fps=0.0004", "--images", "{walk}"], "--fps is from 0.001"),
    "no rate": ("label", ["--fps=0", "--images", "{walk}"], "--fps is from"),
    "which camera": ("depth", ["--ply", "--images", "{walk}"], "has learned 2 cameras"),
    "no points": ("depth", ["--fov=60", "--images", "{walk}"], "go with --ply"),
    "bad camera": ("depth", ["--ply", "--camera=1 2", "--images", "{walk}"], "--camera='1 2'"),
    "one frame": ("flow", ["--images", "{walk}/1.png"], "flow is of two pictures"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(runs, tmp_path, capsys, name):
    write_folder(tmp_path / "walk", (0, 1))
    kind, words, message = BAD[name]
    words = [word.format(walk=tmp_path / "walk") for word in words]
    flags = ["--workdir", str(runs[kind]), "--out", str(tmp_path / "out"), *words]
    assert predict.main(flags) == 1
    error = capsys.readouterr().err
    assert (error[:7], error.count("\n")) == ("error: ", 1)
    assert message in error
    assert not (tmp_path / "out" / "predictions.json").exists()
