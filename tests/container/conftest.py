"""What all container tests do."""

from collections.abc import Iterator

import pytest

from tests.container.stack import Stack


@pytest.fixture(autouse=True)
def show_logs_of_a_failure(request: pytest.FixtureRequest, stack: Stack) -> Iterator[None]:
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(stack.try_compose("ps").stdout)
        print(stack.try_compose("exec", "-T", stack.asked, "deltawire", "status").stdout)
        print(stack.try_compose("logs", "--tail", "30").stdout)
