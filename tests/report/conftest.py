"""A browser for the tests of the page."""

import pytest

from tests.report import browser


@pytest.fixture(scope="module")
def chromium():
    path = browser.find()
    if path is None:
        pytest.skip("no Chromium: install one, or name it in GEOSEG_JAX_CHROMIUM")
    with browser.Browser(path) as opened:
        yield opened
