"""A handler over all clusters that looks an object of one up in the cache of another, and writes down what it found.

Environment: ``ACROSS_FILE``, ``ACROSS_FROM`` and ``ACROSS_TO`` (names of clusters).
"""

import os

from deltawire import Handler, Retry

handler = Handler("across")
_FROM, _TO = os.environ.get("ACROSS_FROM", ""), os.environ.get("ACROSS_TO", "")


@handler.on_add("pods")
def look(obj, event, ctx):
    if event.cluster != _FROM:
        return
    found = ctx.lister("pods", cluster=_TO).get(event.namespace, event.name)
    if found is None:
        raise Retry(after_s=0.2)  # their watches know nothing of each other
    with open(os.environ["ACROSS_FILE"], "a") as file:
        file.write(f"{event.name} {found['metadata']['uid']}\n")
