"""The flow task against values by hand, fields optimised without a network, and devices."""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from geoseg_jax.config.check import check
from geoseg_jax.core.setting import ConfigError
from geoseg_jax.ops.sampling import reduce_mean
from geoseg_jax.presets import flow as preset
from geoseg_jax.presets.preset import build
from geoseg_jax.tasks import flow as task_flow
from geoseg_jax.tasks import flow_scores, make_task
from geoseg_jax.tasks.flow_distillation import distillation_loss, ramp
from geoseg_jax.tasks.flow_photometric import photometric_loss
from tests.one_step import assert_equal_on_eight_devices

RANDOM = np.random.default_rng(0)
SIZE = (32, 64)


def make_config(arg: str, **changes) -> ConfigDict:
    """A preset with the smallest networks."""
    config = build(preset.PRESET, arg, "test.py")
    config.data.update({"name": "synthetic", "world": "street", "seed": 0, "train_size": 8})
    config.data.update({"eval_size": 8, "height": SIZE[0], "width": SIZE[1]})
    if config.model.flow == "pyramid":
        small = {"flow_layers": (4,), "flow_context_layers": 1, "flow_radius": 1, "flow_width": 4}
        config.model.update(small)
    elif "decoder_channels" in config.model:
        config.model.decoder_channels = (4, 4, 4, 4, 4)
    config.train.steps = 4
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("__", "."): value})
    return config


def shifted(count: int, shift=(3, 1), size=SIZE):
    """Smooth pictures and the same moved by `shift` = (dx, dy) pixels: uint8 [N, H, W, 3] twice."""
    height, width = size
    margin = 8
    noise = RANDOM.random((count, height + 2 * margin, width + 2 * margin, 3))
    for axis in (1, 2):
        noise = sum(np.roll(noise, k, axis) for k in range(-2, 3)) / 5
    noise = (noise - noise.min()) / (noise.max() - noise.min()) * 255

    def window(dx, dy):
        rows = slice(margin - dy, margin - dy + height)
        return noise[:, rows, margin - dx : margin - dx + width].astype(np.uint8)

    return window(0, 0), window(*shift)


def make_batch(count: int = 8, shift=(3, 1)) -> dict[str, np.ndarray]:
    first, second = shifted(count, shift)
    flow = np.broadcast_to(np.float32(shift), (count, *SIZE, 2))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    seen = (x + shift[0] < SIZE[1]) & (y + shift[1] < SIZE[0])
    return {
        "image": first,
        "sources": second[:, None],
        "flow": np.ascontiguousarray(flow),
        "flow_valid": np.ones((count, *SIZE), bool),
        "flow_visible": np.broadcast_to(seen, (count, *SIZE)).copy(),
        "constant_flow": np.ascontiguousarray(flow / 2),
        "id": np.arange(count, dtype=np.int32),
        "mask": np.ones(count, bool),
    }


def photometric(config, frames):
    """flows -> (loss, terms), compiled."""
    return jax.jit(lambda *flows: photometric_loss(flows, frames, config.task))


@pytest.mark.parametrize("arg", ["strong,tiny", "paper,tiny"])
def test_of_all_translations_the_true_one_costs_least(arg):
    config = make_config(arg, task__scale_weights=(1.0,))
    batch = make_batch(1)
    frames = jnp.stack((batch["image"], batch["sources"][:, 0]), axis=1) / 255

    def loss(u, v):
        there = jnp.broadcast_to(jnp.stack((u, v)), (1, 1, *SIZE, 2))
        flows = jnp.concatenate((there, -there), axis=1)
        flow = flows if config.task.bidirectional else there
        return photometric_loss((flow,), frames, config.task)[0]

    u, v = (x.ravel() for x in np.mgrid[1:6, -1:4].astype(np.float32))
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1))))(u, v)
    best = int(np.argmin(values))
    assert (u[best], v[best]) == (3, 1)
    assert values[best] < 0.5 * np.sort(values)[1]
    # Beside it the slope leads there. (At whole pixels it is that of the cell to the right.)
    for place, sign in (((2, 1), -1), ((4, 1), 1)):
        index = int(np.argwhere((u == place[0]) & (v == place[1]))[0, 0])
        assert sign * slopes[0][index] > 0


