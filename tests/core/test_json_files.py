"""JSON files are read whole, with the keys that are asked for, or told by name."""

import pytest

from geoseg_jax.core import json_files
from geoseg_jax.core.json_files import FileError, read_json, read_json_lines

KEYS = {"step": int, "data.size": int, "rates": dict[str, float], "note": str | None}
GOOD = '{"step": 1, "data": {"size": 2}, "rates": {"a": 1, "b": 0.5}}'


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "a.json"
    assert read_json(path, "the state", KEYS) is None
    assert read_json(__file__ + "/state.json", "the state", KEYS) is None  # below a file
    path.write_text(GOOD)
    assert read_json(path, "the state", KEYS)["data"] == {"size": 2}
    json_files.write_json(path, {"step": 3, "data.size": 4, "rates": {}, "note": "n"})
    assert read_json(path, "the state", KEYS)["step"] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (GOOD[:-1].encode(), "is not JSON (line 1: "),
        (b"\xff" + GOOD.encode(), "is UTF-8 text"),
        (b"[]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"step": NaN}', "the value NaN"),
        (b'{"data": {"size": 2}}', "lacks 'step'"),
        (b'{"step": 1, "data": []}', "lacks 'data.size'"),
        (b'{"step": true}', "'step' = true, which is not an integer"),
        (b'{"step": 1.5}', "'step' = 1.5, which is not an integer"),
        (b'{"step": null}', "lacks 'step'"),
        (b'{"step": 1, "data": {"size": "2"}}', "'data.size' = \"2\", which is not an integer"),
        (GOOD.replace("0.5", '"x"').encode(), "which is not an object, each entry a number"),
        ((GOOD[:-1] + ', "note": 3}').encode(), "'note' = 3, which is not a string or null"),
        (b"1" * 5000, "Exceeds the limit"),
    ],
)
def test_damage_is_named_in_one_line(content, said, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as error:
        read_json(path, "the state", KEYS, "remove it")
    text = str(error.value)
    assert text.startswith(f"{path} is damaged: the state ")
    assert said in text
    assert text.endswith("; remove it")
    assert "\n" not in text


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileError, match="the state can't be read"):
        read_json(tmp_path, "the state", {})
    with pytest.raises(FileError, match="the log can't be read"):
        read_json_lines(tmp_path, "the log", {})


def test_a_list_of_objects_and_any_key(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"parents": [{"sha": "x"}, {"sha": 1}]}')
    with pytest.raises(FileError, match="'sha' = 1, which is not a string"):
        read_json(path, "the state", {"parents": [{"sha": str}]})
    path.write_text('{"a": 1, "b": null, "c": "2"}')
    with pytest.raises(FileError, match="'c' = \"2\", which is not a number or null"):
        read_json(path, "the state", {"*": float | None})


def test_lines_and_the_half_one_at_the_end(tmp_path):
    path = tmp_path / "a.jsonl"
    assert read_json_lines(path, "the log", {"step": int}) == []
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert read_json_lines(path, "the log", {"step": int}) == [{"step": 1}, {"step": 2}]
    path.write_bytes(b'{"step": 1}\n{"stop": 2}\n')
    with pytest.raises(FileError, match=r"damaged: line 2 of the log lacks 'step'; .*remove that"):
        read_json_lines(path, "the log", {"step": int})
