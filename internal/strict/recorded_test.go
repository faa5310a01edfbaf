package strict_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// TestDecodeReadsRecordedAnswers: of real documents Decode gives what a tree
// gives.
func TestDecodeReadsRecordedAnswers(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/*.json", "../workload/testdata/*.json", "../collect/testdata/*.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	fit := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := strict.Tree(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []reflect.Type{
			reflect.TypeFor[workload.InspectBody](), reflect.TypeFor[workload.CreateBody](), reflect.TypeFor[any](), reflect.TypeFor[struct{}](),
		} {
			got, want := reflect.New(typ), reflect.New(typ)
			unknown, err := strict.Decode(file, data, got.Interface())
			wantErr := tree.Decode(want.Interface())
			switch {
			case err != nil || wantErr != nil:
				if !reflect.DeepEqual(wantErr, err) {
					t.Errorf("%s into %v: the tree says %v, Decode %v", file, typ, wantErr, err)
				}
				continue
			case !reflect.DeepEqual(want.Interface(), got.Interface()):
				t.Errorf("%s into %v: the tree gives %+v, Decode %+v", file, typ, want.Elem(), got.Elem())
			case !reflect.DeepEqual(strict.Unknown(tree, typ), unknown):
				t.Errorf("%s into %v: unknown in the tree %q, in Decode %q", file, typ, strict.Unknown(tree, typ), unknown)
			}
			fit++
		}
	}
	if fit < 2*len(files) {
		t.Errorf("only %d fit of %d files", fit, len(files))
	}
}
