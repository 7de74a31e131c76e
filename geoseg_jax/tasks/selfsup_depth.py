"""Self-supervised depth from neighbouring frames, a stereo partner, or both.

Godard, Mac Aodha, Firman, Brostow, "Digging into Self-Supervised Monocular Depth Estimation",
ICCV 2019 (monodepth2): a depth network and a pose network are trained to re-synthesise the target
view from its source views. With a stereo partner the pose between the two is known in metres, and
so is the depth.
"""

from typing import Any

import jax
import jax.numpy as jnp

from geoseg_jax.models.depth import SelfSupDepthNet
from geoseg_jax.ops import camera, disparity, reprojection
from geoseg_jax.tasks import depth_scores, pictures
from geoseg_jax.tasks.base import Aux, Batch, Sums, Task, Variables
from geoseg_jax.tasks.jitter import jitter_views

# The sigmoid's middle in monodepth2's range, the depth that its pose network's outputs suit.
MONODEPTH2_INITIAL_DEPTH = 0.2


def make(config: Any, data: Any = None) -> Task:
    """The task for one configuration; reads config.task, config.model and config.data."""
    del data  # every batch carries all that this task needs
    model, task = config.model, config.task
    offsets = tuple(config.data.frames)
    unit = task.initial_depth / MONODEPTH2_INITIAL_DEPTH
    net = SelfSupDepthNet(
        encoder_name=model.encoder,
        decoder_channels=tuple(model.decoder_channels),
        decoder_padding=model.decoder_padding,
        decoder_name=model.get("decoder", SelfSupDepthNet.decoder_name),
        dpt_features=model.get("dpt_features", SelfSupDepthNet.dpt_features),
        pose_encoder=model.pose_encoder,
        scales=task.scales,
        normalisation=model.get("normalisation", "imagenet"),
        # A network that starts at the sigmoid's middle, 0.2 m with the usual range, sees its
        # sources nowhere when the baseline is in metres, and gets no gradient.
        initial_disparity=float(
            disparity.depth_to_disparity(task.initial_depth, task.min_depth, task.max_depth)
        ),
        dtype=jnp.dtype(model.compute_dtype),
    )

    def predict(variables, target, sources, batch, *, train):
        """Disparities (finest first), poses [B, S, 4, 4], and the changed collections."""
        pairs = temporal_pairs(target, sources, offsets)
        (disparities, twists), updated = net.apply(
            variables, target, pairs, train=train, mutable=["batch_stats"] if train else []
        )
        stereo = batch["stereo_pose"] if sources.shape[1] > len(offsets) else None
        return (disparities, source_poses(twists, stereo, offsets, unit)), updated

    def init(key: jax.Array, batch: Batch) -> Variables:
        target, sources = _views(batch)
        return net.init(key, target, temporal_pairs(target, sources, offsets), train=False)

    def loss(variables: Variables, key: jax.Array, batch: Batch) -> tuple[jax.Array, Aux]:
        target, sources = _views(batch)
        seen = _jitter(key, batch["id"], target, sources, task.jitter)
        (disparities, poses), updated = predict(variables, *seen, batch, train=True)
        value, terms = reprojection.reprojection_loss(
            disparities,
            poses,
            target,
            sources,
            batch["intrinsics"],
            min_depth=task.min_depth,
            max_depth=task.max_depth,
            ssim_weight=task.ssim_weight,
            smoothness=task.smoothness,
            smoothness_order=task.smoothness_order,
            automask=task.automask,
        )
        return value, Aux(updated.get("batch_stats", {}), terms)

    def evaluate(variables: Variables, batch: Batch) -> Sums:
        target, _ = _views(batch)
        finest = net.apply(variables, target, train=False, method="disparities")[0]
        inverse = 1 / disparity.disparity_to_depth(
            finest.astype(jnp.float32), task.min_depth, task.max_depth
        )
        return depth_scores.judge(inverse, batch, task.eval)

    def visualise(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        target, sources = _views(batch)
        (disparities, poses), _ = predict(variables, target, sources, batch, train=False)
        finest = disparities[0].astype(jnp.float32)
        warped, kept = reprojection.reprojection_pictures(
            finest,
            poses,
            target,
            sources,
            batch["intrinsics"],
            min_depth=task.min_depth,
            max_depth=task.max_depth,
            ssim_weight=task.ssim_weight,
        )
        inverse = 1 / disparity.disparity_to_depth(finest, task.min_depth, task.max_depth)
        return {
            "input": batch["image"],
            "disparity": pictures.colour_inverse_depth(inverse),
            "reprojection": pictures.to_uint8(warped[:, 0]),
            "auto-mask": pictures.to_uint8(jnp.repeat(kept[..., None], 3, axis=-1)),
            "ground truth": pictures.colour_sparse_depth(
                batch["depth"], batch["depth_size"], *finest.shape[1:]
            ),
        }

    return Task(init, loss, evaluate, depth_scores.summarise, visualise)


def temporal_pairs(target: jax.Array, sources: jax.Array, offsets: tuple[int, ...]) -> jax.Array:
    """Pairs of frames for the pose network, the earlier frame first: [B * P, H, W, 6].

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
    unit: float,
) -> jax.Array:
    """Poses source <- target, float32 [B, S, 4, 4]: temporal sources, then the stereo partner.

    twists: [B * P, 6], the motion later <- earlier of temporal_pairs, its translation in `unit`
    metres; where the source is the earlier frame, it is inverted. stereo_pose: [B, 4, 4] metres.
    Either may be None. The unit follows the depth that training starts at: were it much too
    small, the depth would shrink to it before the poses could grow.
    """
    poses = []
    if twists is not None:
        metres = twists.astype(jnp.float32) * jnp.asarray([unit] * 3 + [1.0] * 3)
        moved = camera.pose_from_twist(metres)
        moved = moved.reshape(-1, len(offsets), 4, 4)
        for i, offset in enumerate(offsets):
            poses.append(camera.inverse(moved[:, i]) if offset < 0 else moved[:, i])
    if stereo_pose is not None:
        poses.append(stereo_pose)
    return jnp.stack(poses, axis=1)


def _views(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Target and sources in [0, 1]."""
    return batch["image"].astype(jnp.float32) / 255, batch["sources"].astype(jnp.float32) / 255


def _jitter(key, ids, target, sources, settings) -> tuple[jax.Array, jax.Array]:
    """What the networks see; the loss compares the true colours."""
    views = jnp.concatenate((target[:, None], sources), axis=1)
    views = jitter_views(key, ids, views, settings)
    return views[:, 0], views[:, 1:]
