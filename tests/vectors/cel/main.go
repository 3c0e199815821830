// Answers of Kubernetes' own code to definitions with rules in CEL, and to objects of them.
//
//	go run . CASES.json >ANSWERS.json
//
// A case has "schema", the schema of a version, and "spec" with what else the definition says. With "objects" it has pairs [object, earlier object or null]: the answer has the
// causes of each. The answer always has "definition", the causes for which the schema itself is refused.
package main

import (
	"context"
	"encoding/json"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
)

type testCase struct {
	Name    string           `json:"name"`
	Schema  json.RawMessage  `json:"schema"`
	Status  bool             `json:"status,omitempty"`
	Spec    json.RawMessage  `json:"spec,omitempty"`
	Objects [][2]interface{} `json:"objects,omitempty"`
}
type cause struct {
	Field   string `json:"field"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}
type answer struct {
	Name       string    `json:"name"`
	Definition []cause   `json:"definition"`
	Objects    [][]cause `json:"objects"`
}

func causes(list field.ErrorList) []cause {
	found := []cause{}
	for _, e := range list {
		found = append(found, cause{e.Field, string(e.Type), e.ErrorBody()})
	}
	return found
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Whole numbers are int64, as an API server reads them.
func whole(v interface{}) interface{} {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]interface{}:
		for k := range v {
			v[k] = whole(v[k])
		}
	case []interface{}:
		for i := range v {
			v[i] = whole(v[i])
		}
	}
	return v
}

func main() {
	if os.Args[1] == "-costs" {
		costs(os.Args[2])
		return
	}
	if os.Args[1] == "-updates" {
		updates(os.Args[2])
		return
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var cases []testCase
	read(os.Args[1], &cases)
	answers := []answer{}
	for _, c := range cases {
		props := v1.JSONSchemaProps{Type: "object"}
		if len(c.Schema) > 0 {
			must(json.Unmarshal(c.Schema, &props))
		}
		version := v1.CustomResourceDefinitionVersion{Name: "v1", Served: true, Storage: true,
			Schema: &v1.CustomResourceValidation{OpenAPIV3Schema: &props}}
		if c.Status {
			version.Subresources = &v1.CustomResourceSubresources{Status: &v1.CustomResourceSubresourceStatus{}}
		}
		crd := &v1.CustomResourceDefinition{Spec: v1.CustomResourceDefinitionSpec{Group: "example.com", Scope: "Namespaced",
			Names:    v1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions: []v1.CustomResourceDefinitionVersion{version}}}
		if len(c.Spec) > 0 {
			must(json.Unmarshal(c.Spec, &crd.Spec))
		}
		crd.Name = crd.Spec.Names.Plural + "." + crd.Spec.Group
		scheme.Default(crd)
		inside := &apiextensions.CustomResourceDefinition{}
		must(scheme.Convert(crd, inside, nil))
		inside.Status.StoredVersions = []string{"v1"}
		a := answer{Name: c.Name, Definition: causes(validation.ValidateCustomResourceDefinition(context.Background(), inside))}
		if len(c.Objects) > 0 {
			_, s := inner(&props)
			validator := cel.NewValidator(s, true, celconfig.PerCallLimit)
			for _, pair := range c.Objects {
				obj, old := whole(pair[0]), whole(pair[1])
				options := []cel.Option{}
				if old != nil {
					options = append(options, cel.WithRatcheting(common.NewCorrelatedObject(obj, old, &model.Structural{Structural: s})))
				}
				found, _ := validator.Validate(context.Background(), nil, s, obj, old, celconfig.RuntimeCELCostBudget, options...)
				a.Objects = append(a.Objects, causes(found))
			}
		}
		answers = append(answers, a)
	}
	write(answers)
}
