"""A plug-in with slow calls, whose process can also be made to stand still: its main loop, not its threads."""

import os
import time
from pathlib import Path

from deltawire import Event, Handler
from deltawire.handlers.runner import Runner

work = Runner._work


def work_unless_stuck(self):
    while Path(os.environ["STUCK_FILE"]).exists():
        time.sleep(0.1)
    return work(self)


Runner._work = work_unless_stuck

handler = Handler("slow")


@handler.on_add("pods")
def added(pod: dict, event: Event) -> None:
    time.sleep(float((pod["metadata"].get("annotations") or {}).get("sleep", 0)))
