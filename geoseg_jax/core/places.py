"""Where results and data lie: folders that this machine has."""

import os
import pathlib
import re

from geoseg_jax.core.setting import ConfigError

# gs://bucket/run, s3://..., also as pathlib writes them, gs:/bucket/run; not a Windows drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def check_local(folder: str | os.PathLike, what: str) -> None:
    """Refuses an address of another machine, for which a folder named `gs:` would be taken here.

    what: the setting that it comes from: '--workdir', 'config.data.root'.

    Raises:
      ConfigError: naming it and the remedy.
    """
    if _ADDRESS.match(os.fspath(folder)):
        raise ConfigError(
            f"{what}={os.fspath(folder)} is an address, and this program reads and writes folders "
            "only; mount the bucket as a folder (gcsfuse, s3fs), or choose one of this machine"
        )


def runs_inside(folder: str | os.PathLike) -> str:
    """Returns '; it holds a study, ...' where the runs of one lie in the folder, else ''."""
    if not pathlib.Path(folder, "study.json").is_file():
        return ""
    return f"; it holds a study: name one of its runs, {folder}/pretraining/NAME or /cells/NAME"
