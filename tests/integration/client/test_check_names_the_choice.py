"""What ``deltawire check`` says about the configuration that it found."""

import subprocess
import sys
from pathlib import Path

from deltawire.apiserver.server import ApiServer


def check(folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deltawire.cli", "check"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


def write(file: Path, server: str, user: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f"{{current-context: a, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], "
        f"users: [{{name: u, user: {user}}}], contexts: [{{name: a, context: {{cluster: c, user: u}}}}]}}"
    )
    return file


def test_it_says_which_configuration_was_taken_and_why(api_server: ApiServer, tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", "https://127.0.0.1:1", "{token: s3cret}")
    mine = write(tmp_path / "mine", api_server.url, "{as: ada}")
    said = check(tmp_path, KUBECONFIG=str(mine))
    assert f"$KUBECONFIG ({mine}), context 'a': {api_server.url} with no credentials, acting as 'ada'" in said
    assert "(no kubeconfig is given, and $KUBECONFIG is set)" in said
    said = check(tmp_path)
    assert f"{tmp_path}/.kube/config, context 'a': https://127.0.0.1:1 with a token" in said
    assert "nothing is given, $KUBECONFIG is not set, and this is no pod" in said
    assert "s3cret" not in said


def test_a_removed_auth_provider_ends_in_a_stanza_to_paste(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", "https://127.0.0.1:1", "{auth-provider: {name: gcp}}")
    said = check(tmp_path)
    assert "install gke-gcloud-auth-plugin and put this in its place: user: {" in said
    assert "Traceback" not in said
