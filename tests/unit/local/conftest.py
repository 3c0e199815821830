import functools

import pytest

from deltawire.reflector.backoff import Backoff


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Retries come soon; how long real ones wait is tested with the back-off itself."""
    monkeypatch.setattr(
        "deltawire.local.reflector.Backoff", functools.partial(Backoff, base_s=0.01, cap_s=0.05)
    )
