package plugin

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// runConfig is what a plug-in needs of the config.json in the runtime folder of a running pipeline.
type runConfig struct {
	Runtime struct {
		Dir       string   `json:"dir"`
		Run       string   `json:"run"`
		Workers   int      `json:"workers"`
		Heartbeat duration `json:"heartbeat"`
	} `json:"runtime"`
	Informers []struct {
		Cluster  string `json:"cluster"`
		Resource string `json:"resource"`
	} `json:"informers"`
}

// duration is a number of seconds, or a text such as 500ms, 2s, 1m.
type duration time.Duration

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		*d = duration(seconds * float64(time.Second))
		return nil
	}
	parsed, err := time.ParseDuration(text)
	*d = duration(parsed)
	return err
}

func readConfig(path string) (runConfig, error) {
	var config runConfig
	data, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	if config.Runtime.Workers < 1 || config.Runtime.Heartbeat <= 0 {
		return config, fmt.Errorf("%s: not the config of a running pipeline", path)
	}
	return config, nil
}

// informersOf names the informers on these resources.
func (c runConfig) informersOf(resources []string) ([]string, error) {
	var names []string
	for _, resource := range resources {
		before := len(names)
		for _, informer := range c.Informers {
			if informer.Resource == resource {
				names = append(names, informer.Cluster+"/"+informer.Resource)
			}
		}
		if len(names) == before {
			return nil, fmt.Errorf("no informer on %s; add it to the config", resource)
		}
	}
	return names, nil
}

// identity is what the other end knows this process by: a nonce for each start, and what shows on the same host that it is gone.
type identity struct {
	name, nonce string
	pid         int
	started     int64
	host        string
}

func newIdentity(name string) identity {
	nonce := make([]byte, 4)
	_, _ = rand.Read(nonce)
	id := identity{name: name, nonce: hex.EncodeToString(nonce), pid: os.Getpid()}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		// Without /proc nobody sees a death at once; silence shows it.
		return id
	}
	// The command's name, in parentheses, may hold blanks; field 22 counts from after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	boot, bootErr := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, spaceErr := os.Readlink("/proc/self/ns/pid")
	if len(fields) > 19 && bootErr == nil && spaceErr == nil {
		id.started, _ = strconv.ParseInt(fields[19], 10, 64)
		id.host = strings.TrimSpace(string(boot)) + "/" + space
	}
	return id
}

func (id identity) String() string { return id.name + "." + id.nonce }
