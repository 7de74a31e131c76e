"""Every reader, ours and those of others, keeps to the record by which general code knows it."""

import pytest
from ml_collections import ConfigDict

from geoseg_jax.core.setting import ConfigError, Setting
from geoseg_jax.data.readers import READERS, find_reader
from geoseg_jax.data.source import DataError

FROM_FILES = [name for name in READERS if READERS[name].layout]


@pytest.mark.parametrize("name", READERS)
def test_a_record_is_whole(name):
    reader = READERS[name]
    assert all(key.startswith("data.") for key in (*reader.settings, *reader.needs))
    assert all(isinstance(setting, Setting) for setting in reader.settings.values())
    lines = [setting.meaning for setting in reader.settings.values()]
    assert not any("\n" in line for line in (*lines, reader.layout, reader.how_to_get))


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_root_that_is_not_there_is_told_with_what_should_be(name, tmp_path):
    reader, nowhere = READERS[name], str(tmp_path / "nowhere")
    for root, said in (("", "config.data.root is empty"), (nowhere, f"root={nowhere!r} is not ")):
        with pytest.raises(DataError) as error:
            reader.read(ConfigDict({"root": root}))
        assert all(p in str(error.value) for p in (said, reader.layout, reader.how_to_get))


def test_an_unknown_name_is_told_with_the_near_miss():
    with pytest.raises(DataError, match=r"config.data.eval_name='kiti' .* did you mean 'kitti'"):
        find_reader("kiti", "eval_name")


def test_a_reader_checks_its_settings_together():
    check, known = READERS["video"].check, {"data.intrinsics": "fov", "data.fov": 60.0}
    check(known)
    with pytest.raises(ConfigError, match="a video has no stereo partner"):
        check(known | {"data.stereo": True})
    with pytest.raises(ConfigError, match=r"needs config.data.calibration"):
        check({"data.intrinsics": "given"})
