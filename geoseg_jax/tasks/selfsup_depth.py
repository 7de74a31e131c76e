"""Self-supervised depth from neighbouring frames, a stereo partner, or both.

Godard, Mac Aodha, Firman, Brostow, "Digging into Self-Supervised Monocular Depth Estimation",
ICCV 2019 (monodepth2): a depth network and a pose network are trained to re-synthesise the target
view from its source views. With a stereo partner the pose between the two is known in metres, and
so is the depth. Cameras that nobody calibrated are learned with the rest (models/intrinsics.py).
Where the records tell how the camera moved (GPS/IMU, a renderer), config.task.poses='given' takes
that in the pose network's place, and depth is in metres.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.data.source import HasVideos, can
from geoseg_jax.models.depth import SHARED, SelfSupDepthNet
from geoseg_jax.ops import camera, disparity, reprojection
from geoseg_jax.tasks import (
    depth_scores,
    depth_settings,
    inference,
    motion_scores,
    pictures,
    view_scores,
)
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, TaskSpec, Variables
from geoseg_jax.tasks.examples import to_unit_range
from geoseg_jax.tasks.jitter import jitter_views
from geoseg_jax.tasks.precision import activations

# The sigmoid's middle in monodepth2's range, the depth that its pose network's outputs suit.
MONODEPTH2_INITIAL_DEPTH = 0.2
# What config.task.intrinsics asks for: those of the records, or for each video two focal lengths
# and a principal point ("focal": one focal length). config.task.poses asks for those of the records
# or of a network.
GIVEN, LEARNED = "given", "learned"


def make(config: Any, data: Any = None) -> Task:
    """Makes the task for one configuration; reads config.task, config.model and config.data.

    data: where cameras are learned, the `videos` of its training source tell how many there are.
    """
    videos = ("camera",)
    if data is not None and can(data.train, HasVideos):
        videos = tuple(data.train.videos)
    return _SelfSupDepth(config, videos)


def make_net(config: Any, videos: int) -> SelfSupDepthNet:
    """Makes the networks that config.model and config.task describe, for so many cameras."""
    model, task = config.model, config.task
    intrinsics = task.get("intrinsics", GIVEN)
    # A network that starts at the sigmoid's middle, 0.2 m with the usual range, sees its sources
    # nowhere when the baseline is in metres, and gets no gradient.
    start = disparity.depth_to_disparity(task.initial_depth, task.min_depth, task.max_depth)
    return SelfSupDepthNet(
        encoder_name=model.encoder,
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        decoder_name=model.get("decoder", SelfSupDepthNet.decoder_name),
        dpt_features=model.get("dpt_features", SelfSupDepthNet.dpt_features),
        pose_encoder=model.get("pose_encoder", ""),
        offsets=tuple(config.data.frames),
        scales=task.scales,
        normalisation=model.get("normalisation", "imagenet"),
        initial_disparity=float(start),
        dtype=activations(model),
        videos=0 if intrinsics == GIVEN else videos,
        initial_fov=task.get("initial_fov", 60.0),
        principal_point=intrinsics == LEARNED,
    )


class _SelfSupDepth(Task):
    """Self-supervised depth as one configuration asks for it."""

    def __init__(self, config: Any, videos: tuple[str, ...]):
        self.task, self.holds, self.videos = config.task, videos, videos
        self.offsets = tuple(config.data.frames)
        self.given_poses = config.task.get("poses", LEARNED) == GIVEN
        self.pose_scale = config.task.initial_depth / MONODEPTH2_INITIAL_DEPTH
        self.net = make_net(config, len(videos))
        self.automask_start = self.task.get("automask_start", 0.0)
        # Judged by true depth where the records have it, else by the views that depth explains.
        self.has_truth = config.data.get("truth", "depth") == "depth"
        self.range = {"min_depth": self.task.min_depth, "max_depth": self.task.max_depth}

    def init(self, key: jax.Array, batch: Batch) -> Variables:
        target, sources = _views(batch)
        return self.net.init(key, target, self._pairs(target, sources), False)

    def loss(
        self, variables: Variables, key: jax.Array, batch: Batch, progress: jax.Array
    ) -> tuple[jax.Array, Aux]:
        task = self.task
        target, sources = _views(batch)
        seen = _jitter(key, batch["id"], target, sources, task.jitter)
        (disparities, poses), updated = self._predict(variables, *seen, batch, train=True)
        value, terms = reprojection.reprojection_loss(
            disparities,
            poses,
            target,
            sources,
            self._intrinsics(variables, batch),
            **self.range,
            ssim_weight=task.ssim_weight,
            smoothness=task.smoothness,
            smoothness_order=task.smoothness_order,
            automask=task.automask,
            # A constant where it counts from the start, so that nothing is computed for it.
            mask_counts=not self.automask_start or progress >= self.automask_start,
            enlarged=task.get("enlarged", "disparity"),
            align_corners=task.get("align_corners", False),
        )
        cameras = {name: v.mean() for name, v in self._camera_numbers(variables).items()}
        motion = motion_scores.mean_motion(poses[:, : len(self.offsets)])
        return value, Aux(updated.get("batch_stats", {}), terms | cameras | motion)

    def evaluate(self, variables: Variables, batch: Batch) -> Sums:
        if self.has_truth:
            inverse = self.predict(variables, batch)["inverse_depth"]
            sums = depth_scores.judge(inverse, batch, self.task.eval)
        else:
            sums = self._judge_by_views(variables, batch)
        if self.offsets and not self.given_poses:
            sums |= self._judge_motion(variables, batch)
        numbers = self._camera_numbers(variables)
        if not numbers:
            return sums
        return sums | view_scores.camera_sums(numbers, _video(batch), batch["mask"])

    def summarise(self, sums: dict[str, Any]) -> dict[str, float]:
        scores = depth_scores if self.has_truth else view_scores
        cameras = view_scores.summarise_cameras(sums, self.videos)
        return scores.summarise(sums) | motion_scores.summarise(sums) | cameras

    def visualise(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        target, sources = _views(batch)
        (disparities, poses), _ = self._predict(variables, target, sources, batch, train=False)
        finest = disparities[0].astype(jnp.float32)
        warped, kept = reprojection.reprojection_pictures(
            finest,
            poses,
            target,
            sources,
            self._intrinsics(variables, batch),
            **self.range,
            ssim_weight=self.task.ssim_weight,
        )
        shown = {
            "input": batch["image"],
            "disparity": pictures.colour_inverse_depth(self._inverse_depth(finest)),
            "reprojection": pictures.to_uint8(warped[:, 0]),
            "auto-mask": pictures.to_uint8(jnp.repeat(kept[..., None], 3, axis=-1)),
        }
        if self.has_truth:
            truth = batch["depth"], batch["depth_size"], *finest.shape[1:]
            shown["ground truth"] = pictures.colour_sparse_depth(*truth)
        return shown

    def predict(self, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Predicts from the pictures alone, whatever else the batch holds."""

        def network(images: jax.Array) -> jax.Array:
            levels = self.net.apply(variables, images, train=False, method="disparities")
            return self._inverse_depth(levels[0].astype(jnp.float32))

        flip = self.task.eval.get("flip", False)
        images = to_unit_range(batch["image"])
        found = {"inverse_depth": inference.inverse_depth(network, images, flip=flip)}
        if "intrinsics" in batch:
            found["intrinsics"] = self._intrinsics(variables, batch)
        return found

    def _predict(self, variables, target, sources, batch, *, train: bool):
        """Predicts (disparities, finest first, poses [B, S, 4, 4]), and the changed collections."""
        pairs = self._pairs(target, sources)
        (disparities, twists), updated = self.net.apply(
            variables,
            target,
            pairs,
            train=train,
            mutable=["batch_stats"] if train else [],
        )
        if self.given_poses:
            return (disparities, batch["source_poses"]), updated
        stereo = batch["stereo_pose"] if sources.shape[1] > len(self.offsets) else None
        return (disparities, source_poses(twists, stereo, self.offsets, self.pose_scale)), updated

    def _judge_motion(self, variables: Variables, batch: Batch) -> Sums:
        target, sources = _views(batch)
        _, poses = self._predict(variables, target, sources, batch, train=False)[0]
        return motion_scores.judge(poses[:, : len(self.offsets)], batch["mask"])

    def _pairs(self, target: jax.Array, sources: jax.Array) -> jax.Array:
        """Returns what the pose network sees; nothing where poses are given."""
        return temporal_pairs(target, sources, () if self.given_poses else self.offsets)

    def _inverse_depth(self, level: jax.Array) -> jax.Array:
        return 1 / disparity.disparity_to_depth(level, **self.range)

    def _judge_by_views(self, variables: Variables, batch: Batch) -> Sums:
        target, sources = _views(batch)
        (disparities, poses), _ = self._predict(variables, target, sources, batch, train=False)
        return view_scores.judge(
            self._inverse_depth(disparities[0].astype(jnp.float32)),
            poses,
            target,
            sources,
            self._intrinsics(variables, batch),
            batch["mask"],
            self.task.ssim_weight,
        )

    def _intrinsics(self, variables: Variables, batch: Batch) -> jax.Array:
        """Returns [B, 3, 3]: the records' or learned ones."""
        given = batch["intrinsics"]
        if not self.net.videos:
            return given
        # Where nothing says otherwise the pictures are as the camera took them (evaluation).
        flipped = batch.get("flipped", jnp.zeros(given.shape[:1], bool))
        params, size = {"params": variables["params"]}, batch["image"].shape[1:3]
        return self.net.apply(params, given, _video(batch), flipped, *size, method="cameras")

    def _camera_numbers(self, variables: Variables) -> dict[str, jax.Array]:
        if not self.net.videos:
            return {}
        return self.net.apply({"params": variables["params"]}, method="camera_numbers")