def test_on_reduced_pictures_the_slope_leads_from_further_away():
    """Flows at a quarter of the size, off by 7 pixels: beyond a census patch of the picture."""
    size, true = (64, 128), 8
    config = make_config("strong,tiny", task__scale_weights=(0.0,), task__coarse_weights=(1.0,))
    first, second = shifted(1, (true, 0), size)
    frames = jnp.stack((first, second), axis=1) / 255

    def loss(u):
        there = jnp.broadcast_to(jnp.stack((u, 0 * u)), (1, 1, size[0] // 4, size[1] // 4, 2))
        flows = jnp.concatenate((there, -there), axis=1)
        return photometric_loss((flows,), frames, config.task)[0]

    u = jnp.asarray([1.0, 8.0, 15.0])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(u)
    assert values[1] < 0.5 * min(values[0], values[2])
    assert slopes[0] < 0 < slopes[2]


def test_coarse_flows_are_seen_on_pictures_of_any_size_up_to_the_whole():
    """A flow at a quarter of the size counts on whole pictures as scale_weights has it."""
    frames = jnp.asarray(RANDOM.random((1, 2, *SIZE, 3)), jnp.float32)
    flows = jnp.asarray(RANDOM.normal(0, 2, (1, 2, SIZE[0] // 4, SIZE[1] // 4, 2)), jnp.float32)

    def data(**weights):
        changes = {f"task__{key}": value for key, value in weights.items()}
        config = make_config("strong,tiny", task__occlusion="none", **changes)
        return float(photometric(config, frames)(flows)[1]["data"])

    whole = data(scale_weights=(1.0,))
    for zoom in (4, 8):
        coarse = data(scale_weights=(0.0,), coarse_weights=(1.0,), coarse_zoom=zoom)
        assert coarse == pytest.approx(whole, rel=1e-6)
    halves = frames.reshape(1, 2, SIZE[0] // 2, 2, SIZE[1] // 2, 2, 3).mean(axis=(3, 5))
    half = photometric(make_config("strong,tiny", task__occlusion="none"), halves)(flows / 2)[1]
    coarse = data(scale_weights=(0.0,), coarse_weights=(1.0,), coarse_zoom=2)
    assert coarse == pytest.approx(float(half["data"]), rel=1e-5)


@pytest.mark.parametrize(
    ("scale", "coarse", "times"),
    [((1.0,), (), 1.0), ((0.0,), (1.0,), 1.0), ((), (0.5,), 0.5), ((0.25,), (0.5,), 0.75)],
)
def test_a_flow_is_as_smooth_as_it_is_counted(scale, coarse, times):
    """By hand: u = x^2 / 8 of the map's pixels has second differences of 1/4."""
    changes = {"task__scale_weights": scale, "task__coarse_weights": coarse}
    config = make_config("strong,tiny", task__occlusion="none", **changes)
    frames = jnp.full((1, 2, *SIZE, 3), 0.5)
    _, x = np.mgrid[:8, :16].astype(np.float32)
    flow = jnp.asarray(np.stack((4 * x**2 / 8, 0 * x), axis=-1))[None, None]
    both = jnp.concatenate((flow, flow), axis=1)
    value, terms = photometric(config, frames)(both)
    assert float(terms["smoothness"]) == pytest.approx(times * (0.25 + 0.003), rel=1e-3)
    weighted = config.task.smoothness * float(terms["smoothness"])
    assert float(value) == pytest.approx(float(terms["data"]) + weighted, rel=1e-6)


def test_no_flow_trained_is_an_error():
    config = make_config("strong,tiny", task__scale_weights=(0.0,))
    frames = jnp.full((1, 2, *SIZE, 3), 0.5)
    with pytest.raises(ValueError, match="train no flow; have one of them above 0"):
        photometric_loss((constant_flows((1.0, 0.0)),), frames, config.task)


def test_a_scale_too_small_for_a_census_is_refused():
    config = make_config("strong,tiny", task__scale_weights=(0.0,), task__coarse_weights=(1.0,))
    flow = jnp.zeros((1, 2, 4, 8, 2))
    frames = jnp.full((1, 2, *SIZE, 3), 0.5)
    with pytest.raises(ValueError, match=r"pictures of 8x4: set its weight to 0, or raise config"):
        photometric_loss((flow,), frames, config.task)
    config.task.coarse_zoom = 2
    photometric_loss((flow,), frames, config.task)


@pytest.mark.parametrize(
    ("arg", "scales", "coarse", "flows"),
    [("paper,tiny", 2, 2, 2), ("paper,tiny", 2, 3, 2), ("strong,tiny", 1, 4, 4),
     ("strong,tiny", 1, 5, 4)],
)  # fmt: skip
def test_no_weight_is_left_over(arg, scales, coarse, flows):
    weights = {"task__scale_weights": (1.0,) * scales, "task__coarse_weights": (0.5,) * coarse}
    config = make_config(arg, **weights)
    if coarse <= flows:
        task_flow.make(config)
        return
    with pytest.raises(ValueError, match=rf"coarse_weights=\(0.5, .*has {flows} flows.*drop the"):
        task_flow.make(config)


def test_paper_counts_smoothness_in_shares_of_the_sides():
    config = make_config("paper,tiny")
    frames = jnp.full((1, 2, *SIZE, 3), 0.5)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    flow = jnp.asarray(np.stack((2 * x, -y), axis=-1))[None, None]
    value, terms = photometric(config, frames)(*[flow] * 4)
    # u grows by 2 a column, 2 / 64 of the width; v falls by 1 a row, 1 / 32 of the height.
    per_scale = 2 / 64 + 1 / 32
    assert float(terms["smoothness"]) == pytest.approx(per_scale * (1 + 0.5 + 0.25 + 0.125))
    assert float(terms["data"]) == pytest.approx(0, abs=1e-6)
    # Public code: 2.0 beside errors that are summed over three channels.
    assert float(value) == pytest.approx(2.0 / 3 * float(terms["smoothness"]))
    assert float(terms["visible"]) == 1


def test_strong_counts_smoothness_on_its_own_map_and_hides_what_leaves():
    config = make_config("strong,tiny")
    frames = jnp.full((1, 2, *SIZE, 3), 0.5)
    _, x = np.mgrid[:8, :16].astype(np.float32)
    # Half a square of the column: second differences of 1 map pixel = 4 picture pixels.
    curved = jnp.asarray(np.stack((2 * x**2, 0 * x), axis=-1))[None, None]
    both = jnp.concatenate((curved, curved), axis=1)
    run = photometric(config, frames)
    _, terms = run(both)
    assert float(terms["smoothness"]) == pytest.approx(1.0 + 3 * 0.001, rel=1e-3)
    away = jnp.full((1, 2, 8, 16, 2), 100.0)
    assert float(run(away)[1]["visible"]) == 0
    # There and back they disagree by 8 pixels: hidden pixels, and what leaves, count at first.
    disagreeing = jnp.full((1, 2, 8, 16, 2), jnp.asarray([4.0, 0.0]))
    assert float(run(disagreeing)[1]["visible"]) == 0
    first = jax.jit(lambda flow: photometric_loss((flow,), frames, config.task, False)[1])
    assert float(first(disagreeing)["visible"]) == float(first(away)["visible"]) == 1


def constant_flows(value, shape=(1, 2, 8, 16, 2)):
    """[B, 2, h, w, 2]: `value` = (u, v) pixels there, and its opposite back."""
    flow = jnp.broadcast_to(jnp.asarray(value, jnp.float32), shape)
    return flow * jnp.asarray([1.0, -1.0])[:, None, None, None]


def test_what_the_window_cannot_know_is_taught():
    height, width = 32, 64
    frames = jnp.zeros((1, 2, height, width, 3))
    margin = 0.125  # 4 rows, 8 columns: the window is enlarged by 4 / 3
    teacher = constant_flows((3.0, 0.0))

    @jax.jit
    def loss(flows, taught=teacher):
        return distillation_loss(lambda _: taught, lambda _: flows, frames, frames, margin)

    right = constant_flows((4.0, 0.0))
    # There and back agree: the student is sure, and left alone. Columns near the border, which
    # leave the picture, are taught that they are right.
    assert float(loss(right)) < 1e-3
    unsure = right.at[:, 1].set(0.0)
    moved = constant_flows((0.0, 0.0)).at[:, 1].set(8.0)
    assert float(loss(moved)) > 5 * float(loss(unsure)) > 0
    slope, of_teacher = jax.jit(jax.grad(loss, argnums=(0, 1)))(moved, teacher)
    assert np.abs(slope).max() > 0
    assert (of_teacher == 0).all()
    # Who is unsure of itself teaches nothing.
    assert float(loss(moved, teacher.at[:, 1].set(5.0))) < 1e-6


def test_distillation_counts_as_in_uflow():
    """By hand: nobody is sure but the teacher, and the student is off by 8 and 4 pixels.

    UFlow's public code sums sqrt(d^2 + 0.001^2) of u and v of the map at a quarter of the size,
    takes the mean over pixels, then over the two directions, and weighs it by 0.6.
    """
    frames = jnp.zeros((1, 2, 32, 64, 3))
    still = jnp.zeros((1, 2, 8, 16, 2))
    student = jnp.full_like(still, 0.0) + jnp.asarray([8.0, 4.0])
    loss = jax.jit(lambda s: distillation_loss(lambda _: still, lambda _: s, frames, frames, 0.1))
    # There and back are 16 and 8 apart, which nobody is sure of: exp(-(320 / (0.03^2 * 5120))).
    assert float(loss(student)) == pytest.approx(8 / 4 + 4 / 4, rel=1e-4)
    assert make_config("strong").task.distillation.weight == 0.6


@pytest.mark.parametrize("stride", [1, 2])
def test_a_finer_flow_is_as_smooth_as_at_a_quarter(stride):
    config = make_config("strong,tiny", task__occlusion="none")
    rng = np.random.default_rng(0)
    frames = jnp.asarray(rng.random((1, 2, *SIZE, 3)), jnp.float32)
    size = SIZE[0] // stride, SIZE[1] // stride
    fine = jnp.asarray(rng.normal(0, 3, (1, 2, *size, 2)), jnp.float32)
    quarter = reduce_mean(fine, SIZE[0] // 4, SIZE[1] // 4)

    def smoothness(flow):
        return float(photometric_loss((flow,), frames, config.task)[1]["smoothness"])

    assert smoothness(fine) == pytest.approx(smoothness(quarter), rel=1e-5)


def test_a_finer_teacher_weighs_as_much_as_one_at_a_quarter():
    frames = jnp.zeros((1, 2, *SIZE, 3))

    def distilled(stride):
        shape = (1, 2, SIZE[0] // stride, SIZE[1] // stride, 2)

        def teacher(_):
            return jnp.zeros(shape)

        def student(_):  # away from there and back, so that the teacher is believed
            return jnp.full(shape, 30.0)

        return float(distillation_loss(teacher, student, frames, frames, 0.1))

    assert distilled(1) == pytest.approx(distilled(4), rel=1e-5)
    assert distilled(4) == pytest.approx(2 * 30 / 4, rel=1e-2)


def test_flows_at_the_end_of_their_reach_are_told():
    """Of two scales one has a quarter of its flows there, in the one direction or the other."""
    fine = np.zeros((1, 1, 2, 2, 2), np.float32)
    coarse = fine.copy()
    coarse[0, 0, 0, 0] = (-0.199 * 640, 0)
    assert float(task_flow._share_at_reach((fine, coarse), 192, 640)) == 0.25
    coarse[0, 0, 1, 1] = (0, 0.199 * 192)
    assert float(task_flow._share_at_reach((fine, coarse), 192, 640)) == 0.5
    coarse[0, 0] *= 0.9
    assert float(task_flow._share_at_reach((fine, coarse), 192, 640)) == 0


def test_ramp():
    got = [float(ramp(jnp.asarray(p), 0.5, 0.1)) for p in (0.0, 0.5, 0.55, 0.6, 1.0)]
    np.testing.assert_allclose(got, [0, 0, 0.5, 1, 1], atol=1e-5)
    assert float(ramp(jnp.asarray(0.5), 0.5, 0.0)) == 0


def test_judged_at_the_original_size_without_padding():
    batch = {
        "flow": np.zeros((2, 8, 20, 2), np.float32),
        "flow_valid": np.zeros((2, 8, 20), bool),
        "flow_visible": np.zeros((2, 8, 20), bool),
        "flow_size": np.asarray([[6, 16], [8, 20]], np.int32),
        "constant_flow": np.zeros((2, 3, 4, 2), np.float32),
        "mask": np.asarray([True, False]),
    }
    batch["flow"][0, :6, :16] = (8.0, 4.0)
    batch["flow_valid"][0, :6, :16] = True
    batch["flow_valid"][1] = True
    batch["flow_visible"][0, :6, :4] = True
    batch["flow_visible"][0, 7, 19] = True  # padding
    # (2, 2) pixels of 4x3 are (8, 4) of 16x6; 4 pixels less in the left quarter.
    flow = np.full((2, 3, 4, 2), 2.0, np.float32)
    flow[:, :, 0, 0] = 1.0
    sums = {k: float(v) for k, v in jax.jit(flow_scores.judge)(flow, batch).items()}
    scores = flow_scores.summarise(sums)
    assert scores["eval_images"] == 1
    assert scores["epe_zero"] == pytest.approx(np.hypot(8, 4), rel=1e-6)
    assert scores["epe_constant"] == scores["epe_zero"]
    assert scores["fl_zero"] == 1
    # Along a row: 4 px off in columns 0 and 1, then less by the share of the next pixel.
    off = [4, 4, 3.5, 2.5, 1.5, 0.5] + [0] * 10
    assert scores["epe"] == pytest.approx(np.mean(off), rel=1e-5)
    assert scores["epe_noc"] == pytest.approx(np.mean(off[:4]), rel=1e-5)
    assert scores["epe_occ"] == pytest.approx(np.mean(off[4:]), rel=1e-5)
    assert scores["fl"] == pytest.approx(3 / 16)
    assert scores["fl_noc"] == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="eval_split"):
        flow_scores.summarise({**sums, "images": 0.0})


def test_everything_without_labels_is_equal_on_eight_devices():
    """The losses of `strong` on the network of `paper`, which is the faster one to compile."""
    strong = make_config("strong,tiny").task.to_dict()
    config = make_config("paper,tiny", task=ConfigDict(strong), task__level_dropout=0.0)
    task = make_task(config)
    # Late in a training self-distillation runs.
    assert_equal_on_eight_devices(task, make_batch(8), progress=0.9)


def test_supervised_learns_a_translation():
    supervised = make_config("supervised,tiny").task.to_dict()
    config = make_config("paper,tiny", task=ConfigDict(supervised), task__scale_weights=(1.0,))
    config.task.jitter.probability = 0.0
    task, batch = make_task(config), make_batch(4)
    variables = jax.jit(task.init)(jax.random.key(0), batch)
    step = jax.jit(
        jax.value_and_grad(
            lambda p, v: task.loss({**v, "params": p}, jax.random.key(1), batch, 0.0), has_aux=True
        )
    )
    params, first, momentum = variables["params"], None, None
    for _ in range(25):
        (value, aux), grads = step(params, variables)
        first = float(value) if first is None else first
        momentum = (
            grads if momentum is None else jax.tree.map(lambda m, g: 0.8 * m + g, momentum, grads)
        )
        params = jax.tree.map(lambda p, m: p - 0.01 * m, params, momentum)
        variables = {**variables, "batch_stats": aux.batch_stats}
    # (|d| + 0.01)^0.4 to the power of 2.5 is a distance in pixels: it has halved.
    assert float(value) ** 2.5 < 0.5 * first**2.5


def test_contradictory_settings_are_refused():
    check(make_config("strong"))
    check(make_config("strong", data__crop=(32, 32), data__scale=(1.0, 1.5)))
    for changes, message in (
        ({"task__bidirectional": False}, "task.bidirectional=False must be True: occlusion"),
        ({"data__truth": "depth"}, "data.truth='depth' must be 'flow', which flow is judged by"),
        (
            {"data__height": 40},
            "data.height=40 must be a multiple of 32, .*use 32 or 64",
        ),
        ({"data__crop": (32, 40)}, r"data.crop=\[32, 40\] must be multiples of 32"),
        ({"data__crop": (32, 96)}, r"data.crop=\[32, 96\] is larger than any picture"),
        ({"task__supervision": "truth"}, "data.truth_in_training=None must be True"),
        ({"model__flow": "concat"}, "task.level_dropout=0.1 has no effect"),
        ({"task__coarse_zoom": 2}, "task.coarse_zoom=2 has no effect"),
        ({"task__coarse_zoom": 3}, "task.coarse_zoom=3 must be 1, 2, 4 or 8"),
        ({"task__occlusion": "none"}, "task.occlusion_start=0.1 has no effect"),
        ({"task__occlusion_start": 1.0}, "task.occlusion_start=1.0 .*never begin"),
        ({"task__distillation__start": 1.0}, "distillation.start=1.0 .*never begin"),
        ({"task__scale_weights": (0.0, 0.0)}, r"scale_weights=\[0.0, 0.0\] trains no flow"),
        ({"task__scale_weights": ()}, "task.scale_weights"),
        ({"task__scale_weights": (1.0,) * 5}, "more than the 4 scales"),
        ({"task__coarse_zoom": 2, "task__coarse_weights": (0.0,)}, "coarse_zoom=2 has no effect"),
    ):
        with pytest.raises(ConfigError, match=message):
            check(make_config("strong", **changes))
    check(make_config("supervised"))
    check(make_config("strong", task__scale_weights=(0.0,), task__coarse_weights=(1.0,)))
    for changes in (
        {"task__coarse_weights": (1.0,)},
        {"task__coarse_zoom": 2},
        {"task__smoothness": 0.1},
        {"task__bidirectional": True},
        {"task__occlusion": "range_map"},
        {"task__occlusion_start": 0.1},
        {"task__distillation__weight": 0.6},
    ):
        (key,) = changes
        key = key.replace("__", r"\.")
        with pytest.raises(ConfigError, match=rf"{key}=.* has no effect with config.task.superv"):
            check(make_config("supervised", **changes))
    with pytest.raises(ValueError, match="decoder=dpt has no effect on strong"):
        build(preset.PRESET, "strong,decoder=dpt", "flow_kitti.py")


def test_raw_drives_have_no_flow_to_learn_from():
    path = pathlib.Path(__file__).resolve().parents[2] / "configs" / "flow_kitti.py"
    spec = importlib.util.spec_from_file_location("flow_kitti", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError, match="no true flow; use pairs"):
        module.get_config("supervised,raw")


def test_paper_swaps_cameras_and_mirrors_nothing():
    assert not make_config("paper").data.flip
    assert make_config("strong").data.flip
