"""What the chart in deploy/helm repeats of the code: a table of resources, figures."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import yaml

from deltawire.cli.manifest import pods, sizes
from deltawire.common.meta.resources import BUILTIN

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "deltawire"


def schema() -> Any:
    return json.loads((CHART / "values.schema.json").read_text())


def test_the_chart_knows_the_resources_that_are_built_in() -> None:
    assert json.loads((CHART / "files" / "resources.json").read_text()) == json.loads(
        msgspec.json.encode(BUILTIN)
    )


def test_the_charts_defaults_keep_to_its_schema_and_name_all_that_may_be_set() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(defaults, schema())
    assert set(schema()["properties"]) == {*defaults, "global"}
    for name, value in defaults.items():
        wanted = schema()["properties"][name]
        if "properties" in wanted:
            assert set(value) == set(wanted["properties"]), name


def test_the_charts_default_sizes_are_those_of_the_command() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    size = sizes.Size()
    assert defaults["size"] == {"objects": size.objects, "bytes": size.bytes, "rate": size.rate}
    assert defaults["handlerResources"] == size.handler()
    assert f"add {pods.SYNC_S} " in (CHART / "templates" / "_pods.tpl").read_text()
