from deltawire import Handler

handler = Handler("hello")


@handler.on_add("pods")
def added(pod, event):
    print("hello,", event.key, flush=True)
