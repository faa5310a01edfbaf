package api

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// document is the part of one version's document that is compared.
type document struct {
	Paths       map[string]map[string]*operation `yaml:"paths"`
	Definitions map[string]*schema               `yaml:"definitions"`
}

type operation struct {
	Produces   []string `yaml:"produces"`
	Parameters []*struct {
		Name             string  `yaml:"name"`
		In               string  `yaml:"in"`
		Type             string  `yaml:"type"`
		CollectionFormat string  `yaml:"collectionFormat"`
		Schema           *schema `yaml:"schema"`
	} `yaml:"parameters"`
}

type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Format     string             `yaml:"format"`
	Properties map[string]*schema `yaml:"properties"`
	AllOf      []*schema          `yaml:"allOf"`
	Items      *schema            `yaml:"items"`
	Additional *extra             `yaml:"additionalProperties"`
}

// extra is additionalProperties, which may be a schema or a bool.
type extra struct{ *schema }

func (e *extra) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		e.schema = &schema{}
		return n.Decode(e.schema)
	}
	return nil
}

// documents reads what the official module has of each version.
var documents = sync.OnceValues(func() (map[Version]*document, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/moby/api").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the API's documents: %w", err)
	}
	docs := map[Version]*document{}
	for v := Oldest; v <= Newest; v++ {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "docs", "v"+v.String()+".yaml"))
		if err != nil {
			return nil, err
		}
		docs[v] = &document{}
		if err := yaml.Unmarshal(data, docs[v]); err != nil {
			return nil, err
		}
	}
	return docs, nil
})

func specs(t *testing.T) map[Version]*document {
	t.Helper()
	docs, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// TestNoNewerVersion: the official module has no version that the table lacks.
func TestNoNewerVersion(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/moby/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(strings.TrimSpace(string(out)), "docs", "v"+(Newest+1).String()+".yaml")
	if _, err := os.Stat(newer); err == nil {
		t.Errorf("there is %s: bring the table up to it", newer)
	}
	if _, err := os.Stat(strings.Replace(newer, (Newest + 1).String(), Newest.String(), 1)); err != nil {
		t.Errorf("the documents are not where they were: %v", err)
	}
}

// resolve follows references.
func (d *document) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
	}
	return s
}

// properties are the fields of a schema, those of its allOf parts included.
func (d *document) properties(s *schema) map[string]*schema {
	all := map[string]*schema{}
	if s = d.resolve(s); s == nil {
		return all
	}
	for name, p := range s.Properties {
		all[name] = p
	}
	for _, part := range s.AllOf {
		for name, p := range d.properties(part) {
			all[name] = p
		}
	}
	return all
}

// kind is the JSON type of a schema.
func (d *document) kind(s *schema) string {
	if s = d.resolve(s); s == nil {
		return ""
	}
	if s.Type == "" {
		for _, part := range s.AllOf {
			if k := d.kind(part); k != "" {
				return k
			}
		}
		if s.Properties != nil {
			return "object"
		}
	}
	return s.Type
}

// elements is the schema of the items of a list or the values of a map.
func (d *document) elements(s *schema) *schema {
	s = d.resolve(s)
	switch {
	case s == nil:
		return nil
	case s.Items != nil:
		return s.Items
	case s.Additional != nil:
		return s.Additional.schema
	}
	for _, part := range s.AllOf {
		if e := d.elements(part); e != nil {
			return e
		}
	}
	return nil
}

// body is the schema of an operation's body; nil where there is none.
func (o *operation) body() *schema {
	for _, p := range o.Parameters {
		if p.In == "body" {
			return p.Schema
		}
	}
	return nil
}

// parse reads a T written as YAML.
func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	into := new(T)
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
	return into
}
