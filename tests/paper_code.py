"""Inputs for comparison with the public code of Lao et al. (ECCV 2024), and what that code gave.

`python -m tests.paper_code CHECKOUT` runs the functions of a checkout of donglao/DepthToSemantic
(recorded at revision f580eea) on these inputs and prints what they return; the tests hold these
numbers, so that they know nothing of how we read that code. It needs PyTorch and Pillow.
"""

import importlib
import pathlib
import sys
import tempfile
import types
import warnings

import jax
import numpy as np
from PIL import Image

from geoseg_jax.models import deeplab
from geoseg_jax.models.segmentation import ClassHead
from tests.data import fabricate
from tests.data.fabricate_labels import ids as block_ids
from tests.models import weights
from tests.models.test_recorded import digest

ALL = tuple(range(34))
# The ids that are classes of Cityscapes' 19.
NINETEEN = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
# Pairs of maps: the ids that truth and prediction are drawn from.
METRIC_CASES = {
    "all": (ALL, ALL),
    "terrain nowhere, cars only predicted": (
        tuple(i for i in ALL if i not in (22, 26)),
        tuple(i for i in ALL if i != 22),
    ),
    "bicycles alone": ((12, 13, 33), (12, 13, 17, 33)),
    "nineteen": (NINETEEN, NINETEEN),
}
# id, as their loader leaves it: what is no class is 0.
KEPT = np.array([i if i in NINETEEN else 0 for i in ALL], np.uint8)
CITYSCAPES_CLASSES = 19


def label_pair(case: str) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, uint8 [24, 32] label ids, 0 where there is no class; 3 of 4 are right.

    A prediction of 0 is kept as such.
    """
    among, guessed = METRIC_CASES[case]
    generator = np.random.default_rng(list(METRIC_CASES).index(case))
    truth = KEPT[generator.choice(among, (24, 32))]
    right = generator.random(truth.shape) < 0.75
    keeps = np.isin(truth, guessed)
    predicted = np.where(right & keeps, truth, generator.choice(guessed, truth.shape))
    return predicted.astype(np.uint8), truth


def train_id_pairs() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths, [3, 20, 30] train ids; 255 ignored, two classes nowhere in truth."""
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 17, (3, 20, 30))
    guess = generator.integers(0, 18, truth.shape)
    predicted = np.where(generator.random(truth.shape) < 0.6, truth, guess)
    truth[generator.random(truth.shape) < 0.1] = 255
    return predicted, truth


def write_pictures(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A picture and its label picture, 40x24, every label id there."""
    image, label = folder / "image.png", folder / "label.png"
    Image.fromarray(fabricate.picture(3, 24, 40)).save(image)
    ids = block_ids(ALL, 3, 24, 40)
    ids[0, : len(ALL)] = ALL
    Image.fromarray(ids).save(label)
    return image, label


def scores() -> tuple[np.ndarray, np.ndarray]:
    """Scores [2, 6, 8, 34] and ids [2, 6, 8], as their loss is given them."""
    generator = np.random.default_rng(7)
    return (
        generator.normal(size=(2, 6, 8, 34)).astype(np.float32),
        KEPT[generator.integers(0, 34, (2, 6, 8))],
    )


class Pyramid(deeplab.nn.Module):
    """Decoder and head of the public code's DeepLabV3, small, on features [N, h, w, 8]."""

    @deeplab.nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        variant = deeplab.Variant(convolution=False, init="he_fan_out", norm_momentum=3e-4)
        x = deeplab.DeepLabDecoder(features=6, variant=variant, name="decoder")(x, train)
        return ClassHead(5, name="head")(x)


def pyramid() -> tuple[Pyramid, dict, np.ndarray]:
    """The module, its weights and features [4, 13, 15, 8]."""
    features = weights.images((4, 13, 15, 8))
    module = Pyramid()
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), features, False))
    return module, weights.randomise(shapes), features


# From here on: running the checkout.


class _SeenError(Exception):
    """Carries what the first convolution was given."""


class _FirstConvolution:
    """In place of torchvision's ResNet, of which no more is needed."""

    def __init__(self, *_: object):
        self.conv1 = self._stop

    def _stop(self, x: object) -> None:
        raise _SeenError(x)


def _load(checkout: pathlib.Path, folder: str, name: str) -> types.ModuleType:
    """A module of theirs, with stubs for what it imports and the functions at hand don't use."""
    depths = (18, 34, 50, 101, 152)
    models = {"ResNet": object} | {f"resnet{depth}": _FirstConvolution for depth in depths}
    for module, content in (
        ("torchvision.models", models),
        ("torchvision", {}),
        ("sklearn.metrics", {"confusion_matrix": None}),
    ):
        sys.modules[module] = types.ModuleType(module)
        vars(sys.modules[module]).update(content)
    sys.modules["torchvision"].models = sys.modules["torchvision.models"]
    sys.path.insert(0, str(checkout / folder))
    found = importlib.import_module(name)
    sys.path.pop(0)
    return found


