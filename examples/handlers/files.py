"""ConfigMaps or Secrets with a label as files in a folder, and a command that is run when they change (a reload hook).

TO is the folder, LABEL the label, HOOK a command in words, RESOURCE configmaps or secrets (these need a config with
`secrets: keep`). A file is there whole or not at all. What is deleted, or loses its label, goes.
"""

import base64
import os
import shlex
import subprocess
from pathlib import Path

from deltawire import Dead, Handler

TO, LABEL = Path(os.environ.get("TO", "files")), os.environ.get("LABEL", "deltawire.example/files")
HOOK, RESOURCE = shlex.split(os.environ.get("HOOK", "")), os.environ.get("RESOURCE", "configmaps")
# In the folder from the first change until the hook has ended well.
PENDING = ".pending"
handler = Handler("files", workers=1)


def contents(obj):
    if obj is None or LABEL not in (obj["metadata"].get("labels") or {}):
        return {}
    read = base64.b64decode if RESOURCE == "secrets" else str.encode
    return {name: read(text) for name, text in (obj.get("data") or {}).items()}


@handler.reconcile(RESOURCE, labels=LABEL)
def mirror(key, ctx):
    wanted, folder = contents(ctx.object), TO / key.replace("/", ".")
    if any("/" in name or name.startswith(".") for name in wanted):
        raise Dead("a file's name may not have a slash, nor begin with a dot")
    there = {path.name: path.read_bytes() for path in folder.glob("[!.]*")}
    if there == wanted and not (folder / PENDING).exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / PENDING).touch()
    for name, body in wanted.items():
        draft = folder / f".{name}.new"
        draft.touch(mode=0o600)
        draft.write_bytes(body)
        draft.replace(folder / name)
    for name in there.keys() - wanted.keys():
        (folder / name).unlink()
    if HOOK:
        # Where it fails the call is tried again, and the mark says that the hook is still to be run.
        subprocess.run(HOOK, check=True, timeout=60)
    (folder / PENDING).unlink()
    if not wanted:
        folder.rmdir()
    ctx.log.info("%s: %d files", key, len(wanted))
