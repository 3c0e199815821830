package main

import (
	"context"
	"encoding/json"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Rules on one schema. Each is estimated, and run on each object.
type costCase struct {
	Name    string          `json:"name"`
	Schema  json.RawMessage `json:"schema"`
	Rules   []string        `json:"rules"`
	Objects []interface{}   `json:"objects"`
}
type ran struct {
	Cost  uint64 `json:"cost"`
	Error string `json:"error,omitempty"`
}
type ruleCost struct {
	Estimate uint64 `json:"estimate"`
	Error    string `json:"error,omitempty"`
	Objects  []ran  `json:"objects"`
}

// costs writes what rules cost: at most by their schema, and in truth on objects.
func costs(path string) {
	var cases []costCase
	read(path, &cases)
	answers := [][]ruleCost{}
	for _, c := range cases {
		props := v1.JSONSchemaProps{}
		must(json.Unmarshal(c.Schema, &props))
		_, s := inner(&props)
		for _, rule := range c.Rules {
			s.XValidations = append(s.XValidations, v1.ValidationRule{Rule: rule})
		}
		base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
		compiled, err := cel.Compile(s, model.SchemaDeclType(s, false), celconfig.PerCallLimit, base, cel.NewExpressionsEnvLoader())
		must(err)
		list := []ruleCost{}
		for _, result := range compiled {
			answer := ruleCost{Estimate: result.MaxCost, Objects: []ran{}}
			if result.Error != nil {
				answer.Error = result.Error.Error()
			} else {
				for _, object := range c.Objects {
					values := map[string]interface{}{"self": cel.UnstructuredToVal(whole(object), s)}
					_, details, err := result.Program.ContextEval(context.Background(), values)
					one := ran{}
					if details != nil && details.ActualCost() != nil {
						one.Cost = *details.ActualCost()
					}
					if err != nil {
						one.Error = err.Error()
					}
					answer.Objects = append(answer.Objects, one)
				}
			}
			list = append(list, answer)
		}
		answers = append(answers, list)
	}
	write(answers)
}
