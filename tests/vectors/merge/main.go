// Writes seeded cases of structured merge and strategic merge, with what Kubernetes' own libraries make of them.
//
//	go run . > cases.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/merge"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const schemaText = `types:
- name: root
  map:
    fields:
    - {name: a, type: {scalar: string}}
    - {name: b, type: {scalar: numeric}}
    - name: m
      type: {map: {elementType: {scalar: string}}}
    - name: am
      type: {map: {elementType: {scalar: string}, elementRelationship: atomic}}
    - name: s
      type: {list: {elementType: {scalar: string}, elementRelationship: associative}}
    - name: al
      type: {list: {elementType: {scalar: string}, elementRelationship: atomic}}
    - name: l
      type: {list: {elementType: {namedType: item}, elementRelationship: associative, keys: [k]}}
    - name: p
      type: {list: {elementType: {namedType: port}, elementRelationship: associative, keys: [port, protocol]}}
    - {name: st, type: {namedType: inner}}
- name: item
  map:
    fields:
    - {name: k, type: {scalar: string}}
    - {name: v, type: {scalar: string}}
    - name: m
      type: {map: {elementType: {scalar: string}}}
- name: port
  map:
    fields:
    - {name: port, type: {scalar: numeric}}
    - {name: protocol, type: {scalar: string}, default: TCP}
    - {name: name, type: {scalar: string}}
- name: inner
  map:
    fields:
    - {name: "x", type: {scalar: string}}
    - {name: "y", type: {scalar: string}}
    - {name: "n", type: {namedType: inner}}
`

type same struct{}

func (same) Convert(o *typed.TypedValue, _ fieldpath.APIVersion) (*typed.TypedValue, error) { return o, nil }
func (same) IsMissingVersionError(error) bool                                                { return false }

type step struct {
	Op        string                     `json:"op"`
	Manager   string                     `json:"manager"`
	Object    any                        `json:"object"`
	Force     bool                       `json:"force,omitempty"`
	Result    any                        `json:"result,omitempty"`
	Owners    map[string]json.RawMessage `json:"owners,omitempty"`
	Conflicts []string                   `json:"conflicts,omitempty"`
}

var r *rand.Rand

func pick(texts ...string) string { return texts[r.Intn(len(texts))] }
func some() map[string]any {
	m := map[string]any{}
	for _, k := range []string{"k1", "k2", "k3"} {
		if r.Intn(2) == 0 {
			m[k] = pick("1", "2")
		}
	}
	return m
}
func texts(list []string) []any {
	out := []any{}
	for _, i := range r.Perm(len(list)) {
		if r.Intn(2) == 0 {
			out = append(out, list[i])
		}
	}
	return out
}
func inner(depth int) map[string]any {
	m := map[string]any{}
	for _, k := range []string{"x", "y"} {
		if r.Intn(2) == 0 {
			m[k] = pick("1", "2")
		}
	}
	if depth > 0 && r.Intn(2) == 0 {
		m["n"] = inner(depth - 1)
	}
	return m
}
func object() map[string]any {
	o := map[string]any{}
	set := func(name string, make func() any) {
		if r.Intn(5) < 2 {
			o[name] = make()
		}
	}
	set("a", func() any { return pick("1", "2") })
	set("b", func() any { return float64(r.Intn(3)) })
	set("m", func() any { return some() })
	set("am", func() any { return some() })
	set("s", func() any { return texts([]string{"u", "v", "w"}) })
	set("al", func() any { return texts([]string{"u", "v", "w"}) })
	set("l", func() any {
		out := []any{}
		for _, k := range texts([]string{"a", "b", "c", "d"}) {
			item := map[string]any{"k": k}
			if r.Intn(2) == 0 {
				item["v"] = pick("1", "2")
			}
			if r.Intn(3) == 0 {
				item["m"] = some()
			}
			out = append(out, item)
		}
		return out
	})
	set("p", func() any {
		out := []any{}
		for _, n := range r.Perm(3) {
			if r.Intn(2) == 0 {
				item := map[string]any{"port": float64(80 + n)}
				if r.Intn(2) == 0 {
					item["protocol"] = "TCP"
				}
				if r.Intn(2) == 0 {
					item["name"] = pick("x", "y")
				}
				out = append(out, item)
			}
		}
		return out
	})
	set("st", func() any { return inner(1) })
	return o
}

func clone(v any) any {
	data, err := json.Marshal(v)
	check(err)
	var out any
	check(json.Unmarshal(data, &out))
	return out
}

func structured(parser typed.ParseableType) []step {
	updater := (&merge.UpdaterBuilder{Converter: same{}, ReturnInputOnNoop: true}).BuildUpdater()
	live, err := parser.FromUnstructured(map[string]any{})
	check(err)
	managers := fieldpath.ManagedFields{}
	var steps []step
	for i := 0; i < 5; i++ {
		s := step{Op: pick("apply", "apply", "update"), Force: r.Intn(2) == 0}
		if s.Op == "update" {
			s.Force = false
			s.Manager = pick("U", "V")
			next := object()
			before, _ := live.AsValue().Unstructured().(map[string]any)
			for k, v := range before {
				if r.Intn(2) == 0 {
					next[k] = v
				}
			}
			s.Object = clone(next)
			value, err := parser.FromUnstructured(clone(next))
			check(err)
			obj, after, err := updater.Update(live, value, "v1", managers.Copy(), s.Manager)
			check(err)
			live, managers = obj, after
		} else {
			s.Manager = pick("A", "B", "C")
			config := object()
			s.Object = clone(config)
			value, err := parser.FromUnstructured(clone(config))
			check(err)
			obj, after, err := updater.Apply(live, value, "v1", managers.Copy(), s.Manager, s.Force)
			if conflicts, ok := err.(merge.Conflicts); ok {
				for _, c := range conflicts {
					s.Conflicts = append(s.Conflicts, c.Manager+" "+c.Path.String())
				}
				sort.Strings(s.Conflicts)
				steps = append(steps, s)
				continue
			}
			check(err)
			if obj != nil {
				live = obj
			}
			managers = after
		}
		s.Result = clone(live.AsValue().Unstructured())
		s.Owners = map[string]json.RawMessage{}
		for name, set := range managers {
			data, err := set.Set().ToJSON()
			check(err)
			s.Owners[name] = data
		}
		steps = append(steps, s)
	}
	return steps
}

type strategic struct {
	Target any    `json:"target"`
	Patch  any    `json:"patch"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

