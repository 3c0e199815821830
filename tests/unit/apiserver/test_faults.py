"""The plan of faults: which request meets which, how often, and what is refused."""

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.faults.fault import Came, Fault
from deltawire.apiserver.faults.plan import FAULTS_MAX, FaultPlan
from deltawire.apiserver.faults.reading import parse_fault
from deltawire.common.errors import ConfigError, StatusError

ALL = ("error", "latency")


def met(plan: FaultPlan, resource: str = "pods", verb: str = "list") -> list[str]:
    return [fault.kind for fault in plan.take(ALL, Came(resource, verb))]


def test_a_fault_meets_its_resource_and_verb_only() -> None:
    plan = FaultPlan()
    plan.add(Fault("error", resource="pods", verb="list"))
    assert met(plan) == ["error"]
    assert met(plan, resource="nodes") == []
    assert met(plan, verb="get") == []
    assert plan.take(("latency",), Came("pods", "list")) == []


def test_a_fault_meets_its_path_or_what_begins_so_and_its_user() -> None:
    plan = FaultPlan()
    one, below, user = Fault("error", path="/a/b"), Fault("error", path="/a/*"), Fault("error", user="ada")
    for fault in (one, below, user):
        plan.add(fault)

    def found(path: str, name: str = "bob", resource: str = "pods") -> list[tuple[str, str]]:
        return [(f.path, f.user) for f in plan.take(ALL, Came(resource, "get", path, name))]

    assert found("/a/b") == [("/a/b", ""), ("/a/*", "")]
    assert found("/a/b/c") == [("/a/*", "")]
    assert found("/b", "ada") == [("", "ada")]
    # What is for no resource is met only where its path is named.
    assert found("/a/x", "ada", resource="") == [("/a/*", "")]


def test_a_counted_fault_is_gone_when_it_is_used_up() -> None:
    plan = FaultPlan()
    plan.add(Fault("error", count=2))
    plan.add(Fault("latency"))
    assert [met(plan) for _ in range(3)] == [["error", "latency"], ["error", "latency"], ["latency"]]
    assert [fault.kind for fault in plan.faults] == ["latency"]
    assert plan.met == {"error": 2, "latency": 3}


def test_clearing_one_leaves_the_others() -> None:
    plan = FaultPlan()
    first, second = plan.add(Fault("error")), plan.add(Fault("latency"))
    assert plan.clear(first.id) == 1
    assert plan.clear(first.id) == 0
    assert met(plan) == ["latency"]
    assert (plan.is_cleared(first), plan.is_cleared(second)) == (True, False)
    assert plan.clear() == 1
    assert plan.is_cleared(second)
    assert not plan.is_cleared(plan.add(Fault("error")))


def test_whoever_listens_hears_of_changes() -> None:
    plan = FaultPlan()
    heard: list[int] = []
    plan.on_change(lambda: heard.append(len(plan.faults)))
    plan.add(Fault("error"))
    plan.clear()
    assert heard == [1, 0]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("explode"),
        Fault("error", 399),
        Fault("error", 600),
        Fault("error", 404.5),
        Fault("bare-status", 0),
        Fault("error-event", 200),
        Fault("error", path="api"),
        Fault("latency", -1),
        Fault("latency", float("nan")),
        Fault("latency", float("inf")),
        Fault("latency", 1e9),
        Fault("slow", 0),
        Fault("error", count=0),
    ],
)
def test_what_makes_no_sense_is_refused(fault: Fault) -> None:
    with pytest.raises(StatusError) as refused:
        FaultPlan().add(fault)
    assert refused.value.code == 400


def test_faults_are_bounded() -> None:
    plan = FaultPlan()
    for _ in range(FAULTS_MAX):
        plan.add(Fault("error"))
    with pytest.raises(StatusError) as refused:
        plan.add(Fault("error"))
    assert refused.value.code == 429


def names(core: ApiCore) -> list[str]:
    return [record.name for record in core.list("configmaps").records]


def test_a_rewound_store_is_as_it_was_and_gives_its_versions_again(core: ApiCore) -> None:
    for name in "ab":
        core.create("configmaps", {"metadata": {"name": name}}, "default")
    then = core.store.version
    before = core.get("configmaps", "a", "default").body
    watch = core.watch("configmaps")
    core.patch("configmaps", lambda o: {**o, "data": {"x": "1"}}, "a", "default")
    core.delete("configmaps", "b", "default")
    core.create("configmaps", {"metadata": {"name": "c"}}, "default")
    core.rewind(then)
    assert names(core) == ["a", "b"]
    assert core.get("configmaps", "a", "default").body == before
    watch.take(1 << 20)
    watch.take(1 << 20)
    assert watch.is_over
    again = core.create("configmaps", {"metadata": {"name": "d"}}, "default")
    assert again.version == then + 1
    assert names(core) == ["a", "b", "d"]


def test_a_version_that_never_was_or_is_forgotten_cannot_be_gone_back_to(core: ApiCore) -> None:
    core.create("configmaps", {"metadata": {"name": "a"}}, "default")
    then = core.store.version
    core.create("configmaps", {"metadata": {"name": "b"}}, "default")
    codes = []
    for version in (0, core.store.version + 1):
        with pytest.raises(StatusError) as refused:
            core.rewind(version)
        codes.append(refused.value.code)
    core.compact()
    with pytest.raises(StatusError) as refused:
        core.rewind(then)
    assert [*codes, refused.value.code] == [400, 400, 410]
    assert names(core) == ["a", "b"]


def test_a_share_of_the_requests_is_met() -> None:
    numbers = iter([0.9, 0.1, 0.5, 0.49])
    plan = FaultPlan(draw=lambda: next(numbers))
    plan.add(Fault("error", share=0.5, count=2))
    assert [met(plan) for _ in range(4)] == [[], ["error"], [], ["error"]]
    assert plan.faults == []


def test_a_fault_ends_when_its_time_is_over_and_tells_so() -> None:
    now = [100.0]
    plan = FaultPlan(now_s=lambda: now[0])
    told: list[int] = []
    plan.on_change(lambda: told.append(1))
    fault = plan.add(Fault("error", lasts_s=5))
    assert plan.next_end_s == 5
    now[0] += 4
    assert met(plan) == ["error"]
    assert len(told) == 1
    now[0] += 1
    plan.expire()
    assert (met(plan), len(told), plan.is_cleared(fault), plan.next_end_s) == ([], 2, True, None)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("error", share=0), "share"),
        (Fault("error", share=1.1), "share"),
        (Fault("error", lasts_s=0), "lasts_s"),
        (Fault("tls-refused", resource="pods"), "meets connections"),
        (Fault("drop", message="why"), "sends no Status"),
    ],
)
def test_what_makes_no_sense_of_a_fault_is_named(fault: Fault, told: str) -> None:
    with pytest.raises(StatusError, match=told):
        FaultPlan().add(fault)


def test_a_fault_is_read_from_one_word() -> None:
    read = parse_fault("error=403,resource=pods,verb=list,count=3,share=0.5,lasts_s=2,message=go away")
    assert read == Fault("error", 403, "pods", "list", 3, share=0.5, lasts_s=2, message="go away")


@pytest.mark.parametrize("text", ["", "nonsense", "error=x", "error,colour=red", "error=403,count=many"])
def test_a_word_that_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"fault: "):
        parse_fault(text)
