"""The documents say what the code reads."""

import json
import runpy
from pathlib import Path

from deltawire.cli.schema import config_schema

DOCS = Path(__file__).parents[3] / "docs"


def test_the_schema_in_docs_is_the_one_of_the_code() -> None:
    assert (DOCS / "config.schema.json").read_text() == config_schema(), (
        "write it again: python -c 'from deltawire.cli.schema import config_schema; print(config_schema(), end=\"\")'"
        " > docs/config.schema.json"
    )


def test_the_config_page_names_every_key() -> None:
    page = (DOCS / "config.md").read_text()
    keys = {key for d in json.loads(config_schema())["$defs"].values() for key in d.get("properties", {})}
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_the_schema_of_the_charts_values_has_the_configs() -> None:
    helm = DOCS.parent / "deploy" / "helm"
    wanted = runpy.run_path(str(helm / "values_schema.py"))["values_schema"]()
    assert (helm / "deltawire" / "values.schema.json").read_text() == wanted, (
        "write it again: python deploy/helm/values_schema.py"
    )
