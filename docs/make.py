"""Writes docs/settings.md from the declared settings, and checks every local link.

python docs/make.py
"""

import pathlib
import re
import sys

from geoseg_jax.config import table
from geoseg_jax.core.setting import Setting
from geoseg_jax.data import settings as of_data
from geoseg_jax.data.readers import READERS
from geoseg_jax.study import check
from geoseg_jax.tasks import TASKS
from geoseg_jax.training import settings as of_training

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")
HEAD = """# Settings

Written by `make docs` from what their owners declare.
`python -m geoseg_jax.main --config=FILE --print_config` prints the values of a config and where
each comes from; `--config.KEY=VALUE` changes one. R: a run may continue with another value.
"""


STUDIES = """
## Of studies

`python -m geoseg_jax.study --config=FILE --config.KEY=VALUE`, as in
`--config.factors.training="('frozen',)"`. Settings of the target's config are changed by
`--config.target.set.KEY=VALUE`, those of all pre-trainings by `--config.pretraining.KEY=VALUE`.
"""
OF_STUDIES = {
    "A study needs": check.NEEDED,
    "It may have": check.OPTIONAL,
    "Each of `arms` may have (`name` it must)": check.ARM_KEYS,
    "`sweep` has": check.SWEEP_KEYS,
}
_NOTHING = object()  # which no rule takes: it says what it would


def settings_page() -> str:
    """Lists every setting once for each that uses it: all runs, readers, tasks."""
    sections = [("Training", of_training.SETTINGS), ("Data", of_data.SETTINGS)]
    owned = {f"data.name={name!r}": reader.settings for name, reader in READERS.items()}
    owned |= {f"task.name={name!r}": task.settings for name, task in TASKS.items()}
    users: dict[str, list[str]] = {}
    for owner, settings in owned.items():
        for key in settings:
            users.setdefault(key, []).append(owner.partition("=")[2].strip("'"))
    declared = table.everything()
    text = HEAD + "".join(f"\n## {name}\n\n{_rows(settings, {})}" for name, settings in sections)
    shown = {key for _, settings in sections for key in settings}
    for title, start in (("Of some data", "data."), ("Of some tasks", ("task.", "model."))):
        some = {k: declared[k] for k in sorted(users) if k.startswith(start) and k not in shown}
        text += f"\n## {title}\n\n{_rows(some, users)}"
    return (
        text + STUDIES + "".join(f"\n{head}:\n\n{_meanings(k)}" for head, k in OF_STUDIES.items())
    )


def _rows(settings: dict[str, Setting], users: dict[str, list[str]]) -> str:
    head = ["setting", "", "meaning", "values"] + (["of"] if users else [])
    lines = [head, ["---"] * len(head)]
    for key, setting in settings.items():
        mark = "R" if setting.on_resume else ""
        values = (setting.rule(_NOTHING) or "").removeprefix("must be ")
        lines.append(
            [f"`{key}`", mark, *(t.replace("|", "\\|") for t in (setting.meaning, values))]
        )
        if users:
            lines[-1].append(", ".join(users[key]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _meanings(keys: dict[str, str]) -> str:
    rows = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in keys.items())
    return f"| setting | meaning |\n| --- | --- |\n{rows}"


def anchors(page: pathlib.Path) -> set[str]:
    """Finds the names that a page's headings can be linked by."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: pathlib.Path) -> list[str]:
    """Finds the links of a page to a file or heading that isn't there."""
    wrong = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in path or path.startswith("mailto:"):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(f"{page.relative_to(ROOT)}: {path}{'#' + anchor if anchor else ''}")
    return wrong


def main() -> int:
    """Writes the page and prints broken links; exit code 1 where there are any."""
    (ROOT / "docs" / "settings.md").write_text(settings_page(), encoding="utf-8")
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/results/*.md")]
    wrong = [link for page in sorted(pages) for link in broken(page)]
    print(*wrong, f"{len(pages)} pages, {len(wrong)} broken links", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
