"""The long run behind docs/guarantees.md: kills and stops by the hundred, seeds and counts written as JSON.

    python tests/acceptance/chaos_full.py OUT.json [--kills 1000] [--stops 200] [--batches 10] [--seed N]

Batches with `hang_after` of 3 s share the kills and stops; one more run has ten stops, some longer than the default
of 30 s, at that default; then random schedules of everything else, as many as batches. Exit code 1 if any run has a
violation; its folder is kept and named. `make chaos-full` runs it.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

DELTAWIRE = Path(sys.executable).with_name("deltawire")
DEFAULT_STOPS = 10


def run(folder: Path, seed: int, *arguments: str) -> dict:
    command = [
        str(DELTAWIRE),
        "chaos",
        "--seed",
        str(seed),
        "--dir",
        str(folder),
        "--json",
        "--quiet",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return {
            "seed": seed,
            "counts": {"run": 1},
            "violations": [["run", done.stderr[-2000:]]],
            "actions": {},
        }
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="of the first run; the others follow")
    options = parser.parse_args()
    first = random.SystemRandom().randrange(1, 1_000_000) if options.seed is None else options.seed
    kills, stops = options.kills // options.batches, options.stops // options.batches
    quick = ("--kills", str(kills), "--stops", str(stops), "--hang-after", "3s")
    plans = [quick] * options.batches
    plans.append(("--kills", "0", "--stops", str(DEFAULT_STOPS), "--stop-max", "45s"))
    plans += [("--for", "60s", "--hang-after", "3s")] * options.batches
    folder = Path(tempfile.mkdtemp(prefix="deltawire-chaos-full-"))
    totals: Counter[str] = Counter()
    runs, failed = [], False
    for number, plan in enumerate(plans):
        verdict = run(folder, first + number, *plan)
        for name in ("calls", "versions", "lists", "watches", "claims"):
            totals[name] += verdict.get(name, 0)
        totals.update({f"did {kind}": count for kind, count in verdict["actions"].items()})
        totals.update({f"violation {rule}": count for rule, count in verdict["counts"].items()})
        runs.append({"seed": first + number, "arguments": list(plan), "counts": verdict["counts"]})
        failed = failed or bool(verdict["violations"])
        print(f"seed {first + number} {' '.join(plan)}: {verdict['counts'] or 'no violation'}", flush=True)
        for rule, text in verdict["violations"][:5]:
            print(f"  {rule}: {text}", flush=True)
        options.out.write_text(
            json.dumps({"totals": dict(sorted(totals.items())), "runs": runs}, indent=1) + "\n"
        )
    print(f"all files: {folder}" if failed else "no violation in any run")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
