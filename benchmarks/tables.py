"""Prints what benchmarks/train_step.py found."""

from typing import Any

from rich.console import Console
from rich.table import Table


def show(figures: dict[str, Any], machine: str) -> None:
    """Prints a table of each measurement, a line a side; times in milliseconds."""
    for what, title in (("loss_kernels", "loss kernels"), ("step", "step")):
        ending = "_cpu_seconds"
        names = [
            key.removeprefix(f"{what}_").removesuffix(ending)
            for key in figures
            if key.startswith(f"{what}_") and key.endswith(ending)
        ]
        if names:
            _show_sides(figures, what, names, f"{title}: {figures['setting']} on {machine}")
    if "profile" in figures:
        _show_profile(figures["profile"])


def _show_sides(figures: dict[str, Any], what: str, names: list[str], title: str) -> None:
    table = Table(title=title, caption=_ratios(figures, what))
    columns = ("side", "ms", "range", "cpu ms", "cores", "idle", "first step, s", "over ours")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=not number)
    for name in names:
        of = {k: figures.get(f"{what}_{name}_{k}") for k in ("seconds", "cpu_seconds", "cores")}
        fastest, slowest = figures[f"{what}_{name}_range"]
        first, ratio = (figures.get(f"{what}_{name}_{k}") for k in ("first_s", "ratio"))
        table.add_row(
            name,
            f"{of['seconds'] * 1e3:.0f}",
            f"{fastest * 1e3:.0f}-{slowest * 1e3:.0f}",
            f"{of['cpu_seconds'] * 1e3:.0f}",
            f"{of['cores']:.2f}",
            f"{figures[f'{what}_{name}_idle_cores']:.2f}",
            f"{first:.1f}" if first else "",
            f"{ratio:.2f}" if ratio else "",
        )
    Console().print(table)


def _ratios(figures: dict[str, Any], what: str) -> str:
    found = [
        f"best {kind} twin / ours: {figures[key]:.2f}"
        for kind, key in (("float32", f"{what}_ratio"), ("bfloat16", f"{what}_ratio_bfloat16"))
        if key in figures
    ]
    return ", ".join(found)


def _show_profile(profile: dict[str, Any]) -> None:
    sgemm = profile["sgemm_gflop_per_second"]
    share = profile["traced_seconds"] / profile["step_seconds"]
    title = f"our step: {1e3 * profile['step_seconds']:.0f} ms, of which kernels {share:.0%}"
    table = Table(title=title, caption=f"a plain matrix product: {sgemm:.0f} GFLOP/s")
    for number, column in enumerate(("", "pass", "ms", "GFLOP", "GFLOP/s", "of sgemm")):
        table.add_column(column, justify="right" if number > 1 else "left")
    for name in ("rows", "kinds"):
        for row in profile[name]:
            table.add_row(
                *(row["what"], row["pass"], f"{1e3 * row['seconds']:.1f}", f"{row['gflop']:.1f}"),
                f"{row['gflop_per_second']:.0f}",
                f"{row['gflop_per_second'] / sgemm:.0%}",
            )
        table.add_section()
    Console().print(table)
