package plugin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var folder = flag.String("vectors", "../../../tests/vectors/wire", "the folder of the wire's vectors")

// read makes of JSON what Unpack gives: `{"bin": hex}` stands for bytes.
func read(t *testing.T, value any) any {
	switch v := value.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".e") {
			number, _ := v.Float64()
			return number
		}
		number, err := v.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return number
	case []any:
		for i := range v {
			v[i] = read(t, v[i])
		}
	case map[string]any:
		if text, isBytes := v["bin"].(string); isBytes && len(v) == 1 {
			data, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		for key := range v {
			v[key] = read(t, v[key])
		}
	}
	return value
}

func TestEveryVectorIsReadAndWrittenAsItStands(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(*folder, "*.json"))
	count := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []struct {
			Name    string
			Hex     string
			Decoded []any
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&vectors); err != nil {
			t.Fatal(err)
		}
		for _, vector := range vectors {
			name := filepath.Base(file) + ": " + vector.Name
			fields := read(t, vector.Decoded).([]any)
			wanted := Frame{Session: fields[1].(int64), N: fields[2].(int64)}
			for _, message := range fields[3].([]any) {
				wanted.Messages = append(wanted.Messages, message.([]any))
			}
			wire, err := hex.DecodeString(vector.Hex)
			if err != nil {
				t.Fatal(err)
			}
			found, err := Unpack(wire)
			if err != nil || !reflect.DeepEqual(found, wanted) {
				t.Errorf("%s: read as %v (%v), it is %v", name, found, err, wanted)
			}
			written, err := Pack(wanted.Session, wanted.N, wanted.Messages...)
			if err != nil {
				t.Fatal(err)
			}
			if found, err = Unpack(written); err != nil || !reflect.DeepEqual(found, wanted) {
				t.Errorf("%s: written and read as %v (%v)", name, found, err)
			}
			count++
		}
	}
	if count == 0 {
		t.Fatalf("no vectors in %s", *folder)
	}
	t.Logf("%d vectors hold", count)
}
