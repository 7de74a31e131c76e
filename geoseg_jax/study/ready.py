"""That every job can open what it needs: told before the first is trained, not days later."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from geoseg_jax import settings, transfer
from geoseg_jax.checkpoints import CheckpointError
from geoseg_jax.data import make_data
from geoseg_jax.data.source import DataError
from geoseg_jax.settings import ConfigError
from geoseg_jax.study import records
from geoseg_jax.study.plan import Plan
from geoseg_jax.study.run import Job


def check(made: Plan, jobs: Sequence[Job]) -> None:
    """Opens the data of the unfinished jobs and the weights from elsewhere, each once.

    Raises:
      ConfigError: for the first job that would fail for want of them, with the arm to leave out.
    """
    own = {str(job.workdir) for job in made.pretrainings}
    opened: set[str] = set()
    for job in jobs:
        if records.read(job.workdir):
            continue
        try:
            # Made-up worlds need nothing, and take their time to be rendered.
            if job.config.data.get("root") and (key := _data(job.config)) not in opened:
                make_data(job.config)
                opened.add(key)
            start = str(job.config.get("init_from") or "")
            if start not in opened | own | {""}:
                transfer.read(start, job.config)
                opened.add(start)
        except (DataError, CheckpointError, ConfigError, OSError) as error:
            arm = job.arm if hasattr(job, "arm") else job.factors["arm"]
            raise ConfigError(
                f"{job.id} can't start: {error}. Without this arm: --config.without=\"('{arm}',)\""
            ) from error


def _data(config: ConfigDict) -> str:
    """What is opened; subsets of as many labels are taken to be there alike."""
    flat = settings.flatten(config)
    return repr(
        sorted((k, v) for k, v in flat.items() if k.startswith("data.") and k != "data.subset")
    )
