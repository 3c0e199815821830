// Writes the types of the built-in kinds as small JSON files, one a module (apps_v1.json).
//
//	go run . OUTPUT-FOLDER
//
// A type is {"f": {NAME: FIELD}, "a": 1 if it is owned as a whole}. A FIELD has "t", its type: str, bool, i32, i64,
// f64, time, microtime, duration, quantity, intstr, bytes, any, or MODULE.TYPE, with "[]" (list), "{}" (map) and "*"
// (pointer) before it; "o": 1 if left out where empty; and how it merges: "k" keys of a list's items, "d" their
// defaults, "s" a set, "a" owned as a whole, "p" the key of strategic merge ("" for plain values), "r" keys retained.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apireg "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

type field struct {
	T string         `json:"t"`
	O int            `json:"o,omitempty"`
	K []string       `json:"k,omitempty"`
	D map[string]any `json:"d,omitempty"`
	S int            `json:"s,omitempty"`
	A int            `json:"a,omitempty"`
	P *string        `json:"p,omitempty"`
	R int            `json:"r,omitempty"`
}
type kind struct {
	F map[string]*field `json:"f"`
	A int               `json:"a,omitempty"`
}

var modules = map[string]map[string]*kind{}
var merging *schema.Schema
var special = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time": "time", "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "microtime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration": "duration", "k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intstr", "k8s.io/apimachinery/pkg/runtime.RawExtension": "any",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "any",
}
var versioned = regexp.MustCompile(`/(\w+)/(v\d\w*)$`)
var marshaler = reflect.TypeOf((*json.Marshaler)(nil)).Elem()

func moduleOf(t reflect.Type) (string, string) {
	m := versioned.FindStringSubmatch(t.PkgPath())
	if m == nil {
		panic(t.PkgPath() + "." + t.Name())
	}
	return m[1] + "_" + m[2], t.Name()
}

func mergeName(t reflect.Type) string {
	p := strings.TrimPrefix(t.PkgPath(), "k8s.io/")
	parts := strings.Split(p, "/")
	return "io.k8s." + strings.Join(parts, ".") + "." + t.Name()
}

func typeOf(t reflect.Type) string {
	if s, ok := special[t.PkgPath()+"."+t.Name()]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeOf(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeOf(t.Elem())
	case reflect.Map:
		return "{}" + typeOf(t.Elem())
	case reflect.String:
		return "str"
	case reflect.Bool:
		return "bool"
	case reflect.Int32:
		return "i32"
	case reflect.Int64, reflect.Int:
		return "i64"
	case reflect.Float64, reflect.Float32:
		return "f64"
	case reflect.Struct:
		if t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
			if t.Name() != "JSONSchemaProps" {
				return "any"
			}
		}
		add(t)
		m, n := moduleOf(t)
		return m + "." + n
	}
	return "any"
}

func add(t reflect.Type) {
	m, n := moduleOf(t)
	if modules[m] == nil {
		modules[m] = map[string]*kind{}
	}
	if modules[m][n] != nil {
		return
	}
	k := &kind{F: map[string]*field{}}
	modules[m][n] = k
	var def *schema.Map
	if td, ok := merging.FindNamedType(mergeName(t)); ok && td.Map != nil {
		def = td.Map
		if def.ElementRelationship == schema.Atomic {
			k.A = 1
		}
	}
	fill(t, k, def)
}

func fill(t reflect.Type, k *kind, def *schema.Map) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if tag[0] == "-" {
			continue
		}
		if tag[0] == "" && f.Anonymous {
			e := f.Type
			if e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			fill(e, k, def)
			continue
		}
		if tag[0] == "" {
			continue
		}
		made := &field{T: typeOf(f.Type)}
		for _, o := range tag[1:] {
			if o == "omitempty" {
				made.O |= 1
			}
			if o == "omitzero" {
				made.O |= 2
			}
		}
		strategy := f.Tag.Get("patchStrategy")
		if strings.Contains(strategy, "merge") && strings.HasPrefix(made.T, "[]") {
			key := f.Tag.Get("patchMergeKey")
			made.P = &key
		}
		if strings.Contains(strategy, "retainKeys") {
			made.R = 1
		}
		if def != nil {
			if sf, ok := def.FindField(tag[0]); ok {
				merges(made, sf.Type)
			}
		}
		k.F[tag[0]] = made
	}
}

func merges(made *field, ref schema.TypeRef) {
	atom, ok := merging.Resolve(ref)
	if !ok {
		return
	}
	if ref.ElementRelationship != nil && *ref.ElementRelationship == schema.Atomic {
		made.A = 1
	}
	if atom.Map != nil && ref.NamedType == nil && atom.Map.ElementRelationship == schema.Atomic {
		made.A = 1
	}
	if atom.List == nil || atom.List.ElementRelationship != schema.Associative {
		return
	}
	made.K = atom.List.Keys
	if len(made.K) == 0 {
		made.S = 1
		return
	}
	if el, ok := merging.Resolve(atom.List.ElementType); ok && el.Map != nil {
		for _, key := range made.K {
			if sf, ok := el.Map.FindField(key); ok && sf.Default != nil && sf.Default != "" && sf.Default != 0 {
				if made.D == nil {
					made.D = map[string]any{}
				}
				made.D[key] = sf.Default
			}
		}
	}
}

func main() {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/client-go").Output()
	check(err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "applyconfigurations/internal/internal.go"))
	check(err)
	raw := string(text)
	raw = raw[strings.Index(raw, "typed.YAMLObject(`")+len("typed.YAMLObject(`"):]
	raw = raw[:strings.Index(raw, "`")]
	parser, err := typed.NewParser(typed.YAMLObject(raw))
	check(err)
	merging = &parser.Schema
	s := runtime.NewScheme()
	check(apiext.AddToScheme(s))
	check(apireg.AddToScheme(s))
	for _, each := range []*runtime.Scheme{scheme.Scheme, s} {
		for gvk, t := range each.AllKnownTypes() {
			if (gvk.Version == "v1" || gvk.Version == "v2") && versioned.MatchString(t.PkgPath()) && !strings.HasSuffix(gvk.Kind, "List") && gvk.Kind != "WatchEvent" {
				add(t)
			}
		}
	}
	for name, kinds := range modules {
		data, err := json.Marshal(kinds)
		check(err)
		check(os.WriteFile(filepath.Join(os.Args[1], name+".json"), append(data, '\n'), 0o644))
		fmt.Println(name, len(kinds), len(data))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
