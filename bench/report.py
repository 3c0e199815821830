"""The results as Markdown: what was measured, beside what the design wants."""

from budgets import MUSTS, kb_an_object
from figures import Results, table, text

HOLDS = {True: "yes", False: "no", None: "?"}
RATES = ("100", "500", "2000", "full", "full80", "burst")
RATE_NAMES = {
    "100": "100/s",
    "500": "500/s",
    "2000": "2,000/s",
    "full": "full speed",
    "full80": "0.8 × own full speed",
    "burst": "full speed, all of it handled",
}
SKIPPED = "skipped"


def heading(results: Results) -> str:
    said = results.said
    machine = said["machine"]
    lines = [
        f"Measured {said['when']} at commit `{said['commit']}`{' with changes' if said['dirty'] else ''} on "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, Linux {machine['kernel']}, "
        f"Python {machine['python']}; load before the run {machine['load']:.1f}. "
        f"{said['rounds']} round{'s' if said['rounds'] > 1 else ''}, windows of {said['seconds']:g} s, medians."
    ]
    rows = [
        [name, found.get("version", ""), found.get("what", ""), found.get(SKIPPED, "")]
        for name, found in said["contenders"].items()
    ]
    return "\n\n".join([*lines, table(["contender", "version", "what", "not measured, since"], rows)])


def musts(results: Results) -> str:
    rows = []
    for must in MUSTS:
        found = must.measure(results)
        rows.append([must.figure, must.bound, found.shown, HOLDS[found.holds]])
    return table(["figure", "must", "measured", "holds"], rows)


def by_rate(results: Results, field: str, digits: int, rates: tuple[str, ...] = RATES) -> str:
    """A row for each contender, a column for each rate."""
    measured = [rate for rate in rates if results.ours("rates", rate, field) is not None]
    head = [
        "contender",
        *(RATE_NAMES[rate] for rate in measured),
    ]
    rows = [
        [who, *(text(results.get("rates", who, rate, field), digits) for rate in measured)]
        for who in results.contenders("rates")
    ]
    return table(head, rows)


def roles(results: Results) -> str:
    names = ("supervisor", "reflector", "broker", "worker", "handler")
    rows = [
        [
            RATE_NAMES[rate],
            *(text(results.ours("rates", rate, "cpu_us_by_role", name)) for name in names),
            text(results.ours("rates", rate, "cpu_percent"), 1),
        ]
        for rate in RATES
        if results.ours("rates", rate, "cpu_us") is not None
    ]
    return table(["rate", *names, "all, % of a core"], rows)


def syncs(results: Results) -> str:
    rows, measured = [], [size for size in ("10k", "50k") if results.contenders(f"sync {size}")]
    for who in results.said["contenders"]:
        if not results.rows("sync 10k", who) and not results.rows("sync 50k", who):
            continue
        cells = [
            text(results.get(f"sync {size}", who, field), digits)
            for size in measured
            for field, digits in (("seconds", 1), ("cpu_us", 0), ("pss_mb", 0))
        ]
        rows.append([who, *cells, text(kb_an_object(results, who), 1)])
    sizes = [
        results.get(f"sync {size}", results.contenders(f"sync {size}")[0], "objects") for size in measured
    ]
    names = [f"{size:,.0f}" if size else "" for size in sizes]
    head = [f"{size}: {what}" for size in names for what in ("s", "CPU µs an object", "PSS MB")]
    return table(["contender", *head, "KB an object"], rows)


def starts(results: Results) -> str:
    rows = [
        [
            who,
            text(results.get("first event", who, "seconds"), 2),
            text(results.get("idle", who, "cpu_percent"), 1),
            text(results.get("idle", who, "pss_mb")),
        ]
        for who in results.contenders("idle")
    ]
    return table(["contender", "start to first event, s", "idle, % of a core", "idle, PSS MB"], rows)


