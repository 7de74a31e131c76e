"""PyTorch's sides of benchmarks/train_step.py: the same step, written and run in several ways."""

import argparse
import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import cases, torch_losses, torch_twin
from benchmarks.cases import BATCH, FACTS, WEIGHTS
from benchmarks.torch_tasks import TASKS, unit


class Way(NamedTuple):
    """How a twin is run."""

    channels_last: bool = False
    compiled: bool = False
    half: bool = False


WAYS = {
    "eager": Way(),
    "channels_last": Way(channels_last=True),
    "compiled": Way(channels_last=True, compiled=True),
    "compiled_bfloat16": Way(channels_last=True, compiled=True, half=True),
}
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Twin:
    """One step in PyTorch. Raises RuntimeError where it does not get the threads it should."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path, way: str):
        torch.set_num_threads(options.threads)
        found = torch.get_num_threads(), len(os.sched_getaffinity(0))
        if options.device == "cpu" and found != (options.threads, options.threads):
            raise RuntimeError(
                f"{found[0]} threads on {found[1]} processors instead of {options.threads}: its "
                "times would say nothing; is something else setting them?"
            )
        if options.device == "gpu":
            torch.backends.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")  # TF32, as jax has it there
        self.options, self.folder, self.way = options, folder, WAYS[way]
        self.device = torch.device("cuda" if options.device == "gpu" else "cpu")
        self.layout = torch.channels_last if self.way.channels_last else torch.contiguous_format
        self._losses: Any = None

    def about(self) -> dict[str, Any]:
        return {"threads": torch.get_num_threads()}

    def build(self) -> None:
        """Makes network and optimiser from what the other side wrote."""
        config = json.loads((self.folder / FACTS).read_text())
        config["classes"] = cases.CLASSES.get(self.options.task)
        height, width = self.options.height, self.options.width
        self.net = TASKS[self.options.task](config, height, width)
        torch_twin.load_flax(self.net, nested(np.load(self.folder / WEIGHTS)))
        self.net = self.net.to(self.device, memory_format=self.layout)
        self.batch = to_tensors(dict(np.load(self.folder / BATCH)), self.device)
        self.optimizer = make_optimizer(self.net, config["optimizer"])
        self.settings = config["optimizer"]

        def whole(batch):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.way.half):
                outputs = self.net.predict(batch, self.layout)
            return self.net.loss(outputs, batch)

        self._whole = torch.compile(whole) if self.way.compiled else whole

    def step(self) -> dict[str, float]:
        """Runs a step; returns its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        value = self._whole(self.batch)
        value.backward()
        self._norm = clip(self.net, self.settings)
        self.optimizer.step()
        self._wait()
        return {"loss": value.item()}

    def gradient_norm(self) -> float:
        """Returns the norm of the last step's gradient, before it was clipped."""
        norms = [p.grad.norm() for p in self.net.parameters() if p.grad is not None]
        return (torch.stack(norms).norm() if self._norm is None else self._norm).item()

    def losses(self) -> dict[str, float]:
        """Runs the loss kernels of depth, forward and backward; returns the value."""
        if self._losses is None:
            o = self.options
            disparities, poses = cases.geometry(o.batch, o.height, o.width)
            batch = to_tensors(cases.make_batch("depth", o.batch, o.height, o.width), self.device)
            self._pictures = unit(batch["image"]), unit(batch["sources"]), batch["intrinsics"]
            arrays = (*disparities, poses)
            self._inputs = [torch.tensor(a, device=self.device).requires_grad_() for a in arrays]
            loss = torch_losses.reprojection_loss
            self._losses = torch.compile(loss) if self.way.compiled else loss
        *disparities, poses = self._inputs
        value = self._losses(disparities, poses, *self._pictures)
        self._gradients = torch.autograd.grad(value, self._inputs)
        self._wait()
        return {"loss": value.item()}

    def loss_gradient_norms(self) -> list[float]:
        """Returns the norm of the loss's gradient by every disparity, and by the poses."""
        *of_disparities, of_poses = self._gradients
        return [g.norm().item() for g in (*of_disparities, of_poses[..., :3, :])]

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def nested(flat: Any) -> dict[str, Any]:
    """Turns {'params/encoder/conv1/kernel': array} into nested dicts."""
    tree: dict[str, Any] = {}
    for path, array in flat.items():
        *parents, leaf = path.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = array
    return tree


def to_tensors(batch: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Moves a batch to the device: channels before rows, indices int64."""
    tensors = {}
    for name, array in batch.items():
        tensor = torch.tensor(array, device=device)
        if name in ("image", "sources"):
            tensor = tensor.movedim(-1, -3).contiguous()
        tensors[name] = tensor.long() if name in ("label", "category", "keep") else tensor
    return tensors


def make_optimizer(net: torch.nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Makes the optimiser that config.optimizer names, in one pass over memory (fused)."""
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    plain = [p for n, p in named if p.ndim < 2 or n.endswith(torch_twin.EMBEDDINGS)]
    others = [p for n, p in named if p.ndim >= 2 and not n.endswith(torch_twin.EMBEDDINGS)]
    groups = [
        {"params": others, "weight_decay": settings["weight_decay"]},
        {"params": plain, "weight_decay": 0.0},
    ]
    options: dict[str, Any] = {"lr": settings["learning_rate"], "fused": True}
    if settings["name"] == "sgd":
        options["momentum"] = settings.get("momentum", 0.9)
    else:
        options["betas"] = (0.9, settings.get("adam_b2", 0.999))
    return OPTIMIZERS[settings["name"]](groups, **options)


def clip(net: torch.nn.Module, settings: dict[str, Any]) -> torch.Tensor | None:
    """Clips the gradients by their norm, where config.optimizer says so; returns what it was."""
    if not settings["clip_norm"]:
        return None
    return torch.nn.utils.clip_grad_norm_(net.parameters(), settings["clip_norm"])
