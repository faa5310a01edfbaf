package gate

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// schema is what the test reads of a JSON schema.
type schema struct {
	Type                 string
	Properties           map[string]*schema
	Items                *schema
	Required             []string
	Enum                 []string
	Const                string
	Pattern              string
	AdditionalProperties *bool
}

// TestSchema: the schema that editors use has the fields of a policy, and the words that
// they may hold.
func TestSchema(t *testing.T) {
	data, err := os.ReadFile("../../docs/policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	holdAgainst(t, "policy", &root, reflect.TypeFor[document]())
	at := func(path string) *schema {
		s := &root
		for _, step := range strings.Fields(path) {
			if s.Type == "array" {
				s = s.Items
			}
			if s = s.Properties[step]; s == nil {
				t.Fatalf("the schema has no %s", path)
			}
		}
		return s
	}
	if at("schema").Const != PolicySchema {
		t.Errorf("schema is %q", at("schema").Const)
	}
	severities := []string{"critical", "high", "medium", "low", "info"}
	for path, want := range map[string][]string{
		"mode": {"observe", "enforce"}, "enforce severity": severities, "require verdict worst": severities, "require verdict absent": {"refuse", "pass"},
	} {
		if diff := cmp.Diff(want, at(path).Enum); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if diff := cmp.Diff(grantable(), at("allow classes").Items.Enum); diff != "" {
		t.Errorf("classes: %s", diff)
	}
	if diff := cmp.Diff(readable, at("reads refuse").Items.Enum); diff != "" {
		t.Errorf("reads: %s", diff)
	}
	if at("require verdict scanned_within").Pattern != strict.AgePattern {
		t.Errorf("an age is %s", at("require verdict scanned_within").Pattern)
	}
	if at("defaults memory").Pattern != size.String() || at("defaults log max-size").Pattern != size.String() || at("defaults capabilities").Items.Pattern != capabilityName.String() {
		t.Error("a size, or a capability, is something else")
	}
	if want := []string{"rule", "image", "until", "why"}; !slices.Equal(at("grants").Items.Required, want) || !slices.Equal(root.Required, []string{"schema"}) {
		t.Error("other fields are required")
	}
}

// holdAgainst compares the fields of a schema with those of a Go type.
func holdAgainst(t *testing.T, path string, s *schema, typ reflect.Type) {
	t.Helper()
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if s == nil {
		t.Errorf("%s is not in the schema", path)
		return
	}
	want := map[reflect.Kind]string{reflect.Struct: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Int64: "integer", reflect.Float64: "number"}[typ.Kind()]
	if s.Type != want {
		t.Errorf("%s is a %s, not a %s", path, s.Type, want)
	}
	switch typ.Kind() {
	case reflect.Slice:
		holdAgainst(t, path+"[]", s.Items, typ.Elem())
	case reflect.Struct:
		if s.AdditionalProperties == nil || *s.AdditionalProperties {
			t.Errorf("%s takes any field", path)
		}
		fields := fieldsOf(typ)
		for name, field := range fields {
			holdAgainst(t, path+"."+name, s.Properties[name], field)
		}
		for name := range s.Properties {
			if fields[name] == nil {
				t.Errorf("%s.%s is no field of a policy", path, name)
			}
		}
	}
}

func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, tagged := f.Tag.Lookup("yaml")
		switch name, inline, _ := strings.Cut(tag, ","); {
		case inline == "inline":
			for name, typ := range fieldsOf(f.Type) {
				out[name] = typ
			}
		case tagged:
			out[name] = f.Type
		}
	}
	return out
}
