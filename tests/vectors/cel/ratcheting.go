package main

import (
	"encoding/json"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/common"
)

// An object that was there under an earlier schema, and what it is changed to.
type updateCase struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Old    interface{}     `json:"old"`
	New    interface{}     `json:"new"`
}

// updates writes what of each change is held against it.
func updates(path string) {
	file, err := os.Open(path)
	must(err)
	decoder := json.NewDecoder(file)
	decoder.UseNumber()
	var cases []updateCase
	must(decoder.Decode(&cases))
	answers := [][]cause{}
	for _, c := range cases {
		props, internal := v1.JSONSchemaProps{}, &apiextensions.JSONSchemaProps{}
		must(json.Unmarshal(c.Schema, &props))
		must(v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, internal, nil))
		s, err := structural.NewStructural(internal)
		must(err)
		validator, _, err := validation.NewSchemaValidator(internal)
		must(err)
		obj, old := whole(c.New), whole(c.Old)
		correlated := common.NewCorrelatedObject(obj, old, &model.Structural{Structural: s})
		answers = append(answers, causes(validation.ValidateCustomResourceUpdate(nil, obj, old, validator, validation.WithRatcheting(correlated))))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	must(out.Encode(answers))
}
