import itertools
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deltawire.client.tools.certificate.key_pair import KeyPair, Template, key_pair, request_for
from deltawire.client.tools.certificate.manager import (
    RETRY_S_MAX,
    ROTATE_FROM,
    ROTATE_TO,
    CertificateManager,
)
from deltawire.client.tools.certificate.store import FileStore
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, CredentialsError, DeltawireError, StatusError, TransportError
from tests.support.signer import Signer

NOW_S = 1_700_000_000.0
DAY_S = 86_400.0
ME = Template("system:node:a", ("system:nodes",), ("a.local",), ("10.0.0.1", "fd00::1"))


@pytest.fixture
def signer() -> Signer:
    return Signer(NOW_S, DAY_S)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "pki", "client", clock=FakeClock(NOW_S))


def pair_of(signer: Signer, template: Template = ME) -> KeyPair:
    key, csr = request_for(template)
    return key_pair(signer.sign(csr), key)


def managed(
    store: FileStore,
    sign: Callable[[bytes], bytes],
    clock: FakeClock | None = None,
    *,
    template: Template = ME,
    random: float = 0.0,
    bootstrap: tuple[bytes, bytes] | None = None,
) -> CertificateManager:
    return CertificateManager(
        template, store, sign, bootstrap=bootstrap, clock=clock or FakeClock(NOW_S), random=lambda: random
    )


def test_a_request_names_all_that_the_template_names(signer: Signer):
    pair = pair_of(signer)
    assert set(pair.named.dns_names) == {"a.local"}
    assert set(pair.named.addresses) == {"10.0.0.1", "fd00::1"}
    assert pair.satisfies(ME)
    assert (pair.not_before_s, pair.not_after_s) == (NOW_S, NOW_S + DAY_S)


@pytest.mark.parametrize(
    ("change", "satisfied"),
    [
        ({"common_name": "other"}, False),
        ({"organizations": ("system:nodes", "more")}, False),
        ({"dns_names": ("b.local",)}, False),
        ({"addresses": ("10.0.0.2",)}, False),
        ({"organizations": (), "dns_names": (), "addresses": ("10.0.0.1",)}, True),
    ],
)
def test_a_certificate_may_name_more_and_never_less(
    signer: Signer, change: dict[str, object], satisfied: bool
):
    assert pair_of(signer).satisfies(replace(ME, **change)) is satisfied  # type: ignore[arg-type]  # fields by name


def test_a_pair_that_is_none_is_refused(signer: Signer):
    one, two = pair_of(signer), pair_of(signer)
    for cert, key in ((one.cert, two.key), (b"", one.key), (one.cert, b""), (b"x", b"y")):
        with pytest.raises(ConfigError):
            key_pair(cert, key)


def test_a_weak_key_is_refused(monkeypatch: pytest.MonkeyPatch, signer: Signer):
    from deltawire.client.tools.certificate import key_pair as module

    pair = pair_of(signer)
    monkeypatch.setattr(module, "EC_BITS_MIN", 384)
    with pytest.raises(ConfigError, match="a key needs"):
        key_pair(pair.cert, pair.key)


def test_an_address_that_is_none_is_a_mistake():
    with pytest.raises(ConfigError, match=r"template\.addresses"):
        request_for(Template("a", addresses=("a.local",)))


def test_no_repr_shows_a_key(signer: Signer):
    assert "PRIVATE" not in repr(pair_of(signer))


def test_the_store_keeps_a_pair_behind_a_link_that_only_we_can_read(store: FileStore, signer: Signer):
    assert store.current() is None
    pair = pair_of(signer)
    store.update(pair.cert, pair.key)
    assert store.current() == pair
    assert store.current_path.is_symlink()
    assert stat.S_IMODE(store.current_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.current_path.parent.stat().st_mode) == 0o700


def test_a_new_pair_replaces_the_link_and_keeps_the_old_file(tmp_path: Path, signer: Signer):
    clock = FakeClock(NOW_S)
    store = FileStore(tmp_path, "client", clock=clock)
    first, second = pair_of(signer), pair_of(signer)
    store.update(first.cert, first.key)
    old = store.current_path.resolve()
    clock.advance(1)
    store.update(second.cert, second.key)
    assert store.current() == second
    assert old.exists()
    assert sorted(p.name for p in tmp_path.iterdir() if not p.is_symlink()) == [
        "client-2023-11-14-22-13-20-000000.pem",
        "client-2023-11-14-22-13-21-000000.pem",
    ]


def test_what_a_crash_left_half_swapped_does_not_matter(store: FileStore, signer: Signer):
    first, second = pair_of(signer), pair_of(signer)
    store.update(first.cert, first.key)
    (store.current_path.parent / "client-updated.pem").symlink_to("nowhere.pem")
    assert store.current() == first
    store.update(second.cert, second.key)
    assert store.current() == second


def test_a_stored_file_that_holds_no_pair_is_named(store: FileStore):
    store.current_path.parent.mkdir(parents=True)
    store.current_path.write_bytes(b"garbage")
    with pytest.raises(ConfigError, match=r"client-current\.pem"):
        store.current()


