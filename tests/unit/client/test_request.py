import msgspec
import pytest

from deltawire.client.rest.call import Call
from deltawire.client.rest.request import Request
from deltawire.client.rest.result import Result
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import find

PODS, DEPLOYMENTS, NODES = find("pods"), find("deployments"), find("nodes")


class Recorder:
    """Takes what a request would send."""

    def __init__(self):
        self.calls: list[Call] = []

    def execute(self, call: Call) -> Result:
        self.calls.append(call)
        return Result(200, {}, b"{}")

    def open_stream(self, call: Call):
        self.calls.append(call)


def request(verb: str = "GET", base: str = "/api/v1") -> Request:
    return Request(Recorder(), verb, base_path=base)


@pytest.mark.parametrize(
    ("built", "path"),
    [
        (request().resource("pods"), "/api/v1/pods"),
        (request().namespace("").resource("Pods"), "/api/v1/pods"),
        (request().name("web").resource("pods").namespace("ns"), "/api/v1/namespaces/ns/pods/web"),
        (
            request(base="/apis/apps/v1")
            .sub_resource("scale")
            .name("w")
            .namespace("n")
            .resource("deployments"),
            "/apis/apps/v1/namespaces/n/deployments/w/scale",
        ),
        (request(base="").resource(DEPLOYMENTS).namespace("n"), "/apis/apps/v1/namespaces/n/deployments"),
        (request(base="/api/v1").resource(DEPLOYMENTS), "/apis/apps/v1/deployments"),
        (request().resource(NODES).namespace_if_scoped("n", NODES.namespaced).name("a"), "/api/v1/nodes/a"),
        (request().abs_path("/version"), "/version"),
        (request().abs_path("/apis/").suffix("apps", "v1"), "/apis/apps/v1"),
        (
            request().namespace("n").resource("services").name("s").sub_resource("proxy").suffix("a", "b"),
            "/api/v1/namespaces/n/services/s/proxy/a/b",
        ),
    ],
)
def test_the_path_is_built_in_the_servers_order(built: Request, path: str):
    assert built.call().path == path


@pytest.mark.parametrize(
    ("built", "message"),
    [
        (request().resource("pods").resource("nodes"), "resource is already set to 'pods'"),
        (request().namespace("a").namespace("b"), "namespace is already set to 'a'"),
        (request().name("a").name("b"), "name is already set to 'a'"),
        (request().sub_resource("a").sub_resource("b"), "sub-resource is already set to 'a'"),
        (request().resource("pods").name(""), "the name may not be empty"),
        (request().timeout(0), "above 0"),
        (request().abs_path("/x").set_header("X-A", "b\r\nX-C: d"), "cannot be sent"),
        (request().resource("pods").body({1: object()}), "cannot be written as JSON"),
        (request().abs_path("version"), "not an absolute path"),
        (request().abs_path("/a/../b"), "not an absolute path"),
        (request(base="").resource("pods"), "without group and version"),
        (request("POST").namespace("").resource("pods"), "during creation"),
        *[
            (request(verb).namespace("").resource("pods").name("a"), "when a resource name is provided")
            for verb in ("GET", "PUT", "DELETE")
        ],
        *[
            (request().resource("pods").namespace("n").name(name), "cannot be a name")
            for name in (".", "..", "a/b", "a%2fb", "a?b", "a#b", "a\nb")
        ],
    ],
)
def test_a_mistake_in_the_making_is_raised_when_it_is_sent(built: Request, message: str):
    with pytest.raises(ConfigError, match=message):
        built.do()


def test_the_first_mistake_sticks():
    with pytest.raises(ConfigError, match="may not be empty"):
        request().name("").resource("a/b").do()


def test_a_patch_without_namespace_is_left_to_the_server():
    assert request("PATCH").namespace("").resource("pods").name("a").call().path == "/api/v1/pods/a"


def test_parameters_append_and_empty_ones_are_left_out():
    built = request().resource("pods").param("a", 1).param("a", True).params({"b": None, "c": "", "d": "x=y"})
    built.label_selector("app in (a)").field_selector("")
    assert built.call().params == (("a", "1"), ("a", "true"), ("d", "x=y"), ("labelSelector", "app in (a)"))


@pytest.mark.parametrize(("seconds", "text"), [(32, "32s"), (300.0, "300s"), (0.25, "250ms")])
def test_a_timeout_is_told_to_the_server_and_kept_by_us(seconds: float, text: str):
    call = request().resource("pods").timeout(seconds).call()
    assert call.params == (("timeout", text),)
    assert call.read_timeout_s == seconds


def test_a_body_is_bytes_or_anything_that_can_be_json():
    class Thing(msgspec.Struct):
        a: int

    for body in (b'{"a":1}', {"a": 1}, Thing(1), bytearray(b'{"a":1}')):
        call = request("POST").resource("pods").body(body).call()
        assert call.body == b'{"a":1}'
        assert call.headers["Content-Type"] == "application/json"
    assert request("POST").resource("pods").body(None).call().body is None


def test_a_body_leaves_a_content_type_alone():
    built = request("PATCH").set_header("Content-Type", "application/json-patch+json").body([])
    assert built.abs_path("/x").call().headers["Content-Type"] == "application/json-patch+json"


@pytest.mark.parametrize(("asked", "kept"), [(3, 3), (-1, 0)])
def test_max_retries_is_never_below_zero(asked: int, kept: int):
    policy = request().resource("pods").max_retries(asked).call().retry
    assert policy is not None
    assert policy.retries_max == kept


def test_a_request_may_be_sent_again():
    recorder = Recorder()
    built = Request(recorder, "GET", base_path="/api/v1").resource("pods")
    built.do()
    built.do()
    assert recorder.calls[0] == recorder.calls[1]
