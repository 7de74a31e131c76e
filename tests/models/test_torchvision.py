"""Residual networks and DeepLabV3 against numbers that torchvision itself gave.

RECORDED was printed by `python -m tests.models.test_torchvision` with torchvision 0.29.1: of every
output the mean, the mean square and one value. The tests need neither torchvision nor PyTorch.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from geoseg_jax.models import deeplab, resnet
from geoseg_jax.models.segmentation import ClassHead
from tests.models import weights
from tests.models.test_recorded import digest

SIZE = (34, 42)
CLASSES = 5
RECORDED = {
    "stride 4": [1.55012, 3.86675, 1.85099],
    "stride 8": [0.585607, 1.13163, 0],
    "stride 16": [0.580784, 1.06641, 0.9365],
    "stride 32": [0.581855, 1.0563, 1.58972],
    "running mean": [-0.044621, 0.0302393, 0.0120533],
    "running variance": [1.0543, 1.17022, 1.2985],
    "deeplab": [-0.080164, 0.0632949, -0.46918],
}


class DeepLab(deeplab.nn.Module):
    """torchvision's deeplabv3_resnet50 with fewer blocks."""

    @deeplab.nn.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        make = functools.partial(resnet.ResNet, (1, 1, 1, 2), resnet.Bottleneck)
        features = make(output_stride=16, name="encoder")(images, train)
        decoded = deeplab.DeepLabDecoder(deeplab.RATES[16], name="decoder")(features[32], train)
        return ClassHead(CLASSES, name="head")(decoded)


def basic() -> tuple[resnet.ResNet, dict, np.ndarray]:
    return _case(resnet.ResNet((1, 1, 1, 1), resnet.BasicBlock))


def whole() -> tuple[DeepLab, dict, np.ndarray]:
    return _case(DeepLab())


def _case(module):
    images = weights.images((2, *SIZE, 3))
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), images, False))
    return module, weights.randomise(shapes), images


def assert_recorded(name, values):
    np.testing.assert_allclose(digest(values), RECORDED[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_stages_and_statistics_of_a_resnet_in_training():
    module, variables, images = basic()
    run = jax.jit(lambda v, x: module.apply(v, x, True, mutable=["batch_stats"]))
    features, updated = run(variables, images)
    for stride in (4, 8, 16, 32):
        assert_recorded(f"stride {stride}", features[stride])
    last = updated["batch_stats"]["layer2_0"]["downsample_1"]
    assert_recorded("running mean", last["mean"])
    assert_recorded("running variance", last["var"])


def test_deeplab_on_dilated_bottlenecks():
    module, variables, images = whole()
    logits = jax.jit(lambda v, x: module.apply(v, x, False))(variables, jnp.asarray(images))
    assert_recorded("deeplab", logits)


# Ours -> where torchvision's DeepLabHead has convolution and batch norm.
HEAD = {f"aspp_{i}": (f"0.convs.{i}.0", f"0.convs.{i}.1") for i in range(4)} | {
    "aspp_pool": ("0.convs.4.1", "0.convs.4.2"),
    "project": ("0.project.0", "0.project.1"),
    "out": ("1", "2"),
}


def record() -> None:
    import torch
    import torchvision.models as theirs
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead

    mean, std = (torch.tensor(v)[:, None, None] for v in resnet.NORMALISATIONS["imagenet"])
    _, variables, images = basic()
    seen = (torch.tensor(images).permute(0, 3, 1, 2) - mean) / std
    net = _encoder(theirs.ResNet(theirs.resnet.BasicBlock, [1, 1, 1, 1]), variables)
    kept = {}
    for stage in range(1, 5):
        layer = getattr(net, f"layer{stage}")
        layer.register_forward_hook(lambda _, __, y, stage=stage: kept.update({stage: y}))
    with torch.no_grad():
        net.train()(seen)
        for stage, values in kept.items():
            _print(f"stride {2 ** (stage + 1)}", values.permute(0, 2, 3, 1))
        last = net.layer2[0].downsample[1]
        _print("running mean", last.running_mean)
        _print("running variance", last.running_var)
        _, variables, _ = whole()
        dilated = theirs.ResNet(
            theirs.resnet.Bottleneck,
            [1, 1, 1, 2],
            replace_stride_with_dilation=[False, False, True],
        )
        parts = {c: tree["encoder"] for c, tree in variables.items()}
        net = _encoder(dilated, parts).eval()
        net.layer4.register_forward_hook(lambda _, __, y: kept.update({4: y}))
        net(seen)
        head = DeepLabHead(2048, CLASSES, atrous_rates=deeplab.RATES[16])
        _fill_head(head, variables)
        _print("deeplab", head.eval()(kept[4]).permute(0, 2, 3, 1))


def _encoder(net, variables):
    import torch

    from benchmarks import torch_twin

    net.fc = torch.nn.Identity()
    torch_twin.load_flax(net, variables)
    return net


def _fill_head(head, variables) -> None:
    import torch

    params, stats = variables["params"], variables["batch_stats"]["decoder"]
    state = {}
    for ours, (conv, norm) in HEAD.items():
        part, running = params["decoder"][ours], stats[ours]["bn"]
        state[f"{conv}.weight"] = part["conv"]["kernel"].transpose(3, 2, 0, 1)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = part["bn"]["scale"], part["bn"]["bias"]
        state[f"{norm}.running_mean"], state[f"{norm}.running_var"] = (
            running["mean"],
            running["var"],
        )
        state[f"{norm}.num_batches_tracked"] = np.array(0)
    last = params["head"]["conv"]
    state |= {"4.weight": last["kernel"].transpose(3, 2, 0, 1), "4.bias": last["bias"]}
    head.load_state_dict({k: torch.tensor(np.ascontiguousarray(v)) for k, v in state.items()})


def _print(name: str, values) -> None:
    print(f'    "{name}": [{", ".join(f"{v:.6g}" for v in digest(values))}],')


if __name__ == "__main__":
    record()
