import tempfile

import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError


def test_where_no_folder_for_temporary_files_is_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(ConfigError, match=r"TMPDIR: no folder for temporary files can be written"):
        _ = Plan(parse({"version": 1})).runtime_dir