def test_a_certificate_is_asked_for_at_once_where_there_is_none(store: FileStore, signer: Signer):
    manager = managed(store, signer.sign)
    assert manager.current() is None
    assert manager.rotate_at_s <= NOW_S
    assert manager.rotate()
    found = manager.current()
    assert found is not None
    assert found.satisfies(ME)
    assert store.current() == found


@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
def test_it_is_renewed_at_a_random_moment_late_in_its_life(store: FileStore, signer: Signer, random: float):
    manager = managed(store, signer.sign, random=random)
    manager.rotate()
    part = (manager.rotate_at_s - NOW_S) / DAY_S
    assert part == pytest.approx(ROTATE_FROM + (ROTATE_TO - ROTATE_FROM) * random)


def test_a_stored_certificate_is_used_until_it_is_due(store: FileStore, signer: Signer):
    managed(store, signer.sign).rotate()
    again = managed(store, signer.sign)
    assert again.current() == store.current()
    assert again.rotate_at_s > NOW_S


def test_a_bootstrap_certificate_serves_until_there_is_one_of_its_own(store: FileStore, signer: Signer):
    """It is where clients look for it, and even one that names the same is not kept for its whole life."""
    first = pair_of(signer)
    manager = managed(store, signer.sign, bootstrap=(first.cert, first.key))
    assert manager.current() == store.current() == first
    assert manager.rotate_at_s <= NOW_S
    assert manager.rotate()
    own = manager.current()
    assert own not in (None, first)
    assert managed(store, signer.sign, bootstrap=(first.cert, first.key)).current() == own


def test_a_stored_certificate_of_another_name_is_replaced_at_once(store: FileStore, signer: Signer):
    managed(store, signer.sign).rotate()
    assert managed(store, signer.sign, template=replace(ME, common_name="b")).rotate_at_s <= NOW_S


def test_an_expired_certificate_is_none(store: FileStore, signer: Signer):
    clock = FakeClock(NOW_S)
    manager = managed(store, signer.sign, clock)
    manager.rotate()
    clock.advance(DAY_S)
    assert manager.current() is None


def test_it_runs_through_the_years(store: FileStore, signer: Signer):
    clock, stop = FakeClock(NOW_S), threading.Event()

    def sign(csr: bytes) -> bytes:
        signer.start_s = clock.wall_s()
        if signer.signed == 3:
            stop.set()
        return signer.sign(csr)

    managed(store, sign, clock).run(stop)
    assert signer.signed == 4
    assert clock.now_s() == pytest.approx(3 * DAY_S * ROTATE_FROM)


def test_failures_are_tried_again_more_and_more_slowly_and_never_given_up(
    store: FileStore, signer: Signer, caplog: pytest.LogCaptureFixture
):
    clock, stop = FakeClock(NOW_S), threading.Event()
    at_s: list[float] = []

    def sign(csr: bytes) -> bytes:
        at_s.append(clock.now_s())
        if len(at_s) < 8:
            raise TransportError("refused", reason="refused")
        stop.set()
        return signer.sign(csr)

    manager = managed(store, sign, clock)
    manager.run(stop)
    assert [b - a for a, b in itertools.pairwise(at_s)] == [
        2,
        4,
        8,
        16,
        RETRY_S_MAX,
        RETRY_S_MAX,
        RETRY_S_MAX,
    ]
    assert (manager.failures, manager.rotations, manager.last_error) == (7, 1, "")
    assert manager.is_server_healthy


@pytest.mark.parametrize(
    ("error", "healthy"),
    [
        (TransportError("cut"), False),
        (StatusError(503, "ServiceUnavailable", "no"), False),
        (StatusError(403, "Forbidden", "no"), True),
        (CredentialsError("denied"), True),
    ],
)
def test_the_last_error_says_whether_the_server_is_well(
    store: FileStore, error: DeltawireError, healthy: bool
):
    def sign(csr: bytes) -> bytes:
        raise error

    manager = managed(store, sign)
    assert not manager.rotate()
    assert manager.is_server_healthy is healthy
    assert manager.last_error == str(error)


def test_a_certificate_for_somebody_else_is_not_stored(store: FileStore, signer: Signer):
    manager = managed(store, lambda csr: pair_of(signer).cert)
    assert not manager.rotate()
    assert store.current() is None
    assert manager.failures == 1


def test_the_key_is_new_each_time(store: FileStore, signer: Signer):
    manager = managed(store, signer.sign)
    manager.rotate()
    first = manager.current()
    manager.rotate()
    second = manager.current()
    assert first is not None
    assert second is not None
    assert first.key != second.key


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, signer: Signer):
    manager = managed(FileStore(tmp_path / "pki", "client"), signer.sign)
    (tmp_path / "pki").touch()  # a file where the folder should be made
    assert not manager.rotate()
    assert "cannot be written" in manager.last_error


def test_rsa_keys_of_others_are_read(signer: Signer):
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="do not belong together"):
        key_pair(pair_of(signer).cert, pem)
