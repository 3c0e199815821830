"""One resource, one stream: an informer that is the same as another one under another name is refused (P6)."""

import pytest

from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType
from deltawire.reflector.listwatch import ClusterListerWatcher

WIDGETS = ResourceType("ex.io", "v1", "widgets", "Widget", True, "widget", ("wd",))
OTHERS = ResourceType("other.io", "v1", "widgets", "Widget", True, "widget", ("wd",))


class NoCluster:
    client = None


def source(word, *before, served=WIDGETS):
    asked = []

    def resolve(_, text):
        asked.append(text)
        return OTHERS if "other.io" in text else served

    return ClusterListerWatcher(NoCluster(), word, "*", resolve, before=before), asked


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("wd", "widgets.ex.io"),
        ("widgets.ex.io", "wd"),
        ("Widget", "widgets.v1.ex.io"),
        ("widget", "wd.ex.io"),
    ],
)
def test_a_twin_is_refused_and_both_names_are_said(word, other):
    stream, _ = source(word, "gadgets.ex.io", other)
    with pytest.raises(ConfigError) as caught:
        stream.resource()
    assert repr(word) in str(caught.value)
    assert repr(other) in str(caught.value)
    assert "name it widgets.ex.io everywhere" in str(caught.value)


def test_nothing_more_is_asked_for_informers_that_cannot_be_the_same():
    stream, asked = source("widgets.ex.io", *(f"gadgets{number}.ex.io" for number in range(1000)))
    assert stream.resource() == WIDGETS
    assert asked == ["widgets.ex.io"]


def test_a_name_that_two_groups_share_is_no_twin_of_the_other_one():
    stream, _ = source("widgets.other.io", "wd")
    assert stream.resource() == OTHERS
