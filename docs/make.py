"""Checks every local link of the Markdown pages.

    python docs/make.py
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")


def anchors(page: pathlib.Path) -> set[str]:
    """The names that a page's headings can be linked by."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(page: pathlib.Path) -> list[str]:
    """Links of a page to a file or heading that isn't there."""
    wrong = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in path or path.startswith("mailto:"):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(f"{page.relative_to(ROOT)}: {path}{'#' + anchor if anchor else ''}")
    return wrong


def main() -> int:
    """Prints broken links; exit code 1 where there are any."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]
    wrong = [link for page in sorted(pages) for link in broken(page)]
    print(*wrong, f"{len(pages)} pages, {len(wrong)} broken links", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