def temporal_pairs(target: jax.Array, sources: jax.Array, offsets: tuple[int, ...]) -> jax.Array:
    """Returns pairs of frames for the pose network, the earlier frame first: [B * P, H, W, 6].

    The pairs of an example lie side by side, so that a batch sharded by example stays so.
    """
    pairs = [
        jnp.concatenate((sources[:, i], target) if offset < 0 else (target, sources[:, i]), axis=-1)
        for i, offset in enumerate(offsets)
    ]
    b, h, w, _ = target.shape
    if not pairs:
        return jnp.zeros((0, h, w, 6), target.dtype)
    return jnp.stack(pairs, axis=1).reshape(b * len(pairs), h, w, 6)


def source_poses(
    twists: jax.Array | None,
    stereo_pose: jax.Array | None,
    offsets: tuple[int, ...],
    scale: float,
) -> jax.Array:
    """Makes poses source <- target, float32 [B, S, 4, 4]: temporal sources, then stereo.

    twists: [B * P, 6], the motion later <- earlier of temporal_pairs, its translation in units of
    `scale` metres; where the source is the earlier frame, it is inverted. stereo_pose: [B, 4, 4]
    metres. Either may be None. The scale follows the depth that training starts at: were it much
    too small, the depth would shrink to it before the poses could grow.
    """
    poses = []
    if twists is not None:
        metres = twists.astype(jnp.float32) * jnp.asarray([scale] * 3 + [1.0] * 3)
        moved = camera.pose_from_twist(metres)
        moved = moved.reshape(-1, len(offsets), 4, 4)
        for i, offset in enumerate(offsets):
            poses.append(camera.inverse(moved[:, i]) if offset < 0 else moved[:, i])
    if stereo_pose is not None:
        poses.append(stereo_pose)
    return jnp.stack(poses, axis=1)


def _video(batch: Batch) -> jax.Array:
    """Returns which camera took each picture, int32 [B]; all the same where records don't say."""
    return batch.get("video", jnp.zeros(batch["image"].shape[:1], jnp.int32))


def _views(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Returns target and sources in [0, 1]."""
    return to_unit_range(batch["image"]), to_unit_range(batch["sources"])


def _jitter(key, ids, target, sources, settings) -> tuple[jax.Array, jax.Array]:
    """Changes the colours that the networks see; the loss compares the true ones."""
    views = jnp.concatenate((target[:, None], sources), axis=1)
    views = jitter_views(key, ids, views, settings)
    return views[:, 0], views[:, 1:]


def _encoded(config: Mapping[str, Any]) -> int:
    """Counts pictures through the encoder: views only where the pose network shares it."""
    shared = config["model"].get("pose_encoder") == SHARED
    return 1 + shared * len(config["data"].get("frames", ()))


SPEC = TaskSpec(
    make, depth_settings.SELFSUP, depth_settings.check_selfsup, predicts="depth", encoded=_encoded
)
