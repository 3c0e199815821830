package plugin

import (
	"encoding/json"
	"errors"
	"time"
)

var kinds = map[string]string{"A": "added", "U": "updated", "D": "deleted", "S": "resync"}

// The bits of an event's flags.
const (
	FinalStateUnknown = 1
	AfterGap          = 2
	Coalesced         = 4
	Initial           = 8
	OutOfScope        = 16
)

// Event is what a handler is given. Object and Old are the API server's JSON; nil where it is not known.
type Event struct {
	Type     string
	Informer string
	Key      string
	UID      string
	Version  string
	Attempt  int64
	Flags    int64
	// ReadAt is when the change was read from the API server.
	ReadAt time.Time
	Object json.RawMessage
	Old    json.RawMessage

	link  *link
	shard int64
	seq   int64
	fence int64
}

// Gap says that changes were lost for the group.
type Gap struct {
	Informer, Reason, Stream, LostFrom, Version string
	Attempt                                     int64
}

// reader takes the fields of a message one after another. What is missing or of another type is kept as the error.
type reader struct {
	fields []any
	err    error
}

func (r *reader) next() any {
	if len(r.fields) == 0 {
		r.err = errors.New("a field is missing")
		return nil
	}
	value := r.fields[0]
	r.fields = r.fields[1:]
	return value
}

func field[T any](r *reader) (value T) {
	value, isRight := r.next().(T)
	if !isRight && r.err == nil {
		r.err = errors.New("a field has another type")
	}
	return value
}

// maybe is a field that may be nil.
func maybe[T any](r *reader) (value T) {
	value, _ = r.next().(T)
	return value
}

func readEvents(from *link, message Message) ([]*Event, error) {
	r := &reader{fields: message[1:]}
	informer, shard := field[string](r), field[int64](r)
	var events []*Event
	for _, row := range field[[]any](r) {
		fields, _ := row.([]any)
		e := &reader{fields: fields}
		event := &Event{link: from, Informer: informer, shard: shard, seq: field[int64](e), Key: field[string](e)}
		event.Type = kinds[field[string](e)]
		event.UID, event.Version = field[string](e), field[string](e)
		event.ReadAt = time.UnixMicro(field[int64](e))
		event.Attempt, event.fence, event.Flags = field[int64](e), field[int64](e), field[int64](e)
		event.Object, event.Old = maybe[[]byte](e), maybe[[]byte](e)
		if e.err != nil {
			return nil, e.err
		}
		events = append(events, event)
	}
	return events, r.err
}

// readGap gives the notice and the fields of its answer.
func readGap(message Message) (Gap, Message, error) {
	r := &reader{fields: message[1:]}
	gap := Gap{Informer: field[string](r)}
	shard, number := field[int64](r), field[int64](r)
	gap.Reason, gap.Stream = field[string](r), field[string](r)
	r.next()
	gap.LostFrom, gap.Version = field[string](r), field[string](r)
	r.next()
	gap.Attempt = field[int64](r)
	return gap, Message{"gap-seen", gap.Informer, shard, number}, r.err
}
