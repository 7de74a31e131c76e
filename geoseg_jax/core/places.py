"""Where results and data lie: folders that this machine has."""

import os
import pathlib
import re

from geoseg_jax.core.setting import ConfigError

# gs://bucket/run, s3://..., also as pathlib writes them, gs:/bucket/run; not a Windows drive.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)")


def address(folder: str | os.PathLike) -> str:
    """Returns 'gs://bucket/run' for an address that is no folder of this machine's, else ''."""
    found = _ADDRESS.fullmatch(os.fspath(folder))
    return f"{found[1]}://{found[2].rstrip('/')}" if found else ""


def check_local(folder: str | os.PathLike, what: str) -> None:
    """Refuses an address of another machine, for which a folder named `gs:` would be taken here.

    what: the setting that it comes from: '--workdir', 'config.data.root'.

    Raises:
      ConfigError: naming it and the remedy.
    """
    if found := address(folder):
        raise ConfigError(
            f"{what}={found} is an address, which a training's --workdir alone may be; "
            "mount the bucket as a folder (gcsfuse, s3fs), or name one of this machine, with a "
            "copy of what is to be read"
        )


def runs_inside(folder: str | os.PathLike) -> str:
    """Returns '; it holds a study, ...' where the runs of one lie in the folder, else ''."""
    if not pathlib.Path(folder, "study.json").is_file():
        return ""
    return f"; it holds a study: name one of its runs, {folder}/pretraining/NAME or /cells/NAME"
