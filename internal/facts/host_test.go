package facts

import (
	"reflect"
	"testing"
)

// Every part is among them once.
func TestAuditedParts(t *testing.T) {
	a := Audited{DockerSockets: make([]Watched, 2)}
	for _, part := range a.Parts() {
		part.Path += "x"
	}
	all := reflect.ValueOf(a)
	for i := range all.NumField() {
		watched, several := all.Field(i).Interface().([]Watched)
		if !several {
			watched = []Watched{all.Field(i).Interface().(Watched)}
		}
		for _, w := range watched {
			if w.Path != "x" {
				t.Errorf("%s is there %d times", all.Type().Field(i).Name, len(w.Path))
			}
		}
	}
}
