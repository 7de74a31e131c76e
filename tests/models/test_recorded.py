"""What the PyTorch twin gave, for machines without PyTorch.

RECORDED was printed by `python -m tests.models.test_recorded`, which runs benchmarks/torch_twin.py
on the same weights and pictures: for every output the mean, the mean square and one value.
"""

import jax
import numpy as np

from geoseg_jax import models
from tests.models import weights

CHANNELS = (4, 4, 8, 8, 16)
RECORDED = {
    "disparity 0": [0.505891, 0.276026, 0.727278],
    "disparity 1": [0.464332, 0.224185, 0.525847],
    "disparity 2": [0.503687, 0.279552, 0.722033],
    "disparity 3": [0.502462, 0.264379, 0.361473],
    "twists": [-0.000400637, 1.97675e-06, -0.00117141],
    "mean": [0.00621962, 0.00786642, 0.0390493],
    "variance": [0.960135, 0.991963, 0.626781],
}


def digest(x) -> list[float]:
    x = np.asarray(x, np.float64)
    return [float(x.mean()), float(np.mean(x**2)), float(x.reshape(-1)[x.size // 3])]


def case():
    images, pairs = weights.images((2, 32, 64, 3)), weights.images((4, 32, 64, 6), seed=2)
    net = models.SelfSupDepthNet("tiny", CHANNELS, "zero", "tiny")
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), images, pairs, False))
    return net, weights.randomise(shapes), images, pairs


def test_networks_give_what_pytorch_gave():
    net, variables, images, pairs = case()

    @jax.jit
    def run(variables):
        outputs, updated = net.apply(variables, images, pairs, True, mutable=["batch_stats"])
        return outputs, updated["batch_stats"]

    (disparities, twists), batch_stats = run(variables)
    ours = {f"disparity {s}": digest(d) for s, d in enumerate(disparities)}
    ours["twists"] = digest(twists)
    last = batch_stats["encoder"]["layer4_0"]["bn2"]
    ours |= {"mean": digest(last["mean"]), "variance": digest(last["var"])}
    assert ours.keys() == RECORDED.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, RECORDED[name], rtol=2e-3, atol=1e-6, err_msg=name)


def record() -> None:
    import torch

    from benchmarks import torch_twin

    _, variables, images, pairs = case()
    net = torch_twin.DepthNet("tiny", "tiny", "zero", CHANNELS)
    torch_twin.load_flax(net, variables)
    with torch.no_grad():
        disparities, twists = net(*(torch.tensor(x).permute(0, 3, 1, 2) for x in (images, pairs)))
    found = {f"disparity {s}": digest(d) for s, d in enumerate(disparities)}
    found["twists"] = digest(twists)
    last = net.encoder.layer4[0].bn2
    found |= {"mean": digest(last.running_mean), "variance": digest(last.running_var)}
    for name, values in found.items():
        print(f'    "{name}": [{", ".join(f"{v:.6g}" for v in values)}],')


if __name__ == "__main__":
    record()