func container(name any) map[string]any {
	c := map[string]any{"name": name}
	if r.Intn(2) == 0 {
		c["image"] = pick("i1", "i2")
	}
	if r.Intn(2) == 0 {
		c["args"] = texts([]string{"1", "2"})
	}
	if r.Intn(3) == 0 {
		c["env"] = []any{map[string]any{"name": pick("A", "B"), "value": pick("1", "2")}}
	}
	return c
}
func pod(patch bool) map[string]any {
	names := texts([]string{"a", "b", "c", "d"})
	containers := []any{}
	for _, n := range names {
		c := container(n)
		if patch && r.Intn(5) == 0 {
			c = map[string]any{"name": n, "$patch": "delete"}
		}
		containers = append(containers, c)
	}
	spec := map[string]any{"containers": containers}
	if patch && r.Intn(3) == 0 {
		order := []any{}
		for _, n := range names {
			order = append(order, map[string]any{"name": n})
		}
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		kept := []any{}
		for _, c := range containers {
			if c.(map[string]any)["$patch"] == nil {
				kept = append(kept, c)
			}
		}
		if len(kept) == len(containers) {
			spec["$setElementOrder/containers"] = order
		}
	}
	if r.Intn(2) == 0 {
		spec["nodeSelector"] = some()
		if patch && r.Intn(3) == 0 {
			spec["nodeSelector"].(map[string]any)["$patch"] = "replace"
		}
	}
	if r.Intn(2) == 0 {
		spec["hostname"] = pick("h1", "h2")
		if patch && r.Intn(2) == 0 {
			spec["hostname"] = nil
		}
	}
	o := map[string]any{"spec": spec}
	if r.Intn(2) == 0 {
		o["metadata"] = map[string]any{"finalizers": texts([]string{"f/1", "f/2", "f/3"})}
	}
	return o
}

func main() {
	r = rand.New(rand.NewSource(35))
	parser, err := typed.NewParser(typed.YAMLObject(schemaText))
	check(err)
	var cases [][]step
	for i := 0; i < 500; i++ {
		cases = append(cases, structured(parser.Type("root")))
	}
	var patches []strategic
	for i := 0; i < 300; i++ {
		s := strategic{Target: clone(pod(false)), Patch: clone(pod(true))}
		target, _ := json.Marshal(s.Target)
		patch, _ := json.Marshal(s.Patch)
		out, err := strategicpatch.StrategicMergePatch(target, patch, corev1.Pod{})
		if err != nil {
			s.Error = strings.TrimSpace(err.Error())
		} else {
			check(json.Unmarshal(out, &s.Result))
		}
		patches = append(patches, s)
	}
	data, err := json.Marshal(map[string]any{"structured": cases, "strategic": patches})
	check(err)
	fmt.Fprintln(os.Stdout, string(data))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
