"""Whole networks under PyTorch's names, against torchvision's own names and numbers."""

import functools
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from geoseg_jax.interop import read_weights
from geoseg_jax.interop.torch_networks import write_deeplab, write_monodepth2
from geoseg_jax.models import SegmentationNet, SelfSupDepthNet
from tests.models.weights import randomise

# Of deeplabv3_resnet50(num_classes=5, aux_loss=False).state_dict() of torchvision 0.29.1: see
# digest.
TORCHVISION = "8ecec6905eaff7a28109f3d663376fd40a7ae320e57afd44c99fc55ceba09a9e"


def digest(tensors) -> str:
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@functools.cache
def deeplab():
    net = SegmentationNet("resnet50", 5, "deeplabv3", output_stride=8)
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, 33, 49, 3)), False))
    return net, randomise(shapes)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("deeplab") / "x.safetensors"
    write_deeplab(deeplab()[1], path, {"output_stride": "8"})
    return path


def test_names_and_shapes_are_torchvisions(written):
    assert digest(safetensors.numpy.load_file(written)) == TORCHVISION


def test_torchvision_gives_the_same_logits(written):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to load with")
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    load = pytest.importorskip("safetensors.torch").load_file
    make = torchvision.models.segmentation.deeplabv3_resnet50
    model = make(weights=None, weights_backbone=None, num_classes=5, aux_loss=False).eval()
    assert digest(model.state_dict()) == TORCHVISION
    model.load_state_dict(load(written), strict=True)
    net, variables = deeplab()
    images = np.random.default_rng(0).uniform(size=(1, 33, 49, 3)).astype(np.float32)
    ours = jax.jit(net.apply, static_argnames="train")(variables, images, train=False)
    mean, std = (np.array(v, np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        normalised = torch.from_numpy((images - mean) / std).permute(0, 3, 1, 2)
        theirs = model.classifier(model.backbone(normalised)["out"]).permute(0, 2, 3, 1)
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-3, atol=1e-4)


def test_a_depth_network_goes_out_and_comes_back(tmp_path):
    net = SelfSupDepthNet("tiny", pose_encoder="tiny", normalisation="monodepth2")
    images, pairs = jnp.zeros((1, 64, 96, 3)), jnp.zeros((1, 64, 96, 6))
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), images, pairs, False))
    variables = randomise(shapes)
    write_monodepth2(variables, tmp_path / "x.safetensors", {"normalisation": "monodepth2"})
    names = safetensors.numpy.load_file(tmp_path / "x.safetensors")
    assert names["decoder.0.conv.conv.weight"].shape == (256, 64, 3, 3)  # out, in, rows, columns
    assert names["decoder.10.conv.bias"].shape == (1,)
    assert names["encoder.layer1.0.bn1.num_batches_tracked"] == 0
    assert not any(name.startswith("pose") for name in names)
    found = read_weights(tmp_path / "x.safetensors", normalisation="monodepth2").variables
    for kind in ("params", "batch_stats"):
        expected = {part: tree for part, tree in variables[kind].items() if part != "pose"}
        assert jax.tree.structure(found[kind]) == jax.tree.structure(expected)
        jax.tree.map(np.testing.assert_array_equal, found[kind], expected)
