package strict_test

import (
	"os"
	"reflect"
	"testing"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// inspect is an invented answer of an engine about one container, of the size
// and with the keys of a real one.
func inspect(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/inspect.json")
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func inspectTree(tb testing.TB) *strict.Value {
	tb.Helper()
	v, err := strict.Tree("inspect.json", inspect(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func BenchmarkTree(b *testing.B) {
	data := inspect(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := strict.Tree("inspect.json", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	v := inspectTree(b)
	b.SetBytes(int64(len(v.Raw())))
	b.ReportAllocs()
	for b.Loop() {
		var into workload.InspectBody
		if err := v.Decode(&into); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnknown(b *testing.B) {
	v := inspectTree(b)
	b.SetBytes(int64(len(v.Raw())))
	b.ReportAllocs()
	for b.Loop() {
		if unknown := strict.Unknown(v, reflect.TypeFor[workload.InspectBody]()); len(unknown) != 0 {
			b.Fatal(unknown)
		}
	}
}

func BenchmarkDecodeAtOnce(b *testing.B) {
	data := inspect(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var into workload.InspectBody
		if unknown, err := strict.Decode("inspect.json", data, &into); err != nil || len(unknown) != 0 {
			b.Fatal(unknown, err)
		}
	}
}