def _record_metric(checkout: pathlib.Path) -> None:
    judge = _load(checkout, "KITTI", "train_utils").get_miou_and_pix_acc
    for case in METRIC_CASES:
        predicted, truth = label_pair(case)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            miou, accuracy, _ = judge(predicted[None], truth[None])
        print(f"    {case!r}: ({miou:.8g}, {accuracy:.8g}),")
    stream = _load(checkout, "Cityscapes/metrics", "stream_metrics").StreamSegMetrics(19)
    predicted, truth = train_id_pairs()
    stream.update(truth, predicted)
    print({k: float(v) for k, v in stream.get_results().items() if k != "Class IoU"})


def _record_reading(checkout: pathlib.Path) -> None:
    import torch

    reader = _load(checkout, "KITTI", "data_utils_semantic")
    # They write into what numpy made writable then.
    reader.np = types.SimpleNamespace(**vars(np) | {"asarray": np.array})
    with tempfile.TemporaryDirectory() as folder:
        image, label = write_pictures(pathlib.Path(folder))
        print("label", reader.load_semantic_label(label)[0, :34].tolist())
        print("small label", reader.load_semantic_label(label, reshape=(10, 6)).tolist())
        print("small image", digest(reader.load_image(image, reshape=(10, 6))))
    logits, ids = scores()
    loss = _load(checkout, "KITTI", "train_utils").supervised_loss
    planes = torch.tensor(logits).permute(0, 3, 1, 2)
    print("loss", loss(planes, torch.tensor(ids.astype(np.int64))).item())
    encoder = _load(checkout, "KITTI", "resnet_encoder").ResnetEncoder(18, False)
    picture = torch.tensor(weights.images((1, 5, 6, 3))).permute(0, 3, 1, 2)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    for what, given in (("once", picture), ("twice", (picture - mean) / std)):
        try:
            encoder(given)
        except _SeenError as seen:
            print(what, digest(seen.args[0].permute(0, 2, 3, 1)))


def _record_deeplab(checkout: pathlib.Path) -> None:
    import torch

    code = _load(checkout, "Cityscapes", "deeplab")
    torch.manual_seed(0)
    whole = code.resnet50(num_classes=19)
    print("momenta", whole.layer4[1].bn2.momentum, whole.aspp.aspp3_bn.momentum)
    for name in ("layer3.0.conv2", "aspp.aspp1", "aspp.aspp3", "aspp.conv2", "aspp.conv3"):
        print("std", name, whole.get_submodule(name).weight.std().item())
    net = code.ASPP(8, 6, 5, norm=whole.norm)
    _, variables, features = pyramid()
    _fill(net, variables)
    x = torch.tensor(features).permute(0, 3, 1, 2)
    for mode in (False, True):
        net.train(mode)
        with torch.no_grad():
            logits = net(x)
            size = (61, 97)
            logits = torch.nn.Upsample(size, mode="bilinear", align_corners=True)(logits)
        print("logits", "train" if mode else "eval", digest(logits.permute(0, 2, 3, 1)))
    print("statistics", digest(net.bn2.running_mean), digest(net.aspp2_bn.running_var))


def _fill(net: object, variables: dict) -> None:
    """Puts flax's arrays into their ASPP."""
    import torch

    params, stats = variables["params"], variables["batch_stats"]["decoder"]
    names = {f"aspp_{i}": (f"aspp{i + 1}", f"aspp{i + 1}_bn") for i in range(4)}
    names |= {"aspp_pool": ("aspp5", "aspp5_bn"), "project": ("conv2", "bn2")}
    state = {}
    for ours, (conv, norm) in names.items():
        part = params["decoder"][ours]
        state[f"{conv}.weight"] = part["conv"]["kernel"].transpose(3, 2, 0, 1)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = part["bn"]["scale"], part["bn"]["bias"]
        state[f"{norm}.running_mean"] = stats[ours]["bn"]["mean"]
        state[f"{norm}.running_var"] = stats[ours]["bn"]["var"]
        state[f"{norm}.num_batches_tracked"] = np.array(0)
    head = params["head"]["conv"]
    state |= {"conv3.weight": head["kernel"].transpose(3, 2, 0, 1), "conv3.bias": head["bias"]}
    net.load_state_dict({k: torch.tensor(np.ascontiguousarray(v)) for k, v in state.items()})


if __name__ == "__main__":
    for record in (_record_metric, _record_reading, _record_deeplab):
        record(pathlib.Path(sys.argv[1]))
