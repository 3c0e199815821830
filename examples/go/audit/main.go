// Writes a line for each change of a pod: `audit [-labels app=web] <runtime folder>/config.json`.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"example.org/deltawire-plugin/plugin"
)

func main() {
	log.SetFlags(0)
	labels := flag.String("labels", "", "only pods that this selector matches")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: audit [-labels SELECTOR] CONFIG.json")
	}
	var out io.Writer = os.Stdout
	if path := os.Getenv("AUDIT_FILE"); path != "" {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		out = file
	}
	var lock sync.Mutex
	options := plugin.Options{
		Config: flag.Arg(0), Group: "go-audit", Resources: []string{"pods"},
		Handle: func(event *plugin.Event) error {
			var pod struct {
				Spec struct {
					NodeName string `json:"nodeName"`
				} `json:"spec"`
			}
			if err := json.Unmarshal(event.Object, &pod); err != nil {
				return plugin.Dead(err)
			}
			lock.Lock()
			defer lock.Unlock()
			_, err := fmt.Fprintf(out, "%s %s version=%s on=%s\n", event.Type, event.Key, event.Version, pod.Spec.NodeName)
			return err
		},
		OnGap: func(gap plugin.Gap) { log.Printf("changes of %s were lost: %s", gap.Informer, gap.Reason) },
	}
	if *labels != "" {
		options.Filter = map[string]any{"labels": *labels}
	}
	replica, err := plugin.New(options)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	replica.Run(ctx)
}
