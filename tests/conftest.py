"""Fixtures for every test come from ``tests/support``; each module there is one topic."""

pytest_plugins = [
    "deltawire.apiserver.pytest_plugin",
    "tests.support.garbage",
    "tests.support.watchdog",
    "tests.support.leftovers",
    "tests.support.servers",
]
