"""Messages keep their beginning and end, whatever a file brings into them."""

from geoseg_jax.core.one_line import one_line
from geoseg_jax.data.source import BadRecord


def test_what_fits_stays_as_it_is():
    text = "/data/größe.png: it is 3x4; get it again"
    assert one_line(text) == text


def test_what_is_long_or_wild_fits_afterwards():
    error = BadRecord(
        "/data/a.txt:3: '" + "9" * 10_000 + "\n\x1b[31m\x00\udcff' is none; correct it"
    )
    text = str(error)
    assert text.startswith("/data/a.txt:3: '999")
    assert text.endswith("\\x1b[31m\\x00\\udcff' is none; correct it")
    assert " [...] " in text
    assert len(text) < 1000
    assert text.isprintable()
