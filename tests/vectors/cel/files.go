package main

import (
	"encoding/json"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// read fills cases from a file; numbers stay as they are written.
func read(path string, cases interface{}) {
	file, err := os.Open(path)
	must(err)
	decoder := json.NewDecoder(file)
	decoder.UseNumber()
	must(decoder.Decode(cases))
}

func write(answers interface{}) {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	must(out.Encode(answers))
}

// inner gives a schema in the two forms that Kubernetes checks by.
func inner(props *v1.JSONSchemaProps) (*apiextensions.JSONSchemaProps, *structural.Structural) {
	internal := &apiextensions.JSONSchemaProps{}
	must(v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil))
	s, err := structural.NewStructural(internal)
	must(err)
	return internal, s
}
