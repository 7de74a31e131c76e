"""Who may import whom, on the transitive closure: what a module loads, in a fresh process.

ops <- models <- tasks <- training <- main, study; analysis <- report <- study; data knows no jax.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAVY = ("cv2", "grain", "tensorflow_datasets", "matplotlib")
# A package or module -> the packages that importing any of it must not load.
FORBIDDEN = {
    "geoseg_jax.core": (*HEAVY, "jax", "flax", "optax", "geoseg_jax but core"),
    "geoseg_jax.ops": (*HEAVY, "flax", "optax", "ml_collections", "geoseg_jax but ops"),
    "geoseg_jax.models": (*HEAVY, "optax", "geoseg_jax but models, ops, core"),
    "geoseg_jax.interop": (*HEAVY, "optax", "geoseg_jax but interop, models, ops, core"),
    "geoseg_jax.config": (
        *("grain", "tensorflow_datasets", "optax"),
        "geoseg_jax but config, core, training, tasks, models, ops, scoring, data",
        "geoseg_jax.training but settings",
    ),
    # Every process that reads data loads these.
    "geoseg_jax.main": (*HEAVY, "jax", "flax", "geoseg_jax but main, config, core"),
    "geoseg_jax.scoring": ("jax", "flax", "optax", "grain", "geoseg_jax but scoring, data, core"),
    "geoseg_jax.tasks": (
        *("grain", "tensorflow_datasets", "optax"),
        "geoseg_jax but tasks, models, ops, core, scoring, data",
        "geoseg_jax.data but labels, source",
    ),
    "geoseg_jax.data": ("flax", "optax", "clu", "geoseg_jax but data, core"),  # jax: grain does
    "geoseg_jax.data.labels.table": (*HEAVY, "geoseg_jax.data but labels, source"),
    "geoseg_jax.training": (
        *("geoseg_jax.study", "geoseg_jax.main"),
        *("tensorflow", "clu.metric_writers", "wandb", "mlflow"),  # where they are asked for
    ),
    "geoseg_jax.prediction": ("geoseg_jax.study", "geoseg_jax.report", "geoseg_jax.main"),
    "geoseg_jax.probing": ("geoseg_jax.main", "geoseg_jax.probe"),
    "geoseg_jax.analysis": (*HEAVY, "jax", "flax", "geoseg_jax but analysis, core"),
    "geoseg_jax.report": ("jax", "flax", "cv2", "geoseg_jax but report, analysis, core"),
}
EVERYWHERE = ("tensorflow", "torch", "pickle")


def imported(path: pathlib.Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def offending(loaded: set[str], rule: str) -> set[str]:
    """Of these names, those that the rule forbids: 'PACKAGE', or 'PACKAGE but CHILD, CHILD'."""
    package, _, children = rule.partition(" but ")
    inside = {name for name in loaded if f"{name}.".startswith(f"{package}.")}
    if not children:
        return inside
    allowed = [f"{package}.{child}." for child in children.split(", ")]
    return {n for n in inside - {package} if not f"{n}.".startswith(tuple(allowed))}


def modules(package: str) -> list[str]:
    """The package and every module below it, or the module alone; commands excepted."""
    path = ROOT.joinpath(*package.split("."))
    if path.with_suffix(".py").is_file():
        return [package]
    files = [f for f in sorted(path.rglob("*.py")) if f.name != "__main__.py"]
    assert files, f"{package} holds no Python file"
    dotted = (".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files)
    return [name.removesuffix(".__init__") for name in dotted]


def loaded_by(names: list[str]) -> set[str]:
    """All modules of a fresh process that imports these."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("package", FORBIDDEN)
def test_layers(package):
    loaded = loaded_by(modules(package))
    for rule in FORBIDDEN[package]:
        bad = offending(loaded, rule)
        assert not bad, f"{package} must not load {rule}; it loads {sorted(bad)[:8]}"


def test_data_imports_no_jax_itself():
    for path in sorted((ROOT / "geoseg_jax/data").rglob("*.py")):
        bad = offending(imported(path), "jax")
        assert not bad, f"{path.relative_to(ROOT)} imports {sorted(bad)}"


def test_configs_are_plain_data():
    # What they share is as light as they are: a config must load without jax.
    light = {"collections", "textwrap", "typing", "ml_collections"}
    ours = ("geoseg_jax.presets", "geoseg_jax.core.near_miss", "geoseg_jax.core.encoder_names")
    for folder, known in (("geoseg_jax/presets", ours), ("configs", ours[:1])):
        for path in sorted((ROOT / folder).rglob("*.py")):
            others = {n for n in imported(path) if not n.startswith(known)} - {"geoseg_jax.core"}
            assert {n.split(".")[0] for n in others} <= light, path.name


def test_nothing_needs_tensorflow_torch_or_pickle():
    for path in sorted((ROOT / "geoseg_jax").rglob("*.py")):
        bad = {n for rule in EVERYWHERE for n in offending(imported(path), rule)}
        assert not bad, f"{path.relative_to(ROOT)} imports {sorted(bad)}"


def test_the_check_sees_an_offence():
    loaded = {"jax", "flax.linen", "geoseg_jax", "geoseg_jax.ops.color", "geoseg_jax.models.resnet"}
    assert offending(loaded, "flax") == {"flax.linen"}
    assert offending(loaded, "geoseg_jax but ops") == {"geoseg_jax.models.resnet"}
    assert offending({"geoseg_jax.data.labels2"}, "geoseg_jax.data but labels")
