"""Keeps compiled programs from one start to the next: to compile a step takes half a minute."""

import os
import pathlib

import jax

from geoseg_jax.data.made_once import default_cache_dir

# jax's own setting: another folder, or '' to keep nothing.
SETTING = "JAX_COMPILATION_CACHE_DIR"
NOT_KEPT = "compiled programs are not kept"  # how the line begins that says so
# Set where the user hasn't: the oldest programs make room, and those of a few lines are kept too,
# of which a start compiles dozens.
_LIMITS = {
    "jax_compilation_cache_max_size": 2 * 2**30,  # bytes; a training step takes a few MB
    "jax_persistent_cache_min_compile_time_secs": 0.2,
}


def keep_compiled() -> str:
    """Makes this process keep what it compiles; must come before it compiles anything.

    In the user's cache folder, unless SETTING says otherwise: a folder that the user names has the
    user's limits.

    Returns:
      A line that says where.
    """
    given = os.environ.get(SETTING)
    if given == "":
        return f"{NOT_KEPT} ({SETTING} is empty)"
    if given:
        return f"compiled programs are kept in {given} ({SETTING})"
    folder = default_cache_dir() / "compiled"
    if not _can_write(folder):
        return f"{NOT_KEPT}: {folder} can't be written; set {SETTING} to a folder"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _LIMITS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    return (
        f"compiled programs are kept in {folder}, 2 GB at most; {SETTING} names another folder, "
        "or is empty for none"
    )


def _can_write(folder: pathlib.Path) -> bool:
    """Tells whether a folder can be written, or made; makes nothing."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
