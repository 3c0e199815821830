"""When an ordinary call is sent again: client-go's rules, as a pure decision."""

from dataclasses import dataclass

from deltawire.common.errors import DeltawireError, StatusError, TransportError

RETRIES_MAX = 10
# client-go waits as long as the server says. A caller that wants to wait longer than this should know it:
# the error goes to the caller, who finds the time in ``retry_after_s``.
RETRY_AFTER_S_MAX = 60.0
TRANSPORT_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``retries_max`` attempts more than one. `NO_RETRIES` is for callers with a loop of their own."""

    retries_max: int = RETRIES_MAX
    retry_after_s_max: float = RETRY_AFTER_S_MAX

    def delay_s(self, error: DeltawireError, *, method: str, retries: int) -> float | None:
        """Seconds until the next attempt after ``retries`` retries so far, or None: the error is final.

        429 and 5xx with Retry-After: any verb. A connection cut before the answer: GET only, since the
        server may have done what another verb asked for. Refused, TLS, time-out: never here.
        """
        if retries >= self.retries_max:
            return None
        if isinstance(error, StatusError) and error.retryable and error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.retry_after_s_max else None
        if isinstance(error, TransportError) and error.reason == "reset" and method == "GET":
            return TRANSPORT_RETRY_S
        return None


NO_RETRIES = RetryPolicy(retries_max=0)
