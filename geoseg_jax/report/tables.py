"""Writes a study's tables in Markdown, readable as they are, and in LaTeX (booktabs)."""

import re

from geoseg_jax.report.explanation import explanation
from geoseg_jax.report.findings import Cell, Table, tables
from geoseg_jax.report.naming import Study
from geoseg_jax.report.notes import Notes, footnotes

# Conditions side by side.
MARKDOWN_COLUMNS, LATEX_COLUMNS = 6, 3


def markdown(study: Study) -> str:
    """Writes all tables of a study, with its answer above and how to read them below.

    study: what geoseg_jax.analysis.results.assemble gives.
    """
    notes = footnotes(study)
    made = tables(study, notes, MARKDOWN_COLUMNS)
    parts = [f"# {_escaped(study['title']) or 'Study'}"]
    parts += [_escaped(sentence) for sentence in study["answer"]]
    for table in made:
        parts.append(markdown_table(table))
    listed = [f"- [{letter}] {_escaped(text)}" for letter, text in _used(notes, made)]
    parts += ["\n".join(listed)] if listed else []
    return "\n\n".join([*parts, _escaped(explanation(study))]) + "\n"


def latex(study: Study) -> str:
    r"""Writes the same tables and notes in LaTeX; the preamble needs \usepackage{booktabs} alone.

    study: as for `markdown`.
    """
    notes = footnotes(study)
    made = tables(study, notes, LATEX_COLUMNS)
    parts = [_latex(table) for table in made]
    parts += [rf"\noindent$^{{{letter}}}$ {_tex(text)}\par" for letter, text in _used(notes, made)]
    parts.append(rf"\noindent {_tex(explanation(study))}\par")
    return "% \\usepackage{booktabs}\n" + "\n".join(parts) + "\n"


def _used(notes: Notes, made: list[Table]) -> list[tuple[str, str]]:
    """Lists (letter, text) of the notes that the tables mention."""
    there = {letter for table in made for row in table.rows for c in row for letter in c.marks}
    return [(letter, text) for text, letter in notes.items() if letter in there]


def markdown_table(table: Table) -> str:
    """Writes a table under its caption, with columns padded: it can be read without a viewer."""
    lines = [[_escaped(text) for text in table.header]]
    lines += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    widths = [max(len(line[j]) for line in lines) for j in range(len(table.header))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([t.ljust(w) for t, w in zip(line, widths, strict=True)] for line in lines)
    body = "\n".join(f"| {' | '.join(line)} |" for line in padded)
    return f"**{_escaped(table.caption)}**\n\n{body}"


def _markdown_cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    marks = f" [{', '.join(cell.marks)}]" if cell.marks else ""
    return (f"**{text}**" if cell.bold else text) + marks


def _escaped(text: str) -> str:
    return re.sub(r"([|\\*_`<]|(?<=\])\()", r"\\\1", _line(text))


def _latex(table: Table) -> str:
    rows = [[_latex_cell(cell) for cell in row] for row in table.rows]
    lines = [r"\begin{table}[t]", r"\centering", rf"\caption{{{_tex(table.caption)}}}"]
    lines += [rf"\begin{{tabular}}{{l{'c' * (len(table.header) - 1)}}}", r"\toprule"]
    lines += [_latex_row([_tex(text) for text in table.header]), r"\midrule"]
    lines += map(_latex_row, rows)
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _latex_row(cells: list[str]) -> str:
    # LaTeX takes a bracket after the end of a row as that row's height, and swallows a star.
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return guard + " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{_tex(cell.text)}}}" if cell.bold else _tex(cell.text)
    return text + (f"$^{{{','.join(cell.marks)}}}$" if cell.marks else "")


_TEX = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"±": r"$\pm$", "−": "$-$", "–": "--", "<": "$<$", ">": "$>$", "≤": r"$\le$"},
    **{"→": r"$\to$", "×": r"$\times$", "·": r"$\cdot$", "…": r"\dots{}", "≥": r"$\ge$"},
    **{"“": "``", "”": "''", "’": "'", "—": "---"},
}
_LATIN = 0x180  # pdflatex knows letters below it


def _tex(text: str) -> str:
    """Escapes; a letter that pdflatex doesn't have is written as its number."""
    known = (_TEX.get(c, c if ord(c) < _LATIN else f"[U+{ord(c):04X}]") for c in _line(text))
    return "".join(known)


def _line(text: str) -> str:
    return " ".join(text.split())
