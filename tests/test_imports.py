"""Who may import whom: ops <- models <- tasks <- train <- main; data knows nothing of jax."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A folder or module -> the packages that it must not import.
FORBIDDEN = {
    "geoseg_jax/ops": (
        "flax",
        "optax",
        "ml_collections",
        "geoseg_jax.models",
        "geoseg_jax.tasks",
        "geoseg_jax.data",
        "geoseg_jax.training.loop",
    ),
    "geoseg_jax/models": (
        "optax",
        "geoseg_jax.tasks",
        "geoseg_jax.data",
        "geoseg_jax.training.loop",
    ),
    "geoseg_jax/interop": (
        "optax",
        "geoseg_jax.tasks",
        "geoseg_jax.data",
        "geoseg_jax.training.transfer",
        "geoseg_jax.training.loop",
        "geoseg_jax.main",
    ),
    "geoseg_jax/training/transfer.py": (
        "geoseg_jax.models",
        "geoseg_jax.tasks",
        "geoseg_jax.data",
        "geoseg_jax.training.loop",
        "geoseg_jax.main",
    ),
    "geoseg_jax/tasks": ("optax", "geoseg_jax.data", "geoseg_jax.training.loop", "geoseg_jax.main"),
    "geoseg_jax/data": (
        "jax",
        "flax",
        "optax",
        "clu",
        "geoseg_jax.ops",
        "geoseg_jax.models",
        "geoseg_jax.tasks",
        "geoseg_jax.training.loop",
    ),
    "geoseg_jax/core/batch.py": ("jax", "flax", "geoseg_jax"),
    "geoseg_jax/__init__.py": ("jax", "flax", "geoseg_jax"),
    "geoseg_jax/training/loop.py": ("geoseg_jax.main",),
    **dict.fromkeys(
        (
            "geoseg_jax/report",
            "geoseg_jax/analysis/statistics.py",
            "geoseg_jax/analysis/comparisons.py",
            "geoseg_jax/analysis/results.py",
        ),
        (
            *("jax", "flax", "optax", "clu"),
            *(f"geoseg_jax.{name}" for name in ("ops", "models", "tasks", "data", "train", "main")),
        ),
    ),
}
EVERYWHERE = ("tensorflow", "torch", "pickle")


def imported(path: pathlib.Path) -> set[str]:
    """The dotted names that a file imports, relative imports made absolute."""
    names = set()
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def offending(names: set[str], forbidden: tuple[str, ...]) -> set[str]:
    return {n for n in names for f in forbidden if n == f or n.startswith(f + ".")}


def files(where: str) -> list[pathlib.Path]:
    path = ROOT / where
    found = [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))
    assert found, f"{where} holds no Python file"
    return found


@pytest.mark.parametrize("where", FORBIDDEN)
def test_layers(where):
    for path in files(where):
        bad = offending(imported(path), FORBIDDEN[where])
        assert not bad, f"{path.relative_to(ROOT)} imports {sorted(bad)}"


def test_configs_are_plain_data():
    # What they share is as light as they are: a config must load without jax.
    light = {"collections", "typing", "ml_collections"}
    ours = ("geoseg_jax.presets", "geoseg_jax.core.near_miss")
    for path in files("geoseg_jax/presets"):
        others = {n for n in imported(path) if not n.startswith(ours)}
        assert {n.split(".")[0] for n in others} <= light, path.name
    for path in files("configs"):
        others = {n for n in imported(path) if not n.startswith("geoseg_jax.presets")}
        assert {n.split(".")[0] for n in others} <= {"ml_collections"}, path.name


def test_nothing_needs_tensorflow_torch_or_pickle():
    for path in files("geoseg_jax"):
        bad = offending(imported(path), EVERYWHERE)
        assert not bad, f"{path.relative_to(ROOT)} imports {sorted(bad)}"


def test_the_check_sees_an_offence():
    names = {"jax", "flax.linen", "geoseg_jax.models.resnet"}
    bad = offending(names, FORBIDDEN["geoseg_jax/ops"])
    assert bad == {"flax.linen", "geoseg_jax.models.resnet"}
