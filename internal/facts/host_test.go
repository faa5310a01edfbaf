package facts

import (
	"reflect"
	"testing"
)

// Every part is among them once, as the one that it is.
func TestAuditedParts(t *testing.T) {
	var a Audited
	for i, part := range a.Parts() {
		part.Path = reflect.TypeFor[Audited]().Field(i).Name
	}
	all := reflect.ValueOf(a)
	for i := range all.NumField() {
		if got, want := all.Field(i).Interface().(Watched).Path, all.Type().Field(i).Name; got != want {
			t.Errorf("%s is the part %q", want, got)
		}
	}
}
