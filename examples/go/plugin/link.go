package plugin

import (
	"context"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

const silentIntervalsMax = 3

// arrival is what a goroutine of a link has for the main loop: a new connection, a frame's bytes, or an end.
type arrival struct {
	link   *link
	wire   *wire
	isDial bool
	data   []byte
	err    error
}

// wire is one connection, with the handshake behind it.
type wire struct {
	raw  net.Conn
	conn *zmq4.Conn
}

// dial opens a connection that has this identity: the router gives it the place of the one before.
func dial(path, id string, timeout time.Duration) (*wire, error) {
	raw, err := net.DialTimeout("unix", path, timeout)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(timeout))
	conn, err := zmq4.Open(raw, null.Security(), zmq4.Dealer, zmq4.SocketIdentity(id), false, nil)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	_ = raw.SetDeadline(time.Time{})
	return &wire{raw, conn}, nil
}

// send fails where the other end takes nothing for so long.
func (w *wire) send(data []byte, timeout time.Duration) error {
	_ = w.raw.SetWriteDeadline(time.Now().Add(timeout))
	return w.conn.SendMsg(zmq4.NewMsg(data))
}

// link is the connection to one informer worker. All but `beats` and `read` belongs to the main loop.
type link struct {
	worker    int
	path      string
	id        identity
	heartbeat time.Duration
	arrivals  chan<- arrival
	wire      *wire
	isDialing bool
	session   Session
	heardAt   time.Duration
	// For the goroutine that beats.
	sessionNumber atomic.Int64
	// What has not begun: dropped with the session, since it comes again.
	queue []*Event
	// Calls under way, and acks that had no session: held over a hello. `acks` are those of this turn.
	calls  map[*Event]bool
	acks   []ack
	unsent []ack
}

type ack struct {
	event   *Event
	outcome outcome
}

func (l *link) dial(ctx context.Context) {
	l.isDialing = true
	go func() {
		wire, err := dial(l.path, l.id.String(), l.heartbeat)
		select {
		case l.arrivals <- arrival{link: l, wire: wire, isDial: true, err: err}:
		case <-ctx.Done():
			if wire != nil {
				_ = wire.raw.Close()
			}
			return
		}
		if wire != nil {
			l.read(ctx, wire)
		}
	}()
}

// read passes on what comes; the channel is bounded, so is what the worker may send without an ack.
func (l *link) read(ctx context.Context, wire *wire) {
	for {
		message, err := wire.conn.RecvMsg()
		found := arrival{link: l, wire: wire, err: err}
		if err == nil && len(message.Frames) == 1 {
			found.data = message.Frames[0]
		}
		select {
		case l.arrivals <- found:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// beats says "still here" from a goroutine and a connection of its own. `turns` counts the main loop's turns: one that hangs shows.
func (l *link) beats(ctx context.Context, turns *atomic.Int64) {
	ticker := time.NewTicker(l.heartbeat)
	defer ticker.Stop()
	var own *wire
	for {
		if number := l.sessionNumber.Load(); number != 0 {
			var err error
			if own == nil {
				own, err = dial(l.path, l.id.String()+"~", l.heartbeat)
			}
			if err == nil {
				var data []byte
				if data, err = Pack(number, 0, Message{"beat", turns.Load()}); err == nil {
					err = own.send(data, l.heartbeat)
				}
			}
			if err != nil && own != nil {
				_ = own.raw.Close()
				own = nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if own != nil {
				_ = own.raw.Close()
			}
			return
		}
	}
}

// send puts a frame of messages on the connection. A failure ends the session.
func (l *link) send(messages ...Message) bool {
	if !l.session.IsOpen() || l.wire == nil {
		return false
	}
	data, err := l.session.Frame(messages...)
	if err == nil {
		err = l.wire.send(data, l.heartbeat)
	}
	if err != nil {
		l.drop(err.Error())
	}
	return err == nil
}

// lost drops what the session held. Calls under way go on, and the next hello names them.
func (l *link) lost(reason string) {
	log.Printf("worker %d: %s", l.worker, reason)
	l.sessionNumber.Store(0)
	l.queue = nil
}

// drop ends the session and closes the connection; the next tick opens another.
func (l *link) drop(reason string) {
	_ = l.wire.raw.Close()
	l.wire = nil
	l.session.GiveUp(reason)
	l.lost(reason)
}

// held names the calls that go on over a hello.
func (l *link) held() []any {
	rows := []any{}
	name := func(e *Event) { rows = append(rows, []any{e.Informer, e.shard, e.Key, e.seq, e.fence}) }
	for event := range l.calls {
		name(event)
	}
	for _, ack := range l.unsent {
		name(ack.event)
	}
	return rows
}

// flush sends the acks of this turn, one message for each shard, in one frame. What has no session waits for the next.
func (l *link) flush() {
	l.unsent, l.acks = append(l.unsent, l.acks...), nil
	if len(l.unsent) == 0 || !l.session.IsOpen() {
		return
	}
	type place struct {
		informer string
		shard    int64
	}
	rows := map[place][]any{}
	for _, a := range l.unsent {
		at := place{a.event.Informer, a.event.shard}
		row := []any{a.event.Key, a.event.seq, a.event.fence, a.outcome.verdict, a.outcome.afterMs, a.outcome.text}
		rows[at] = append(rows[at], row)
	}
	var messages []Message
	for at, acks := range rows {
		messages = append(messages, Message{"acks", at.informer, at.shard, acks})
	}
	if l.send(messages...) {
		l.unsent = nil
	}
}
