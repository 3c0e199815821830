"""What a real server refuses is refused with the same code, reason and, where clients show it, message."""

import re

import requests
import yaml

from deltawire.apiserver.server import ApiServer
from tests.acceptance.apiserver import manifests
from tests.acceptance.apiserver.bad_requests import ALL, MAPS, Bad
from tests.support.servers import session_for


def test_bad_requests_get_the_status_of_a_real_server(api_server_both_ways: ApiServer) -> None:
    api_server = api_server_both_ways
    api_server.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(manifests.WIDGETS))
    api_server.create(
        "widgets.example.net", yaml.safe_load(manifests.WIDGET) | {"metadata": {"name": "w"}}, "default"
    )
    api_server.create(
        "deployments.apps", yaml.safe_load(manifests.DEPLOYMENT) | {"metadata": {"name": "d"}}, "default"
    )
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    api_server.create("pods", pod, "default")
    with session_for(api_server) as session:
        first = {"metadata": {"name": "a"}, "data": {"x": "1"}}
        session.post(api_server.url + MAPS, json=first, timeout=20).raise_for_status()
        before = session.get(api_server.url + MAPS, timeout=20).json()
        failed = [told for bad in ALL if (told := _wrong(session, api_server.url, bad))]
        assert session.get(api_server.url + MAPS, timeout=20).json() == before, (
            "a refused request changed something"
        )
    assert not failed, f"{len(failed)} of {len(ALL)}:\n" + "\n".join(failed)


def _wrong(session: requests.Session, url: str, bad: Bad) -> str:
    answer = session.request(
        bad.method, url + bad.path, data=bad.content(), headers=dict(bad.headers), timeout=20
    )
    if bad.reason is None:
        shown, expected, reason = answer.text, (bad.code, None), None
    else:
        status = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        shown, expected = status.get("message", answer.text), (bad.code, bad.reason)
        reason = status.get("reason")
        if status.get("code") != answer.status_code or status.get("kind") != "Status":
            return f"{bad}: not a Status with its own code: {answer.status_code} {answer.text[:300]}"
    if (answer.status_code, reason) == expected and re.search(bad.message, shown):
        return ""
    return f"{bad}: {answer.status_code} {reason} {shown[:300]!r}, not {expected} {bad.message!r}"
