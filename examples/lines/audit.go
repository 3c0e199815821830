// A handler in Go: one JSON object a line on stdin, one answer a line on stdout. The standard library is enough.
//
//	handlers:
//	  - {name: audit, command: [./audit], on: [pods]}       # go build -o audit examples/lines/audit.go
package main

import (
	"bufio"
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

// answer is one of: {id, ok}, {id, error}, {id, error, retry_after_s}, {id, dead}.
type answer struct {
	ID    int64  `json:"id"`
	OK    bool   `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	// A line may be as long as an object: a Scanner would end at 64 KiB.
	in, out := bufio.NewReaderSize(os.Stdin, 1<<16), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			_ = out.Encode(answer{ID: e.ID, Error: err.Error()})
			continue
		}
		app := e.Object.Metadata.Labels["app"]
		if app == "" {
			app = "nobody"
		}
		fmt.Fprintf(os.Stderr, "%s %s %s app=%s\n", e.Type, e.Resource, e.Key, app)
		if err := out.Encode(answer{ID: e.ID, OK: true}); err != nil {
			os.Exit(1)
		}
	}
}
