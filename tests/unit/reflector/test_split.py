"""The splitter: bytes to objects without decoding them."""

import itertools
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire.client.rest.frames import EVENT_BYTES_MAX
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX, OBJECT_BYTES_MAX
from deltawire.reflector.split import Counters, ObjectReader, WatchSplitter, split_list


def obj(name="web", version="5", **more):
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": version}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **more}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event(kind, body):
    return compact({"type": kind, "object": body}) + b"\n"


def bookmark(version, **annotations):
    metadata = {"resourceVersion": version, "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = {"k8s.io/initial-events-end": annotations["end"]}
    return event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata})


@pytest.fixture
def reader():
    return ObjectReader("Pod", "v1", Counters())


def deltas_of(batches):
    return [delta for batch in batches for delta in batch.deltas]


class TestWatch:
    def test_the_object_travels_as_the_servers_bytes(self, reader):
        body = (
            b'{ "metadata" : {"name":"web","resourceVersion":"5"},"kind":"Pod","apiVersion":"v1", "x":1.50}'
        )
        [batch] = WatchSplitter(reader).feed(b'{"type":"ADDED","object":' + body + b"}\n")
        assert batch.deltas == [("A", "", "web", "", "5", body)]

    def test_the_three_types_have_their_letters(self, reader):
        stream = event("ADDED", obj()) + event("MODIFIED", obj(version="6")) + event("DELETED", obj("b", "7"))
        [batch] = WatchSplitter(reader).feed(stream)
        assert [(d[0], d[2], d[3], d[4]) for d in batch.deltas] == [
            ("A", "web", "uid-web", "5"),
            ("U", "web", "uid-web", "6"),
            ("D", "b", "uid-b", "7"),
        ]
        assert batch.version == "7"

    @pytest.mark.parametrize(
        "line",
        [
            b'{"object":%s,"type":"ADDED"}',
            b'{ "type": "ADDED", "object": %s }',
            b'{"type":"ADDED","object":%s,"more":{"object":1}}',
            b'{"type":"ADDED","object":%s}\r',
        ],
    )
    def test_other_spellings_of_an_event_are_read_too(self, reader, line):
        body = compact(obj())
        [batch] = WatchSplitter(reader).feed(line % body + b"\n")
        assert [d[5] for d in batch.deltas] == [body]

    def test_a_bookmark_ends_a_batch(self, reader):
        stream = event("ADDED", obj()) + bookmark("9") + event("ADDED", obj("b", "10"))
        first, second = WatchSplitter(reader).feed(stream)
        assert (len(first.deltas), first.version, first.is_bookmark, first.is_marker) == (1, "9", True, False)
        assert (second.version, second.is_bookmark) == ("10", False)

    def test_an_error_event_becomes_its_status(self, reader):
        status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "old"}
        [batch] = WatchSplitter(reader).feed(event("ERROR", status) + event("ADDED", obj()))
        assert isinstance(batch.error, StatusError)
        assert batch.error.is_expired
        assert not batch.deltas

    @pytest.mark.parametrize(
        "line",
        [
            b"<html>\n",
            b'{"type":"ADDED","object":{"metadata":\n{"type":"ADDED","object":{}}\n',
            b'{"type":"ADDED","object":{"metadata":nothing}}\n',
            b"[]\n",
            b"{}\n",
        ],
    )
    def test_garbage_is_an_error_after_what_came_before(self, reader, line):
        [batch] = WatchSplitter(reader).feed(event("ADDED", obj()) + line)
        assert len(batch.deltas) == 1
        assert isinstance(batch.error, TransportError)
        assert batch.error.reason == "garbage"

    @pytest.mark.parametrize(
        "body",
        [
            {"kind": "Pod"},
            {"kind": "Pod", "metadata": {"resourceVersion": "9"}},
            {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x"}},
            {"kind": "Pod", "metadata": {"name": 7}},
        ],
    )
    def test_what_is_no_object_is_skipped_counted_and_moves_no_version(self, reader, body):
        [batch] = WatchSplitter(reader).feed(event("ADDED", obj()) + event("ADDED", body))
        assert batch.version == "5"
        assert len(batch.deltas) == 1
        assert reader.counters.unsupported == 1

    def test_an_unknown_type_is_skipped_and_counted(self, reader):
        assert WatchSplitter(reader).feed(event("RENAMED", obj())) == []
        assert reader.counters.unsupported == 1

    def test_the_last_event_counts_without_its_newline(self, reader):
        splitter = WatchSplitter(reader)
        assert len(deltas_of(splitter.feed(event("ADDED", obj())[:-1]))) == 1
        assert splitter.finish() == []

    def test_half_an_event_at_the_end_is_nothing(self, reader):
        splitter = WatchSplitter(reader)
        splitter.feed(event("ADDED", obj())[:-5])
        assert splitter.finish() == []

    def test_an_event_beyond_the_bound_is_refused_and_the_next_one_read(self, reader):
        splitter = WatchSplitter(reader)
        huge = event("ADDED", obj(data="x" * EVENT_BYTES_MAX)) + event("ADDED", obj("b"))
        found = []
        for at in range(0, len(huge), 65536):
            found += splitter.feed(huge[at : at + 65536])
        assert [d[2] for d in deltas_of(found)] == ["b"]
        assert reader.counters.refused == 1
        assert "refused" in reader.counters.refusal

    def test_an_object_beyond_the_bound_is_refused_by_name(self, reader):
        body = obj(data="x" * OBJECT_BYTES_MAX)
        assert reader.delta("A", compact(body)) is None
        assert "default/web" in reader.counters.refusal

    @pytest.mark.parametrize("field", ["namespace", "name", "uid", "resourceVersion"])
    def test_an_identity_that_no_message_may_carry_is_refused(self, reader, field):
        body = obj()
        body["metadata"][field] = "x" * 5000
        assert reader.delta("A", compact(body)) is None
        assert reader.counters.refused == 1
        assert len(reader.counters.refusal) < 300

    def test_an_object_that_cannot_be_trimmed_stays_here(self):
        def trim(_):
            raise msgspec.DecodeError("no")

        reader = ObjectReader("Pod", "v1", Counters(), trim)
        assert reader.delta("A", compact(obj())) is None
        assert reader.counters.refused == 1


class TestStreamingList:
    def test_initial_events_are_items_until_the_marker(self, reader):
        stream = (
            event("ADDED", obj("a"))
            + event("MODIFIED", obj("a", "6"))
            + event("DELETED", obj("b", "7"))
            + bookmark("8", end="true")
            + event("ADDED", obj("c", "9"))
        )
        first, second = WatchSplitter(reader, initial=True).feed(stream)
        assert [d[0] for d in first.deltas] == ["R", "R", "D"]
        assert first.is_marker
        assert [d[0] for d in second.deltas] == ["A"]

    @pytest.mark.parametrize("end", ["false", "True", ""])
    def test_only_the_exact_annotation_is_the_marker(self, reader, end):
        [batch] = WatchSplitter(reader, initial=True).feed(bookmark("8", end=end))
        assert not batch.is_marker

    def test_events_after_the_first_change_are_counted_while_there_is_no_marker(self, reader):
        splitter = WatchSplitter(reader, initial=True)
        assert splitter.feed(event("ADDED", obj("a")))[0].changes_before_marker == 0
        stream = event("MODIFIED", obj("a", "6")) + event("ADDED", obj("b", "7"))
        assert splitter.feed(stream)[0].changes_before_marker == 2

    def test_a_plain_watch_has_no_marker(self, reader):
        [batch] = WatchSplitter(reader).feed(bookmark("8", end="true"))
        assert not batch.is_marker


names = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=20)
kinds = st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"])


