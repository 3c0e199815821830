package main

import (
	"encoding/json"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
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
	var cases []updateCase
	read(path, &cases)
	answers := [][]cause{}
	for _, c := range cases {
		props := v1.JSONSchemaProps{}
		must(json.Unmarshal(c.Schema, &props))
		internal, s := inner(&props)
		validator, _, err := validation.NewSchemaValidator(internal)
		must(err)
		obj, old := whole(c.New), whole(c.Old)
		correlated := common.NewCorrelatedObject(obj, old, &model.Structural{Structural: s})
		answers = append(answers, causes(validation.ValidateCustomResourceUpdate(nil, obj, old, validator, validation.WithRatcheting(correlated))))
	}
	write(answers)
}
