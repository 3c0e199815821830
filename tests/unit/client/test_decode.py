import msgspec
import pytest

from deltawire.client.rest.decode import decoder_of
from deltawire.client.typed.models import models
from deltawire.client.typed.table import rows

core, apps, meta = models("core_v1"), models("apps_v1"), models("meta_v1")


def test_null_and_missing_are_zero_values_where_the_class_requires_more() -> None:
    pod = decoder_of(core.Pod)(
        b'{"metadata":{"name":"a","creationTimestamp":null},"spec":{"containers":null,"nodeName":"n"}}'
    )
    assert (pod.spec.containers, pod.spec.nodeName, pod.metadata.creationTimestamp) == ([], "n", None)
    images = decoder_of(core.NodeStatus)(b'{"images":[{"names":null,"sizeBytes":3},null],"nodeInfo":{}}')
    assert images.images[0].sizeBytes == 3
    assert images.nodeInfo.bootID == ""


def test_a_map_of_anything_stays_as_it_is_beside_what_is_missing() -> None:
    """The models say of managed fields only that they are a Dict."""
    owned = b'[{"manager":"m","fieldsV1":{"f:spec":{}}}]'
    deployment = decoder_of(apps.Deployment)(
        b'{"metadata":{"name":"a","labels":{"app":"web"},"managedFields":' + owned + b'},"spec":{}}'
    )
    assert deployment.metadata.labels == {"app": "web"}
    assert deployment.metadata.managedFields[0].fieldsV1 == {"f:spec": {}}
    assert deployment.spec.template.metadata is None


def test_a_whole_object_takes_the_fast_way_and_is_the_same() -> None:
    data = b'{"metadata":{"name":"a"},"data":{"k":"v"}}'
    assert decoder_of(core.ConfigMap)(data) == msgspec.json.decode(data, type=core.ConfigMap)


@pytest.mark.parametrize("data", [b'{"data":7}', b"[]", b'"x"', b"{"])
def test_what_is_wrong_stays_an_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder_of(core.ConfigMap)(data)


def test_the_error_is_about_what_the_server_sent() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.data"):
        decoder_of(core.ConfigMap)(b'{"data":7}')


def test_a_bookmark_of_every_resource_can_be_read() -> None:
    bookmark = b'{"metadata":{"resourceVersion":"7"},"spec":null,"status":null}'
    for row in (row for members in rows().values() for row in members):
        assert decoder_of(row.object_type)(bookmark).metadata.resourceVersion == "7", row
