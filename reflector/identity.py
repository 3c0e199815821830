"""A cluster's identity, by its answers: the rules of docs/design.md §6. Pure: answers in, decisions out.

Only a uid is an identity. What the server answers else (401, 403, 404, 5xx) means that it is not known now: a server
that starts answers 403 until its caches of rights are filled, and a Role may never allow the read.
"""

from deltawire.client.discovery.cluster_id import is_address
from deltawire.common.errors import DeltawireError, StateError, StatusError

# So long an unknown id holds back lists and watches, where the same address says that it is the same cluster.
UNKNOWN_S_MAX = 60.0
# Where nothing is known of the cluster yet, nothing can be mixed up; its address serves as the id after so long.
UNKNOWN_AT_FIRST_S_MAX = 10.0


class ClusterChangedError(StateError):
    """Behind the name is another cluster than before. Its streams stop: a list would sweep everything."""

    def __init__(self, cluster: str, known: str, found: str) -> None:
        super().__init__(
            f"cluster {cluster!r} is another one now: {found}, and was {known}",
            hint="nothing was deleted; point the kubeconfig back, or restart to work with the new one",
        )
        self.found = found


class ClusterUnknownError(DeltawireError):
    """The API server answers, but does not say which cluster it is. Asked again. ``code`` is HTTP's."""

    retryable = True

    def __init__(self, message: str, *, code: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ClusterIdentity:
    """``name`` is the config's. All times are monotonic seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = ""  # that all work is for; "" until it is known
        self.address = ""  # of the server as configured
        self.known_address = ""  # at which the id was read
        self.warning = ""
        self._unknown_since_s: float | None = None

    def told(self, cluster_id: str, address: str) -> None:
        """The state's id, from the broker, and the address at which it was read. What was read here counts more."""
        if not self.id or (is_address(self.id) and self.id == address):
            self.id, self.known_address = cluster_id, address

    def answered(self, uid: str) -> None:
        """The server answered with its uid. Raises ClusterChangedError for another cluster."""
        self._unknown_since_s, self.warning = None, ""
        if self.id and self.id != uid and self.id != self.address:
            # An id that is this very address was a stand-in: the uid takes its place, and no state is lost.
            raise ClusterChangedError(self.name, self.id, uid)
        self.id, self.known_address = uid, self.address

    def unanswered(self) -> None:
        """The server gave no answer: when it does again, it may have started anew."""
        self._unknown_since_s = None

    def refused(self, now_s: float, error: StatusError) -> None:
        """The server refused the read. Returns if work may go on nevertheless; else raises ClusterUnknownError."""
        if self._unknown_since_s is None:
            self._unknown_since_s = now_s
        unknown_s = now_s - self._unknown_since_s
        what = f"the id of cluster {self.name} cannot be read: namespace kube-system: {error.code} {error}"
        if self.id and self.id == self.address:
            self.warning = f"{what}; its address stands for it"
            return
        if self.id and self.known_address != self.address:
            raise ClusterUnknownError(
                f"{what}, and its address is not the one at which it was known as {self.id}",
                code=error.code,
                hint="allow `get` on namespace kube-system, or restart with another store.dir",
            )
        wait_s = UNKNOWN_S_MAX if self.id else UNKNOWN_AT_FIRST_S_MAX
        if unknown_s < wait_s:
            # Without what is left: the text is logged again when it changes.
            raise ClusterUnknownError(f"{what}; without it, work goes on after {wait_s:g} s", code=error.code)
        if self.id:
            self.warning = f"{what}; taken for {self.id} as before, since its address is the same"
        else:
            self.id = self.known_address = self.address
            self.warning = f"{what}; its address stands for it"
