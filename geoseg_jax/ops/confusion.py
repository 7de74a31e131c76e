"""Confusion matrices of label maps, exact, and the numbers per image of Lao et al. (ECCV 2024).

A matrix has the true class as its row and the predicted class as its column. Add matrices over
images and divide once (geoseg_jax.scoring.scores); only the paper's numbers are means over images.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def confusion_and_ignored(
    predicted: jax.Array, label: jax.Array, size: jax.Array, classes: int
) -> jax.Array:
    """Counts pixels by true and predicted class, for each image; ignored pixels in a last row.

    The paper's numbers want that row.

    Args:
      predicted: int [..., H, W], the class of each pixel; one outside 0..classes-1 isn't counted.
      label: integer [..., H, W], the true class; from `classes` on it is ignored, as is 255.
      size: int32 [..., 2], height and width without the padding at the bottom and right, which is
        not counted.
      classes: how many there are.

    Returns:
      int32 [..., classes + 1, classes] (truth, prediction); exact up to 2^31 pixels an image.
    """
    row = lax.broadcasted_iota(jnp.int32, label.shape, label.ndim - 2)
    column = lax.broadcasted_iota(jnp.int32, label.shape, label.ndim - 1)
    inside = (row < size[..., 0, None, None]) & (column < size[..., 1, None, None])
    return _count(jnp.where(inside, predicted, -1), label, classes)


def _count(predicted: jax.Array, label: jax.Array, classes: int) -> jax.Array:
    """Counts into int32 [..., classes + 1, classes], ignored pixels in the last row.

    A scatter of ones. On two CPU cores a picture of 2048x1024 and 19 classes takes 20-30 ms by it,
    87 ms by one-hot products in blocks of 2048 pixels, 95 ms by sorting, and 400 ms and more by
    one-hot products of the whole picture, which are larger than the caches, or by a comparison
    with every pair of classes; with 40 classes it stays, and the products take 2.5 times as long.
    A GPU adds integers atomically, so that the counts are exact there too. Every image has bins
    of its own, so that a batch divided over devices stays so.
    """
    *leading, height, width = label.shape
    bins = (classes + 1) * classes

    def one(predicted: jax.Array, label: jax.Array) -> jax.Array:
        label = label.astype(jnp.int32)
        row = jnp.where(label < 0, classes, jnp.minimum(label, classes))
        column = predicted.astype(jnp.int32)
        known = (column >= 0) & (column < classes)
        place = jnp.where(known, row * classes + column, bins)
        return jnp.zeros((bins,), jnp.int32).at[place].add(1, mode="drop")

    flat = (-1, height * width)
    counts = jax.vmap(one)(predicted.reshape(flat), label.reshape(flat))
    return counts.reshape(*leading, classes + 1, classes)


def paper_numbers(
    matrix: jax.Array, chosen: Sequence[int], unlabelled: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Computes mean IoU and pixel accuracy of each image, as the paper's code has them for KITTI.

    Equal to what KITTI/train_utils.py of donglao/DepthToSemantic returns (recorded in the tests)
    with the classes that it averages over, LabelTable.paper_classes. A chosen class that occurs
    neither in the image's truth nor in its prediction is left out of the image's mean; one that is
    only predicted counts as 0. The union holds every pixel predicted as the class, also those whose
    truth is ignored. Accuracy is the share of correct pixels among those with a true class; a pixel
    that is unlabelled and predicted so is correct there (above, not below the line).

    Args:
      matrix: [..., C + 1, C], see `confusion_and_ignored`.
      chosen: the classes to average over.
      unlabelled: the class that stands for "no class" in the network's output, 0 among the paper's
        34, None where there is none.

    Returns:
      float32 [...] twice; nan where no chosen class occurs, and where no pixel has a true class.
    """
    matrix = matrix.astype(jnp.float32)  # exact up to 2^24 pixels an image
    rows = np.asarray(chosen, np.int32)
    correct = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    union = matrix[..., :-1, :].sum(-1) + matrix.sum(-2) - correct
    correct_chosen, union = correct[..., rows], union[..., rows]
    iou = jnp.where(union > 0, correct_chosen / jnp.maximum(union, 1), 0)
    present = (union > 0).sum(-1)
    hits = correct.sum(-1)
    if unlabelled is not None:
        hits += matrix[..., -1, unlabelled]
    labelled = matrix[..., :-1, :].sum((-2, -1))
    return iou.sum(-1) / present, hits / labelled


def paper_sums(
    matrix: jax.Array, mask: jax.Array, chosen: Sequence[int], unlabelled: int | None = None
) -> dict[str, jax.Array]:
    """Adds the paper's numbers over images; see `paper_numbers`, `scoring.scores.paper_means`.

    The paper's code leaves images without a chosen class out of the mean IoU; images without any
    labelled pixel, for which its accuracy is no number, are left out of the accuracy here.

    Args:
      matrix: [B, C + 1, C]; mask: bool [B], the images that count.

    Returns:
      float32 scalars: paper_miou, paper_pixel_accuracy, each with its count of images `_images`.
    """
    numbers = paper_numbers(matrix, chosen, unlabelled)
    sums = {}
    for name, value in zip(("paper_miou", "paper_pixel_accuracy"), numbers, strict=True):
        counted = mask & jnp.isfinite(value)
        sums[name] = jnp.where(counted, value, 0).sum()
        sums[f"{name}_images"] = counted.sum(dtype=jnp.float32)
    return sums