def growth(results: Results, scenario: str, counts: tuple[int, ...]) -> str:
    rows = []
    for count in counts:
        # One of either is the same run.
        name = f"{scenario} {count}" if count > 1 else "informers 1"
        if results.rows(name):
            cells = [("cpu_us", 0), ("cpu_percent", 1), ("worker_percent", 1), ("p50_ms", 2), ("p99_ms", 2)]
            rows.append([str(count), *(text(results.ours(name, field), digits) for field, digits in cells)])
    head = ["CPU µs an event", "all, % of a core", "worker, % of a core", "p50 ms", "p99 ms"]
    return table([scenario, *head], rows)


def others(results: Results) -> str:
    def row(name: str, scenario: str, *fields: tuple[str, int, str]) -> list[str]:
        found = [
            f"{text(results.ours(scenario, field), digits)}{unit}"
            for field, digits, unit in fields
            if results.ours(scenario, field) is not None
        ]
        return [name, ", ".join(found)]

    rows = [
        row(
            "fast group beside one of 200 ms a call, 100 events/s: p50, p99",
            "slow",
            ("p50_ms", 2, " ms"),
            ("p99_ms", 2, " ms"),
        ),
        row(
            "8 groups, 100 events/s, all to each: worker's CPU an event, all processes",
            "filters none",
            ("worker_us", 0, " µs"),
            ("cpu_us", 0, " µs"),
        ),
        *(
            row(f"… one event in 50 to each, by {what}", name, ("worker_us", 0, " µs"), ("cpu_us", 0, " µs"))
            for what, name in (("a field", "filters fields"), ("a field and what changed", "filters changed"))
        ),
        *(
            row(
                f"100 handlers, {what}: ready, PSS of each, events handled, p99",
                name,
                ("ready_s", 0, " s"),
                ("pss_mb_max", 1, " MB"),
                ("handled_share", 2, " of all"),
                ("p99_ms", 0, " ms"),
            )
            for what, name in (
                ("50 events/s, one in 50 to each", "many fields"),
                ("10 events/s, all to each", "many none"),
            )
        ),
        row("restart on its state, 10,000 pods: first new event", "warm", ("seconds", 1, " s")),
        row(
            "… lists, watches, calls that came again",
            "warm",
            ("lists", 0, ""),
            ("watches", 0, ""),
            ("calls_again", 0, ""),
        ),
        row("lister in a handler's process: get, raw", "lister", ("get_raw_us", 1, " µs")),
        row("… get, decoded", "lister", ("get_decoded_us", 1, " µs")),
        row("… by_index, rows of a call", "lister", ("by_index_us", 0, " µs"), ("by_index_rows", 0, " rows")),
        row("the source alone, its bytes read and dropped", "source", ("events_per_s", 0, " events/s")),
    ]
    return table(["figure", "deltawire"], [row for row in rows if row[1]])


def failures(results: Results) -> str:
    lines = [
        f"- {scenario}, {who}: {row['error']}"
        for scenario, found in results.said["runs"].items()
        for who, rows in found.items()
        for row in rows
        if "error" in row
    ]
    return "\n".join(["What did not finish:", "", *lines]) if lines else "Every run finished."


def render(results: Results, plots: dict[str, str] | None = None) -> str:
    """All tables. ``plots``: title → the picture's path, as links."""
    parts = [
        ("", heading(results)),
        ("What the design wants", musts(results)),
        ("Events a second", by_rate(results, "events_per_s", 0)),
        ("CPU an event, µs, all processes", by_rate(results, "cpu_us", 0)),
        ("Age when handled, p50, ms", by_rate(results, "p50_ms", 2)),
        ("Age when handled, p99, ms", by_rate(results, "p99_ms", 2)),
        ("CPU µs an event by role, deltawire", roles(results)),
        ("First list, to the last object handled", syncs(results)),
        ("Start and rest", starts(results)),
        ("Informers, one busy, at 65 events/s", growth(results, "informers", (1, 10, 30))),
        ("Handlers of one informer, at 65 events/s", growth(results, "handlers", (1, 4, 16))),
        ("Only here", others(results)),
        ("", failures(results)),
    ]
    shown = [f"### {title}\n\n{body}" if title else body for title, body in parts if body]
    pictures = [f"![{title}]({path})" for title, path in (plots or {}).items()]
    return "\n\n".join([*shown, *pictures]) + "\n"
