// A handler in Go: one JSON object a line on stdin, one answer a line on stdout. The standard library is enough.
//
//	handlers:
//	  - name: audit
//	    command: [./audit]                                       # go build -o audit examples/lines/audit.go
//	    on: [{resource: pods, labels: app, changed: .spec}]      # what is not wanted is never sent
//	    workers: 32                                              # so many lines may wait for their answers
//
// Each change is appended to $AUDIT_FILE, or goes to stderr, which is the handler's log.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type event struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Resource string `json:"resource"`
	Key      string `json:"key"`
	Object   struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	} `json:"object"`
}

// answer is one of: {id, ok}, {id, error}, {id, error, retry_after_s}, {id, retry_after_s}, {id, dead}.
type answer struct {
	ID          int64   `json:"id"`
	OK          bool    `json:"ok,omitempty"`
	Error       string  `json:"error,omitempty"`
	RetryAfterS float64 `json:"retry_after_s,omitempty"`
	Dead        string  `json:"dead,omitempty"`
}

func main() {
	if err := run(bufio.NewReaderSize(os.Stdin, 1<<16), bufio.NewWriter(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run answers line by line. A line may be as long as an object: a Scanner would end at 64 KiB.
func run(in *bufio.Reader, out *bufio.Writer) error {
	answers := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if err := answers.Encode(handle(line)); err != nil {
			return err
		}
		// A batch: the answers to lines that came together leave together.
		if rest, _ := in.Peek(in.Buffered()); bytes.IndexByte(rest, '\n') < 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func handle(line []byte) answer {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		// Trying again cannot help: a dead letter at once.
		return answer{ID: e.ID, Dead: err.Error()}
	}
	app := e.Object.Metadata.Labels["app"]
	if app == "" {
		app = "nobody"
	}
	if err := note(fmt.Sprintf("%s %s %s app=%s\n", e.Type, e.Resource, e.Key, app)); err != nil {
		// It comes again in five seconds. Without RetryAfterS it comes later and later.
		return answer{ID: e.ID, Error: err.Error(), RetryAfterS: 5}
	}
	return answer{ID: e.ID, OK: true}
}

func note(text string) error {
	path := os.Getenv("AUDIT_FILE")
	if path == "" {
		_, err := os.Stderr.WriteString(text)
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}