@given(st.lists(st.tuples(kinds, names), max_size=12), st.randoms(use_true_random=False), st.booleans())
def test_however_the_bytes_are_cut_the_events_are_the_same(events, rng, initial):
    stream = b"".join(
        bookmark(str(n)) if kind == "BOOKMARK" else event(kind, obj(name, str(n)))
        for n, (kind, name) in enumerate(events, 1)
    )

    def outcome(chunks):
        reader = ObjectReader("Pod", "v1", Counters())
        splitter = WatchSplitter(reader, initial=initial)
        batches = [batch for chunk in chunks for batch in splitter.feed(chunk)] + splitter.finish()
        marks = [batch.version for batch in batches if batch.is_bookmark]
        return deltas_of(batches), marks, reader.counters.bytes

    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(8)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges) if a < b]
    assert outcome(pieces) == outcome([stream] if stream else [])
    assert outcome([stream[i : i + 1] for i in range(len(stream))]) == outcome(pieces)


class TestList:
    def listed(self, *objects, kind="PodList", version="20", **metadata):
        return compact({"kind": kind, "metadata": {"resourceVersion": version, **metadata}, "items": objects})

    def test_items_of_a_built_in_list_get_their_kind_and_version(self, reader):
        bare = {"metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "5"}}
        [page] = split_list(self.listed(bare), reader)
        [delta] = page.deltas
        assert delta[5].startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":')
        assert json.loads(delta[5]) == {"kind": "Pod", "apiVersion": "v1", **bare}

    def test_items_with_half_a_type_get_the_whole(self, reader):
        [page] = split_list(self.listed({"kind": "Pod", "metadata": {"name": "web"}}), reader)
        assert json.loads(page.deltas[0][5]) == {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "web"},
        }

    def test_items_with_their_type_stay_as_they_are(self, reader):
        widget = {"apiVersion": "ex.io/v2", "kind": "Widget", "metadata": {"name": "w"}}
        [page] = split_list(self.listed(widget, kind="WidgetList"), reader)
        assert page.deltas[0][5] == compact(widget)

    def test_a_page_comes_in_parts_and_only_the_last_one_says_so(self, reader):
        objects = [obj(f"p{n}") for n in range(2 * BATCH_DELTAS_MAX + 1)]
        body = self.listed(*objects, **{"continue": "t"})
        pages = list(split_list(body, reader))
        assert [len(page.deltas) for page in pages] == [BATCH_DELTAS_MAX, BATCH_DELTAS_MAX, 1]
        assert [page.is_last for page in pages] == [False, False, True]
        assert {(page.version, page.continue_token) for page in pages} == {("20", "t")}
        assert {delta[0] for page in pages for delta in page.deltas} == {"R"}

    def test_large_items_make_small_parts(self, reader):
        objects = [obj(f"p{n}", data="x" * (BATCH_BYTES_MAX // 2)) for n in range(3)]
        assert [len(page.deltas) for page in split_list(self.listed(*objects), reader)] == [1, 1, 1]

    @pytest.mark.parametrize("items", [b"[]", b"null"])
    def test_an_empty_list_is_one_empty_part(self, reader, items):
        body = b'{"kind":"PodList","metadata":{"resourceVersion":"20"},"items":' + items + b"}"
        [page] = split_list(body, reader)
        assert (page.deltas, page.is_last, page.version) == ([], True, "20")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html></html>",
            b'{"kind":"Table","metadata":{"resourceVersion":"2"},"rows":[]}',
            b'{"kind":"Status"}',
            b'{"kind":"Status","items":[]}',
            b'{"metadata":{"resourceVersion":"2"}}',
            b'{"kind":"PodList","metadata":{"resourceVersion":"%s"},"items":[]}' % (b"1" * 5000),
        ],
    )
    def test_what_is_no_list_is_refused(self, reader, body):
        with pytest.raises(TransportError) as caught:
            list(split_list(body, reader))
        assert caught.value.reason == "garbage"


def test_random_garbage_never_raises():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    whole = event("ADDED", obj()) + bookmark("9") + event("DELETED", obj())
    for _ in range(500):
        broken = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        splitter = WatchSplitter(ObjectReader("Pod", "v1", Counters()))
        splitter.feed(bytes(broken))
        splitter.finish()
