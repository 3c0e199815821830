"""Comparing what a suite came to with what is pinned of it."""

from collections.abc import Mapping

from tests.suites.pins import Suite


def judge(suite: Suite, outcomes: Mapping[str, bool], output: str) -> None:
    """Fail where a test fails that is not pinned, a pinned one passes or is gone, or too few have run.

    ``outcomes`` says of each test that ran whether it passed, by name; ``output`` is shown with a failure.
    """
    failed = {name for name, has_passed in outcomes.items() if not has_passed}
    end = output[-6000:]
    assert len(outcomes) >= suite.tests_min, f"only {len(outcomes)} tests ran\n{end}"
    assert failed - set(suite.failing) == set(), f"these fail and are not pinned\n{end}"
    assert set(suite.failing) - failed == set(), "these are pinned and do not fail any more"
