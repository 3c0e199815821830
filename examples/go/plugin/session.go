// Package plugin is a replica of a Deltawire handler group that speaks docs/wire.md itself.
package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

const (
	wireVersion   = 2
	helloEvery    = 2 * time.Second
	refusedFor    = 5 * time.Second
	frameBytesMax = 16<<20 + 64<<10
)

// Message is an array that begins with its kind.
type Message []any

// Frame is what travels as one ZeroMQ message (docs/wire.md §2). Its integers are int64, its bytes []byte.
type Frame struct {
	Session  int64
	N        int64
	Messages []Message
}

// Pack gives the bytes of a frame.
func Pack(session, n int64, messages ...Message) ([]byte, error) {
	var out bytes.Buffer
	encoder := msgpack.NewEncoder(&out)
	encoder.UseCompactInts(true)
	if err := encoder.Encode([]any{wireVersion, session, n, messages}); err != nil {
		return nil, err
	}
	if out.Len() > frameBytesMax {
		return nil, fmt.Errorf("a frame of %d bytes", out.Len())
	}
	return out.Bytes(), nil
}

// Unpack reads a frame. The error says what is wrong with bytes that are none.
func Unpack(data []byte) (Frame, error) {
	if len(data) > frameBytesMax {
		return Frame{}, fmt.Errorf("a frame of %d bytes", len(data))
	}
	source := bytes.NewReader(data)
	value, err := msgpack.NewDecoder(source).DecodeInterface()
	if err != nil {
		return Frame{}, fmt.Errorf("not msgpack: %w", err)
	}
	if _, err := source.ReadByte(); err != io.EOF {
		return Frame{}, errors.New("bytes behind a frame")
	}
	fields, isArray := plain(value).([]any)
	if !isArray || len(fields) != 4 {
		return Frame{}, errors.New("not a frame")
	}
	if fields[0] != int64(wireVersion) {
		return Frame{}, fmt.Errorf("version %v of the wire; this speaks %d", fields[0], wireVersion)
	}
	session, isSession := fields[1].(int64)
	n, isNumber := fields[2].(int64)
	rows, isList := fields[3].([]any)
	if !isSession || !isNumber || !isList || len(rows) == 0 {
		return Frame{}, errors.New("not a frame")
	}
	frame := Frame{Session: session, N: n}
	for _, row := range rows {
		message, isArray := row.([]any)
		if !isArray || len(message) == 0 {
			return Frame{}, errors.New("not a message")
		}
		if _, isText := message[0].(string); !isText {
			return Frame{}, errors.New("a message without a kind")
		}
		frame.Messages = append(frame.Messages, message)
	}
	if n == 0 && len(rows) != 1 {
		return Frame{}, errors.New("what is not counted travels alone")
	}
	return frame, nil
}

// plain makes every integer an int64: the decoder gives them as the sender happened to write them.
func plain(value any) any {
	switch v := value.(type) {
	case int8, int16, int32:
		return reflect.ValueOf(v).Int()
	case uint8, uint16, uint32, uint64:
		return int64(reflect.ValueOf(v).Uint())
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	}
	return value
}

// Verdict is what a frame means for the session.
type Verdict int

const (
	Ignore Verdict = iota
	Take
	Beat
	Opened
	// Lost and Refused end the session: all that is held of it is dropped before the next hello.
	Lost
	Refused
)

// Session has the rules of docs/wire.md §3 for the end that connects. No socket, no clock: instants are monotonic.
type Session struct {
	// Number is 0 while there is no session.
	Number     int64
	sent       int64
	received   int64
	saidHello  bool
	helloAt    time.Duration
	quietUntil time.Duration
}

func (s *Session) IsOpen() bool { return s.Number != 0 }

func (s *Session) IsHelloDue(now time.Duration) bool {
	if s.IsOpen() || now < s.quietUntil {
		return false
	}
	return !s.saidHello || now >= s.helloAt+helloEvery
}

// Hello gives the bytes of a hello, which ends whatever session there was.
func (s *Session) Hello(now time.Duration, fields ...any) ([]byte, error) {
	s.Number, s.saidHello, s.helloAt = 0, true, now
	return Pack(0, 0, append(Message{"hello"}, fields...))
}

// Frame gives the bytes of the session's next counted frame.
func (s *Session) Frame(messages ...Message) ([]byte, error) {
	s.sent++
	return Pack(s.Number, s.sent, messages...)
}

// Take says what a frame means; the text is the reason where it ends the session.
func (s *Session) Take(frame Frame, now time.Duration) (Verdict, string) {
	kind := ""
	if frame.N == 0 {
		kind = frame.Messages[0][0].(string)
	}
	switch {
	case kind == "welcome" && s.IsOpen():
		return s.GiveUp("a second welcome")
	case kind == "welcome" && !s.saidHello:
		return Ignore, ""
	case kind == "welcome":
		s.Number, s.sent, s.received = frame.Session, 0, 0
		return Opened, ""
	case kind == "refuse":
		s.quietUntil = now + refusedFor
		reason := "no reason given"
		if len(frame.Messages[0]) > 1 {
			reason = fmt.Sprint(frame.Messages[0][1])
		}
		s.GiveUp("")
		return Refused, reason
	case !s.IsOpen() || frame.Session != s.Number:
		return Ignore, ""
	case kind == "beat":
		return Beat, ""
	case kind == "" && frame.N == s.received+1:
		s.received = frame.N
		return Take, ""
	case kind == "reset":
		return s.GiveUp("reset")
	}
	return s.GiveUp("a gap between frames")
}

// GiveUp ends the session for a reason of this end: silence, a broken connection.
func (s *Session) GiveUp(reason string) (Verdict, string) {
	s.Number, s.saidHello = 0, false
	return Lost, reason
}
