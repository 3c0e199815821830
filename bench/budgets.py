"""What the design wants of the figures, each beside what was measured in the same run."""

from collections.abc import Callable
from dataclasses import dataclass

from figures import Results, ratio, text

OFFICIAL, CLIENT_GO = "official", "client-go"
KB_PER_MB = 1024


@dataclass(frozen=True)
class Measured:
    """A figure beside its bound. ``holds`` is None where something of it was not measured."""

    shown: str
    holds: bool | None


@dataclass(frozen=True)
class Must:
    figure: str
    bound: str
    measure: Callable[[Results], Measured]


def _below(bounds: list[tuple[float | None, float, str]]) -> Measured:
    """(value, bound, as text): each at or below its bound."""
    shown = ", ".join(found for _, _, found in bounds if found)
    if any(value is None for value, _, _ in bounds):
        return Measured(shown or "not measured", None)
    return Measured(shown, all(value <= bound for value, bound, _ in bounds if value is not None))


def _times(value: float | None, who: str, digits: int = 2) -> str:
    return "" if value is None else f"{value:,.{digits}f} × {who}"


def _against(results: Results, scenario: str, who: str, *path: str) -> float | None:
    return ratio(results.ours(scenario, *path), results.get(scenario, who, *path))


def full_speed(results: Results) -> Measured:
    wanted = ((OFFICIAL, 5.0), (CLIENT_GO, 2.0))
    found = [(_against(results, "rates", who, "burst", "events_per_s"), bound, who) for who, bound in wanted]
    return _below([(ratio(bound, value), 1.0, _times(value, who)) for value, bound, who in found])


def full_speed_cpu(results: Results) -> Measured:
    wanted = ((OFFICIAL, 0.25), (CLIENT_GO, 0.5))
    found = [(_against(results, "rates", who, "burst", "cpu_us"), bound, who) for who, bound in wanted]
    return _below([(value, bound, _times(value, who)) for value, bound, who in found])


def age_near_full_speed(results: Results) -> Measured:
    p99 = results.ours("rates", "full80", "p99_ms")
    return _below([(p99, 50.0, text(p99, 1, " ms"))])


def cpu_at_rates(results: Results) -> Measured:
    found = [(rate, _against(results, "rates", OFFICIAL, rate, "cpu_us")) for rate in ("100", "500")]
    return _below([(v, 0.8, f"{rate}/s: {_times(v, OFFICIAL)}" if v else "") for rate, v in found])


def latency(results: Results) -> Measured:
    p50, p99 = (results.ours("rates", "500", name) for name in ("p50_ms", "p99_ms"))
    return _below([(p50, 1.5, text(p50, 2, " ms")), (p99, 4.0, text(p99, 2, " ms"))])


def idle_informers(results: Results) -> Measured:
    one, thirty = (results.ours(f"informers {count}", "worker_percent") for count in (1, 30))
    more = ratio(thirty, one)
    shown = f"{one:.1f} % → {thirty:.1f} % of a core" if one and thirty else ""
    return _below([(more, 1.1, shown)])


def further_handler(results: Results) -> Measured:
    one, many = results.ours("informers 1", "cpu_us"), results.ours("handlers 16", "cpu_us")
    base = results.get("65", OFFICIAL, "cpu_us")
    each = ratio((many - one) / 15, base) if one is not None and many is not None else None
    return _below([(each, 0.3, _times(each, OFFICIAL))])


def big_sync(results: Results) -> Measured:
    cpu, clock = (_against(results, "sync 50k", CLIENT_GO, name) for name in ("cpu_us", "seconds"))
    return _below(
        [
            (cpu, 1.0, f"CPU {_times(cpu, CLIENT_GO)}" if cpu else ""),
            (clock, 1.0, f"clock {_times(clock, CLIENT_GO)}" if clock else ""),
        ]
    )


def memory_an_object(results: Results) -> Measured:
    kb = kb_an_object(results, "deltawire", "worker_anon_mb")
    return _below([(kb, 1.0, text(kb, 2, " KB"))])


def kb_an_object(results: Results, who: str, field: str = "anon_mb") -> float | None:
    """From the difference of the two first lists: memory that is no file's, KiB an object."""
    small, big = (results.get(f"sync {size}", who, field) for size in ("10k", "50k"))
    few, many = (results.get(f"sync {size}", who, "objects") for size in ("10k", "50k"))
    if small is None or big is None or few is None or many is None:
        return None
    return (big - small) * KB_PER_MB / (many - few)


def working_set(results: Results) -> Measured:
    times = ratio(results.ours("sync 50k", "working_set_mb"), results.ours("sync 50k", "object_mb"))
    return _below([(times, 2.5, _times(times, "object bytes"))])


def lister(results: Results) -> Measured:
    get = results.ours("lister", "get_raw_us")
    return _below([(get, 10.0, text(get, 1, " µs"))])


def at_rest(results: Results) -> Measured:
    pss, cpu = results.ours("idle", "pss_mb"), results.ours("idle", "cpu_percent")
    return _below([(pss, 160.0, text(pss, 0, " MB")), (cpu, 2.0, text(cpu, 1, " %"))])


def first_event(results: Results) -> Measured:
    took = results.ours("first event", "seconds")
    return _below([(took, 3.0, text(took, 1, " s"))])


MUSTS = [
    Must("full speed, `every`: events/s", "5 × official, 2 × client-go", full_speed),
    Must("full speed: CPU an event", "0.25 × official, 0.5 × client-go", full_speed_cpu),
    Must("at 0.8 × own full speed: p99 age", "< 50 ms", age_near_full_speed),
    Must("100 and 500 events/s: CPU an event", "≤ 0.8 × official", cpu_at_rates),
    Must("500 events/s: latency, p50 and p99", "< 1.5 ms, < 4 ms", latency),
    Must("29 idle informers more: worker's CPU", "+ 10 %", idle_informers),
    Must("a further handler at 65 events/s: CPU an event", "≤ 0.3 × official", further_handler),
    Must("first list of 50,000 pods, all handled", "≤ client-go, CPU and clock", big_sync),
    Must("memory an object in a worker, not page cache", "≤ 1 KB", memory_an_object),
    Must("working set of the control group at 50,000 pods", "< 2.5 × object bytes", working_set),
    Must("lister: get by key in a handler's process, raw", "< 10 µs", lister),
    Must("idle, 2 workers: PSS, CPU of a core", "< 160 MB, < 2 %", at_rest),
    Must("`up` to the first event handled", "< 3 s", first_event),
]
