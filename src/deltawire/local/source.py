"""What an informer in this process lists and watches: a `ListerWatcher` over the program's own client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deltawire.client.options import ListOptions, params_of
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.request import Request
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType
from deltawire.reflector.action import Params
from deltawire.reflector.listwatch import OPEN_S_MAX, ByteStream

# Gets the options of each list and watch and may set selectors in them.
TweakListOptions = Callable[[ListOptions], object]
# Versions, pages and time-outs are set by the reflector.
_TWEAKABLE = frozenset({"label_selector", "field_selector"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects: of one namespace ("" is all), and those that the options of ``tweak_list_options`` select."""

    namespace: str = ""
    tweak_list_options: TweakListOptions | None = None


class ClientListerWatcher:
    """Lists and watches ``resource``. ``object_type`` is what objects are decoded as, ``media_type`` the form that
    is asked for ("" is the whole object). Raises ConfigError where the tweak asks for what it may not."""

    def __init__(
        self, rest: RESTClient, resource: ResourceType, scope: Scope, object_type: Any, media_type: str = ""
    ) -> None:
        self._rest = rest
        self._resource = resource
        # As in client-go: a factory of one namespace serves cluster-scoped resources, too.
        self._namespace = scope.namespace if resource.namespaced else ""
        self._tweak = scope.tweak_list_options
        self._media_type = media_type
        self.decode: Callable[[bytes], Any] = decoder_of(object_type)
        self._selectors()

    def resource(self) -> ResourceType:
        return self._resource

    def check_cluster(self) -> None:
        """No-op: the program chose its client, and so the cluster."""

    def connection_ended(self, is_dead: bool) -> None:
        """No-op: the connection pool belongs to the program."""

    def list(self, params: Params) -> bytes:
        return self._request(params, self._media_type and self._media_type + "List").do().raw

    def watch(self, params: Params) -> ByteStream:
        request = self._request({**params, "watch": "true"}, self._media_type)
        stream = request.read_timeout(OPEN_S_MAX).stream()
        stream.set_read_timeout(None)
        return stream

    def _request(self, params: Params, media_type: str) -> Request:
        request = self._rest.get().resource(self._resource)
        request.namespace_if_scoped(self._namespace, self._resource.namespaced)
        if media_type:
            form = f"application/json;as={media_type};g=meta.k8s.io;v=v1,application/json"
            request.set_header("Accept", form)
        return request.params({**params, **self._selectors()}).retry(NO_RETRIES)

    def _selectors(self) -> Params:
        options: ListOptions = {}
        if self._tweak is not None:
            self._tweak(options)
        foreign = sorted(options.keys() - _TWEAKABLE)
        if foreign:
            raise ConfigError(
                f"an informer sets {foreign[0]!r} itself", hint=f"set {' or '.join(sorted(_TWEAKABLE))}"
            )
        return {name: str(value) for name, value in params_of(options, ListOptions).items() if value}
