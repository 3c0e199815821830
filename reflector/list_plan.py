"""How a stream's next list is asked for: streamed or in pages, at which version. Pure."""

from dataclasses import dataclass

from deltawire.common.errors import CapacityError, DeltawireError, StatusError, TransportError
from deltawire.reflector.action import List, Params, Request, Watch
from deltawire.reflector.verdicts import is_passing, is_version_gone

PAGE_ITEMS = 500  # client-go's page
# Lists at the floor in a row that the server answered with an error; the next one is at "".
FLOOR_REFUSALS_MAX = 2
# A streaming list that was open so long and was ended without its marker will not get one the next time.
UNMARKED_S_MAX = 60.0


@dataclass(slots=True)
class ServerTraits:
    """What was learnt about one resource of a server; shared by its streams, kept while the process lives."""

    has_streaming_lists: bool = True


class ListPlan:
    """Remembers the results of lists in a row. Methods for a failure return True if the next list is to be made at
    once."""

    def __init__(self, traits: ServerTraits) -> None:
        self.traits = traits
        self.pages = 0  # complete ones of the list under way
        self._page_items = PAGE_ITEMS
        self._is_floor_unavailable = False
        self._floor_refusals = 0
        self._is_next_paged = False
        self._unmarked = 0
        self._expired_tokens = 0

    def forget(self) -> None:
        """A list worked, or all begins anew. The size of pages stays."""
        self._is_floor_unavailable = self._is_next_paged = False
        self._unmarked = self._expired_tokens = self._floor_refusals = 0

    def quorum(self) -> None:
        """The next list is at "": what the server's cache holds is not enough."""
        self._is_floor_unavailable = True

    def request(self, floor: str, watch_params: Params) -> Request:
        """The first request of a list at ``floor``; "" where nothing was ever seen of the stream."""
        self.pages = 0
        at = "" if self._is_floor_unavailable else floor
        if self.traits.has_streaming_lists and not self._is_next_paged:
            # One request is both: the whole list, and the watch that goes on from it.
            params = watch_params | {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            return Watch(params | {"resourceVersion": at} if at else params, is_list=True)
        params = {"limit": str(self._page_items)}
        if at:
            # Without the match, limit and a version mean Exact, and 410 again.
            params |= {"resourceVersion": at, "resourceVersionMatch": "NotOlderThan"}
        elif not self._is_floor_unavailable:
            params["resourceVersion"] = "0"
        return List(params, is_first=True)

    def next_page(self, token: str) -> List:
        # The server refuses a version beside a token.
        self.pages += 1
        return List({"limit": str(self._page_items), "continue": token}, is_first=False)

    def ended_unmarked(self, lived_s: float) -> None:
        """The server ended a streaming list without its marker. Twice in a row, or late: paged, this once
        (client-go tries for ever)."""
        self._unmarked += 1
        self._is_next_paged = self._unmarked > 1 or lived_s >= UNMARKED_S_MAX

    def streaming_failed(self, error: DeltawireError) -> bool:
        if isinstance(error, StatusError):
            if is_version_gone(error):
                return self._leave_floor()
            if error.code in (400, 405, 422, 501):
                # Not understood. Remembered: asking again would be refused again.
                self.traits.has_streaming_lists = False
                return True
            # Any other answer that is not about us or the load: paged, this once.
            self._is_next_paged = error.code not in (401, 403, 404, 429)
            self._note_refusal(error)
        elif isinstance(error, TransportError) and error.reason == "garbage":
            self._is_next_paged = True
        return False

    def pages_failed(self, error: DeltawireError, floor: str) -> bool:
        if isinstance(error, CapacityError):
            # Servers ignore the limit at "0"; elsewhere smaller pages help.
            if floor or self._is_floor_unavailable:
                self._page_items = max(1, self._page_items // 4)
            self._is_floor_unavailable = True
        elif isinstance(error, StatusError) and is_version_gone(error):
            if self.pages == 0:
                return self._leave_floor()
            # The snapshot behind the token is gone: from the start, as a new list.
            self._expired_tokens += 1
            return self._expired_tokens == 1
        else:
            self._note_refusal(error)
        return False

    def _note_refusal(self, error: DeltawireError) -> None:
        if is_passing(error) or (isinstance(error, StatusError) and error.code == 404):
            return
        self._floor_refusals += 1
        if self._floor_refusals >= FLOOR_REFUSALS_MAX:
            self._is_floor_unavailable = True

    def _leave_floor(self) -> bool:
        """List at "" at once; if that fails in the same way, later."""
        at_once = not self._is_floor_unavailable
        self._is_floor_unavailable = True
        return at_once
