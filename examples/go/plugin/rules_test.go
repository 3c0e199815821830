package plugin

import (
	"errors"
	"testing"
	"time"
)

func said(session, n int64, message ...any) Frame {
	return Frame{Session: session, N: n, Messages: []Message{message}}
}

func opened(t *testing.T) *Session {
	s := &Session{}
	if _, err := s.Hello(0, "handler"); err != nil {
		t.Fatal(err)
	}
	if verdict, _ := s.Take(said(7, 0, "welcome", map[string]any{}), 1); verdict != Opened {
		t.Fatalf("a welcome is %v", verdict)
	}
	return s
}

func TestAHelloIsRepeatedEveryTwoSecondsUntilAWelcomeComes(t *testing.T) {
	s := &Session{}
	if !s.IsHelloDue(0) {
		t.Error("none at the start")
	}
	_, _ = s.Hello(0, "handler")
	if s.IsHelloDue(1999*time.Millisecond) || !s.IsHelloDue(2*time.Second) {
		t.Error("not after two seconds")
	}
}

func TestFramesAreCountedFromOneInEachDirection(t *testing.T) {
	s := opened(t)
	data, _ := s.Frame(Message{"bye"})
	if frame, err := Unpack(data); err != nil || frame.N != 1 || frame.Session != 7 {
		t.Errorf("%v %v", frame, err)
	}
	if verdict, _ := s.Take(said(7, 1, "synced", "dev/pods", int64(0)), 2); verdict != Take {
		t.Error(verdict)
	}
}

func TestADoubtEndsTheSession(t *testing.T) {
	for name, frame := range map[string]Frame{
		"a gap": said(7, 2, "synced"), "a reset": said(7, 0, "reset"), "a second welcome": said(8, 0, "welcome"),
	} {
		s := opened(t)
		if verdict, _ := s.Take(frame, 2); verdict != Lost || s.IsOpen() || !s.IsHelloDue(3) {
			t.Errorf("%s: %v", name, verdict)
		}
	}
}

func TestAFrameOfAnotherSessionIsIgnored(t *testing.T) {
	if verdict, _ := opened(t).Take(said(6, 1, "synced"), 2); verdict != Ignore {
		t.Error(verdict)
	}
}

func TestAfterARefusalThereIsNoHelloForFiveSeconds(t *testing.T) {
	s := opened(t)
	if verdict, reason := s.Take(said(0, 0, "refuse", "no"), 10*time.Second); verdict != Refused || reason != "no" {
		t.Error(verdict, reason)
	}
	if s.IsHelloDue(14*time.Second) || !s.IsHelloDue(15*time.Second) {
		t.Error("not after five seconds")
	}
}

func TestWhatAHandlerReturnsDecidesItsAck(t *testing.T) {
	busy := errors.New("busy")
	for _, c := range []struct {
		err    error
		wanted outcome
	}{
		{nil, outcome{0, 0, ""}},
		{Requeue(500 * time.Millisecond), outcome{1, 500, ""}},
		{busy, outcome{1, 40, "busy"}},
		{RetryAfter(7*time.Millisecond, busy), outcome{1, 7, "busy"}},
		{Dead(errors.New("never")), outcome{2, 0, "never"}},
		{errors.New(""), outcome{1, 40, "failed"}},
		{call(func(*Event) error { panic("oh") }, nil), outcome{1, 40, "panic: oh"}},
	} {
		if found := outcomeOf(4, c.err); found != c.wanted {
			t.Errorf("%v: %v, not %v", c.err, found, c.wanted)
		}
	}
}

func TestWhatIsNoFrameIsRefusedWithAReason(t *testing.T) {
	one := func(value any) []byte { data, _ := Pack(1, 1, Message{"x", value}); return data }
	for name, data := range map[string][]byte{
		"nothing": {}, "not msgpack": {0xc1}, "no array": {0x01}, "another version": {0x94, 0x01, 0x00, 0x00, 0x90},
		"no messages": {0x94, 0x02, 0x01, 0x01, 0x90}, "two frames": append(one(1), one(2)...), "cut": one("text")[:8],
	} {
		if frame, err := Unpack(data); err == nil {
			t.Errorf("%s: %v", name, frame)
		}
	}
}
