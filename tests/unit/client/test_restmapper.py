import logging

import pytest

from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered
from deltawire.client.restmapper.deferred import DeferredRESTMapper
from deltawire.client.restmapper.mapper import AmbiguousError, NoMatchError, RESTMapper
from deltawire.client.restmapper.shortcuts import ShortcutExpander, expand_category
from deltawire.client.schema import GroupVersion, GroupVersionKind, GroupVersionResource
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, TransportError
from deltawire.common.meta.resources import ResourceType


def resource(
    group: str, version: str, plural: str, kind: str, *short: str, categories: str = ""
) -> ApiResource:
    one = ResourceType(group, version, plural, kind, True, kind.lower(), short)
    return ApiResource(one, ("get", "list"), tuple(categories.split()))


CORE = ApiGroup("", ("v1",), "v1")
APPS = ApiGroup("apps", ("v1", "v1beta1"), "v1")
EXTENSIONS = ApiGroup("extensions.ex.io", ("v1",), "v1")
DISCOVERED = Discovered(
    (EXTENSIONS, CORE, APPS),
    (
        resource("extensions.ex.io", "v1", "pods", "Pod", "po", "xp"),
        resource("extensions.ex.io", "v1", "deployments", "Deployment"),
        resource("", "v1", "pods", "Pod", "po", categories="all"),
        resource("", "v1", "endpoints", "Endpoints", "ep"),
        resource("apps", "v1beta1", "deployments", "Deployment", "deploy", categories="all"),
        resource("apps", "v1beta1", "scales", "Scale"),
        resource("apps", "v1", "deployments", "Deployment", "deploy", categories="all"),
    ),
)


def gvr(text: str) -> GroupVersionResource:
    plural, _, rest = text.partition(".")
    return GroupVersionResource(rest, "", plural)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (gvr("pods"), ("", "v1", "pods")),
        (gvr("Pod"), ("", "v1", "pods")),
        (gvr("pods.extensions"), ("extensions.ex.io", "v1", "pods")),
        (gvr("deployments.apps"), ("apps", "v1", "deployments")),
        (GroupVersionResource("apps", "v1beta1", "deployments"), ("apps", "v1beta1", "deployments")),
        (GroupVersionResource("", "v1beta1", "scale"), ("apps", "v1beta1", "scales")),
    ],
)
def test_a_partial_resource_is_the_preferred_that_matches(
    word: GroupVersionResource, found: tuple[str, str, str]
) -> None:
    assert RESTMapper(DISCOVERED).resource_for(word) == found


def test_a_kind_has_its_resource_in_the_version_asked_for_or_the_preferred() -> None:
    mapper = RESTMapper(DISCOVERED)
    assert mapper.rest_mapping("apps", "Deployment").version == "v1"
    assert mapper.rest_mapping("apps", "Deployment", "v9", "v1beta1").version == "v1beta1"
    assert mapper.rest_mapping("apps", "DeploymentList").plural == "deployments"
    assert [one.version for one in mapper.rest_mappings("apps", "Deployment")] == ["v1", "v1beta1"]
    assert mapper.kind_for(gvr("deployments.apps")) == GroupVersionKind("apps", "v1", "Deployment")
    assert mapper.singular_for("endpoints") == "endpoints"
    for group, kind, version in (("apps", "Pod", ""), ("apps", "Deployment", "v7")):
        with pytest.raises(NoMatchError, match=kind):
            mapper.rest_mapping(group, kind, *filter(None, [version]))


def test_two_resources_of_one_kind_in_one_version_are_ambiguous() -> None:
    mapper = RESTMapper(Discovered((CORE,), (resource("", "v1", "as", "A"), resource("", "v1", "bs", "A"))))
    with pytest.raises(AmbiguousError, match=r"as \(A\), bs \(A\)"):
        mapper.rest_mapping("", "A")


def test_a_short_name_is_unfolded_by_preference_and_the_other_meaning_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    expander = ShortcutExpander(lambda: RESTMapper(DISCOVERED))
    for _ in range(2):
        assert expander.expand(gvr("po")) == gvr("pods")
    assert caplog.messages == ["po means pods here; it could also mean pods.extensions.ex.io"]
    assert expander.expand(gvr("po.extensions")) == GroupVersionResource("extensions.ex.io", "", "pods")
    assert expander.expand(gvr("xp")) == GroupVersionResource("extensions.ex.io", "", "pods")


def test_a_whole_name_is_never_taken_for_a_short_one() -> None:
    found = Discovered((CORE, APPS), (resource("", "v1", "pods", "Pod", "scale"), *DISCOVERED.resources[5:]))
    expander = ShortcutExpander(lambda: RESTMapper(found))
    assert expander.expand(gvr("scale")) == gvr("scale")
    assert expander.expand(gvr("nonsense")) == gvr("nonsense")


def test_a_category_names_each_resource_once_in_its_preferred_version() -> None:
    assert expand_category(RESTMapper(DISCOVERED), "all") == (
        ("", "v1", "pods"),
        ("apps", "v1", "deployments"),
    )
    assert expand_category(RESTMapper(DISCOVERED), "none") == ()


class Cache:
    """Cached discovery whose server learns something new with each question."""

    is_fresh = True

    def __init__(self, *answers: Discovered) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.known: Discovered | None = None

    def server_groups_and_resources(self) -> Discovered:
        if self.known is None:
            self.asked += 1
            self.known = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return self.known

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        return self.server_groups_and_resources().resources_of(group_version)

    def invalidate(self) -> None:
        self.known = None


WIDGET = Discovered((CORE, ApiGroup("ex.io", ("v1",), "v1")), (resource("ex.io", "v1", "widgets", "Widget"),))


def test_discovery_is_asked_at_first_use_and_a_miss_asks_once_more() -> None:
    cache = Cache(DISCOVERED, WIDGET)
    mapper = DeferredRESTMapper(cache, clock=FakeClock())
    assert cache.asked == 0
    mapper.resource_for(gvr("pods"))
    assert mapper.rest_mapping("ex.io", "Widget").plural == "widgets"
    assert cache.asked == 2


def test_misses_do_not_become_a_stream_of_requests() -> None:
    cache, clock = Cache(DISCOVERED), FakeClock()
    mapper = DeferredRESTMapper(cache, reset_interval_s=5, clock=clock)
    for _ in range(10):
        with pytest.raises(NoMatchError):
            mapper.kind_for(gvr("nonsense"))
    assert cache.asked == 2
    clock.advance(5)
    with pytest.raises(NoMatchError):
        mapper.kind_for(gvr("nonsense"))
    assert cache.asked == 3


def test_a_reset_forgets_and_an_ambiguity_does_not() -> None:
    cache = Cache(DISCOVERED)
    mapper = DeferredRESTMapper(cache, clock=FakeClock())
    mapper.kind_for(gvr("pods"))
    mapper.kind_for(gvr("pods"))
    assert cache.asked == 1
    mapper.reset()
    mapper.kind_for(gvr("pods"))
    assert cache.asked == 2


def test_partial_failures_are_left_out_unless_nothing_answered() -> None:
    failures: dict[str, ConfigError | TransportError] = {"down.io/v1": TransportError("no answer")}
    partial = Discovered(DISCOVERED.groups, DISCOVERED.resources, dict(failures))
    assert DeferredRESTMapper(Cache(partial)).kind_for(gvr("pods")).kind == "Pod"
    with pytest.raises(TransportError, match="no answer"):
        DeferredRESTMapper(Cache(Discovered(failures=dict(failures)))).kind_for(gvr("pods"))
