"""The table of settings: what its flags say, and that everything names what is in it."""

from geoseg_jax.config import table
from geoseg_jax.core.setting import Setting
from geoseg_jax.study import guard
from geoseg_jax.tasks import TASKS
from geoseg_jax.training import programs


def test_a_setting_that_changes_no_number_changes_no_operation():
    """Where the data lies changes which records are there, but must not."""
    for key, setting in table.everything().items():
        assert setting.operations <= setting.numbers, key
        assert setting.records or setting.split == "", key


def test_a_setting_of_several_tasks_has_the_same_flags_in_all():
    def flags(setting):
        return setting._replace(rule=None, meaning="", optional=False)

    for task in TASKS.values():
        for key, setting in task.settings.items():
            assert flags(setting) == flags(Setting(None, "")), key


def test_others_name_settings_that_there_are():
    named = {key for keys in guard.SETTINGS.values() for key in keys} | programs.INDEPENDENT
    assert named <= set(table.everything())


def test_what_may_change_on_resume_and_what_is_never_compared():
    """Flags that are set by mistake let two experiments pass for one."""
    beside = {"log_every", "checkpoint_every", "checkpoints_kept", "pictures_every", "profile_at"}
    beside |= {"writers", "remat"}
    assert table.keys(lambda s: not s.numbers) == {f"train.{name}" for name in beside} | {
        f"data.{name}" for name in ("root", "eval_root", "cache_dir", "workers")
    }
    assert table.keys(lambda s: s.on_resume and s.numbers) == {
        f"train.{name}" for name in ("steps", "eval_every", "eval_batch_size")
    }
