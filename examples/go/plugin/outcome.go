package plugin

import (
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	done  = 0
	again = 1
	dead  = 2

	errorCharsMax = 1000
	// client-go's rate limiter.
	retryAfterFirst = 5 * time.Millisecond
	retryAfterMax   = 1000 * time.Second
)

type retryError struct {
	error
	after time.Duration
}

type deadError struct{ error }

type requeue struct{ after time.Duration }

func (requeue) Error() string { return "see the key again" }

// RetryAfter is a failure that is tried again after so long.
func RetryAfter(after time.Duration, err error) error { return retryError{err, after} }

// Dead is a failure that no further attempt can mend.
func Dead(err error) error { return deadError{err} }

// Requeue asks to see the key again after so long. It is no failure.
func Requeue(after time.Duration) error { return requeue{after} }

// outcome is the part of an ack's row that a call decides.
type outcome struct {
	verdict int64
	afterMs int64
	text    string
}

func outcomeOf(attempt int64, err error) outcome {
	var wish requeue
	var retry retryError
	var end deadError
	switch {
	case err == nil:
		return outcome{verdict: done}
	case errors.As(err, &wish):
		return outcome{again, wish.after.Milliseconds(), ""}
	case errors.As(err, &end):
		return outcome{dead, 0, textOf(err)}
	case errors.As(err, &retry):
		return outcome{again, retry.after.Milliseconds(), textOf(err)}
	}
	after := math.Min(float64(retryAfterFirst)*math.Pow(2, float64(attempt-1)), float64(retryAfterMax))
	return outcome{again, time.Duration(after).Milliseconds(), textOf(err)}
}

// An ack with an empty error would be a wish, no failure.
func textOf(err error) string {
	text := []rune(err.Error())
	if len(text) == 0 {
		return "failed"
	}
	return string(text[:min(len(text), errorCharsMax)])
}

// call runs a handler; a panic is a failure of this event alone.
func call(handle func(*Event) error, event *Event) (err error) {
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("panic: %v", found)
		}
	}()
	return handle(event)
}
