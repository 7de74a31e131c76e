"""Where results go: folders that this machine has."""

import os
import re

from geoseg_jax.core.setting import ConfigError

# gs://bucket/run, s3://..., also as pathlib writes them, gs:/bucket/run; not a Windows drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def check_local(folder: str | os.PathLike, what: str) -> None:
    """Refuses an address of another machine, of which a folder named `gs:` would be made here.

    what: the setting that it comes from: '--workdir'.

    Raises:
      ConfigError: naming it and the remedy.
    """
    if _ADDRESS.match(os.fspath(folder)):
        raise ConfigError(
            f"{what}={os.fspath(folder)} is an address, and results are written to folders only; "
            "mount the bucket as a folder, or choose one of this machine"
        )
