"""Makes the site of these pages with Sphinx: make site, then open docs/_build/index.html.

Pages that lie elsewhere in the repository, and one that is made from the configs, are written to
docs/_pages first. Links between all of them are those that a reader of the files has.
"""

import ast
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS, PAGES = ROOT / "docs", ROOT / "docs" / "_pages"
# Page of the site -> file of the repository.
ELSEWHERE = {
    "machines": "launch/README.md",
    "speed": "benchmarks/README.md",
    "contributing": "CONTRIBUTING.md",
    "changes": "CHANGELOG.md",
}
_LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]+)?\)")

project = "geoseg_jax"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "geoseg_jax"
html_show_copyright = False
smartquotes = False  # --config is no dash
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
napoleon_use_rtype = False
default_role = "code"  # single backticks


def link_in_site(text: str, file: pathlib.Path, page: pathlib.Path) -> str:
    """Points the links of a repository's file at pages, as seen from the page that it becomes."""
    pages = {ROOT / path: PAGES / f"{name}.md" for name, path in ELSEWHERE.items()}
    pages[ROOT / "README.md"] = DOCS / "index.md"  # which includes its commands

    def link(match: re.Match[str]) -> str:
        target = (file.parent / match[1]).resolve()
        place = pages.get(target, target)
        if not place.is_relative_to(DOCS):
            return match[0]
        return f"]({os.path.relpath(place, page.parent)}{match[2] or ''})"

    return _LINK.sub(link, text)


def configs_page() -> str:
    """Shows what each config says of itself."""
    text = "# Configs\n\nOne file per experiment: `--config=configs/NAME.py:OPTIONS`.\n"
    for path in sorted((ROOT / "configs").glob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines = (
            line if line[:4] == "    " else line.replace("*", "\\*") for line in said.split("\n")
        )
        text += f"\n## {path.name}\n\n" + "\n".join(lines) + "\n"
    return text


def as_text(*arguments) -> None:
    """Keeps |x|, a * b and indented code as they are: docstrings are no reStructuredText."""
    lines, made = arguments[-1], []
    for line in lines:
        code = line[:4] == "    "
        if code and made[-1:] == [""] and made[-2][:1] not in ("", " "):
            made += ["::", ""]
        made.append(line if code and "::" in made else re.sub(r"([|*])", r"\\\1", line))
    lines[:] = made


def setup(app) -> None:
    """Writes the pages that lie elsewhere, and has links changed in all others."""
    PAGES.mkdir(exist_ok=True)
    for name, path in ELSEWHERE.items():
        file, page = ROOT / path, PAGES / f"{name}.md"
        page.write_text(link_in_site(file.read_text("utf-8"), file, page), "utf-8")
    (PAGES / "configs.md").write_text(configs_page(), "utf-8")

    def read(_, name: str, source: list[str]) -> None:
        page = DOCS / f"{name}.md"
        if page.parent == DOCS:
            source[0] = link_in_site(source[0], page, page)

    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", as_text, priority=0)
