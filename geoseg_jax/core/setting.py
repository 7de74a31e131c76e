"""A setting as its owner declares it: a task, a reader, or a part of the program."""

from typing import NamedTuple

from geoseg_jax.core.rules import Rule


class Setting(NamedTuple):
    """One key of a configuration; its name stands before it, in the owner's mapping.

    rule: what values it takes.
    meaning: in one line, units included, for --help and docs.
    on_resume: a run may go on with another value.
    numbers: it changes a run's numbers: arms that differ in it are not compared.
    operations: it changes the operations of a training step, and so what the step costs.
    records: it changes which records are read, or what is in them.
    """

    rule: Rule
    meaning: str
    on_resume: bool = False
    numbers: bool = True
    operations: bool = True
    records: bool = True
