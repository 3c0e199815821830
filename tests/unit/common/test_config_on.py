"""`on` is a key of handlers; YAML 1.1 takes the bare word for a boolean."""

from pathlib import Path

from deltawire.common.config.load import load


def test_on_is_a_key_and_true_is_still_the_truth(tmp_path: Path) -> None:
    file = tmp_path / "deltawire.yaml"
    file.write_text(
        "version: 1\n"
        "handlers:\n  - {name: a, command: [x], on: [pods]}\n"
        "informers:\n  - {resource: pods, metadata_only: true}\n"
    )
    config = load(file)
    assert config.handlers[0].on == ["pods"]
    assert config.informers[0].metadata_only is True
