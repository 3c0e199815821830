"""What the state folder keeps of a cluster beside its caches, also when several workers write it."""

import threading
from collections.abc import Callable
from pathlib import Path

from deltawire.common.store.folder import cluster_folder
from deltawire.informer.store.identities import address_of, remember


def together(calls: list[Callable[[], None]]) -> list[Exception]:
    """Make the calls at the same moment; the errors they raised."""
    errors: list[Exception] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # whatever it is, the test names it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_workers_with_the_same_process_id_may_keep_an_address_at_one_time(tmp_path: Path) -> None:
    """Workers in containers of their own have the same process id; here threads have."""
    for turn in range(100):
        address = f"address-{turn}"
        assert together([lambda: remember(tmp_path, "uid", address)] * 4) == []  # noqa: B023
        assert address_of(tmp_path, "uid") == address


def test_workers_with_the_same_process_id_may_link_a_former_id_at_one_time(tmp_path: Path) -> None:
    cluster_folder(tmp_path, "stand-in").mkdir(parents=True)
    for turn in range(100):
        uid = f"uid-{turn}"
        assert together([lambda: remember(tmp_path, uid, "a", was="stand-in")] * 4) == []  # noqa: B023
        assert address_of(tmp_path, uid) == "a"
    assert not list(tmp_path.glob("**/*.new"))
