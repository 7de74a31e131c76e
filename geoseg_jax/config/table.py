"""The table of all settings, collected from those who declare them: training, data and tasks."""

from collections.abc import Callable

from geoseg_jax.core.setting import Setting
from geoseg_jax.data import settings as of_data
from geoseg_jax.data.readers import READERS
from geoseg_jax.tasks import TASKS
from geoseg_jax.training import settings as of_training


def shared() -> dict[str, Setting]:
    """Collects the settings that a run may have whatever its task: those of all readers too.

    A config keeps the settings of its data where the data is packed, or read in another way.
    """
    own = {key: s for reader in READERS.values() for key, s in reader.settings.items()}
    return of_training.SETTINGS | of_data.SETTINGS | own


def everything() -> dict[str, Setting]:
    """Collects the settings of all tasks with the shared ones."""
    return shared() | {k: s for task in TASKS.values() for k, s in task.settings.items()}


def keys(wanted: Callable[[Setting], bool]) -> frozenset[str]:
    """Finds the settings for which `wanted` holds, as in keys(lambda s: s.on_resume)."""
    return frozenset(key for key, setting in everything().items() if wanted(setting))
