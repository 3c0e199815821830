"""The controller of the tutorial with one command: simulated controllers run what it makes; it tells how that is."""

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support.pipeline import DELTAWIRE, wait_until

pytestmark = [
    pytest.mark.process, pytest.mark.long, pytest.mark.xdist_group("changes"), pytest.mark.timeout(240),
]  # fmt: skip

HANDLERS = Path(__file__).parents[2] / "examples" / "handlers"
SITE = "/apis/example.com/v1/namespaces/shop/websites/web"


@pytest.fixture
def dns() -> Iterator[Any]:
    """The small HTTP server of the examples' own tests."""
    spec = importlib.util.spec_from_file_location("examples_conftest", HANDLERS / "conftest.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Endpoint()
    yield made
    made.close()


def test_a_website_becomes_ready_tells_so_and_goes_when_its_host_is_gone(dns: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder, log = Path(text), Path(text) / "log"
        words = "run website.py --embedded --controllers --load crds/ website.yaml"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(DELTAWIRE), *words.split(), "--store", text + "/state"], cwd=HANDLERS, stdout=out, stderr=out,
                env={**os.environ, "DNS_API": dns.url, "XDG_RUNTIME_DIR": text},
            )  # fmt: skip
        try:
            wait_until("the kubeconfig", lambda: list(folder.glob("*/embedded.kubeconfig")), seconds=60)
            [kubeconfig] = folder.glob("*/embedded.kubeconfig")
            url = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

            def site() -> dict[str, Any]:
                answer = requests.get(url + SITE, timeout=30)
                found: dict[str, Any] = answer.json() if answer.ok else {}
                return found

            def is_ready() -> bool:
                status = site().get("status", {})
                conditions = [(c["type"], c["status"]) for c in status.get("conditions", [])]
                return status.get("readyReplicas") == 2 and conditions == [("Ready", "True")]

            wait_until("two ready replicas", is_ready, seconds=120, every_s=0.2)
            dns.codes = [503]
            requests.delete(url + SITE, timeout=30).raise_for_status()
            wait_until("its end", lambda: not site(), seconds=60, every_s=0.2)
            assert [line.split()[0] for line in dns.asked].count("DELETE") == 2, "the first was refused"
            process.terminate()
            assert process.wait(60) == 0
        finally:
            print(log.read_text())
            process.kill()
            process.wait()
