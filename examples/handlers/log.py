"""One line for each change of pods and deployments."""

from deltawire import Handler

handler = Handler("log", delivery="every")


@handler.on_add("pods")
@handler.on_delete("pods")
@handler.on_add("deployments.apps")
@handler.on_delete("deployments.apps")
def changed(obj, event):
    print(event.kind, event.resource, event.key, event.resource_version, flush=True)


@handler.on_update("pods", old=False)
@handler.on_update("deployments.apps", old=False)
def updated(obj, event):
    print(event.kind, event.resource, event.key, event.resource_version, flush=True)
