"""A plug-in whose lister is asked all the time how fresh it is; each answer is written down beside what it shows."""

import json
import os
import threading
import time

from deltawire import Context, Handler
from deltawire.common.errors import DeltawireError
from deltawire.handlers.lister import Lister

EVERY_S = 0.05

handler = Handler("asker", workers=1)
_once = threading.Lock()


def _ask(lister: Lister) -> None:
    with open(os.environ["ASKER_FILE"], "a", buffering=1) as out:
        while True:
            asked_s = time.monotonic()
            said = lister.freshness()
            try:
                # After the question: what it claims must be there by now.
                shown = lister.keys()
                keys = [key for key in shown if "/change-" in key]
            except (DeltawireError, OSError):
                keys = None
            line = {
                "asked_s": asked_s,
                "told_s": time.monotonic(),
                "is_fresh": said.is_fresh,
                "as_of_s": said.as_of_s,
                "why": said.why,
                "keys": keys,
            }
            out.write(json.dumps(line) + "\n")
            time.sleep(EVERY_S)


@handler.reconcile("pods")
def reconcile(key: str, ctx: Context) -> None:
    if _once.acquire(blocking=False):
        threading.Thread(target=_ask, args=(ctx.lister(),), daemon=True).start()
