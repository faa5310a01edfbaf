package rule

import (
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// subjects are what a rule may look at. Each gives the variable of its name.
var subjects = []string{"container", "daemon", "host"}

// reserved are names that a rule cannot give to anything else.
var reserved = []string{"container", "daemon", "host", "it", "now", "params", "subject"}

// base is the environment that all rules share.
var base = cel.NewEnv(helpers()...).
	With("container", cel.TypeOf(reflect.TypeFor[*workload.Spec]())).
	With("host", cel.TypeOf(reflect.TypeFor[*facts.Host]())).
	With("daemon", cel.TypeOf(reflect.TypeFor[*facts.Daemon]())).
	With("now", cel.TimestampType)

// A path, a version and a mode are types of their own, so that they cannot be
// compared as text by mistake.
var (
	pathType    = cel.OpaqueOf("path")
	versionType = cel.OpaqueOf("version")
	modeType    = cel.OpaqueOf("mode")
)

// helpers are the functions beside CEL's own.
func helpers() []*cel.Function {
	text := func(t *cel.Type, change func(string) string) func(cel.Value) cel.Value {
		return func(v cel.Value) cel.Value { return cel.OpaqueValue(t, change(v.Text()), 0) }
	}
	version := func(name string, holds func(order int) bool) *cel.Function {
		return &cel.Function{Name: name, Method: true, Args: []*cel.Type{versionType, cel.StringType}, Result: cel.BoolType,
			Two: func(a, b cel.Value) cel.Value { return cel.BoolValue(holds(compareVersions(a.Text(), b.Text()))) }}
	}
	return []*cel.Function{
		// path(p).under(q): p is q or lies below it.
		{Name: "path", Args: []*cel.Type{cel.StringType}, Result: pathType, One: text(pathType, cleanPath)},
		{Name: "under", Method: true, Args: []*cel.Type{pathType, cel.StringType}, Result: cel.BoolType,
			Two: func(p, dir cel.Value) cel.Value { return cel.BoolValue(isUnder(p.Text(), cleanPath(dir.Text()))) }},
		// version(a).lt(b), .ge(b): by their numbers.
		{Name: "version", Args: []*cel.Type{cel.StringType}, Result: versionType, One: text(versionType, func(v string) string { return v })},
		version("lt", func(order int) bool { return order < 0 }),
		version("ge", func(order int) bool { return order >= 0 }),
		// mode('0640').within('0644'): no permission that the other lacks.
		{Name: "mode", Args: []*cel.Type{cel.StringType}, Result: modeType, One: func(v cel.Value) cel.Value {
			mode, err := parseMode(v.Text())
			if err != nil {
				return cel.ErrorValue(err)
			}
			return cel.OpaqueValue(modeType, v.Text(), mode)
		}},
		{Name: "within", Method: true, Args: []*cel.Type{modeType, cel.StringType}, Result: cel.BoolType, Two: func(m, limit cel.Value) cel.Value {
			most, err := parseMode(limit.Text())
			if err != nil {
				return cel.ErrorValue(err)
			}
			return cel.BoolValue(m.Num()&^most == 0)
		}},
		// iec(n): a number of bytes as people write it.
		{Name: "iec", Args: []*cel.Type{cel.IntType}, Result: cel.StringType, One: func(v cel.Value) cel.Value { return cel.StringValue(iec(v.Int())) }},
	}
}

func cleanPath(p string) string { return path.Clean("/" + p) }

func isUnder(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

func parseMode(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is not a file mode such as '0644'", text)
	}
	return n, nil
}

// compareVersions compares by the numbers in each, left to right; what comes
// after a hyphen or a tilde makes a version older than the same without it, a
// plus does not count.
func compareVersions(a, b string) int {
	coreA, preA := splitVersion(a)
	coreB, preB := splitVersion(b)
	for i := range max(len(coreA), len(coreB)) {
		if d := part(coreA, i) - part(coreB, i); d != 0 {
			return d
		}
	}
	switch {
	case preA == preB:
		return 0
	case preA == "":
		return 1
	case preB == "":
		return -1
	}
	return strings.Compare(preA, preB)
}

func splitVersion(v string) ([]int, string) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "+")
	core, pre := v, ""
	if i := strings.IndexAny(v, "-~"); i >= 0 {
		core, pre = v[:i], v[i+1:]
	}
	var numbers []int
	for _, field := range strings.Split(core, ".") {
		digits := len(field) - len(strings.TrimLeft(field, "0123456789"))
		n, err := strconv.Atoi(field[:digits])
		if err != nil {
			n = 0
		}
		numbers = append(numbers, n)
	}
	return numbers, pre
}

func part(numbers []int, i int) int {
	if i < len(numbers) {
		return numbers[i]
	}
	return 0
}

// iec writes bytes in the largest binary unit that leaves at least 1.
func iec(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, u := float64(n), 0
	for value >= 1024 && u+1 < len(units) {
		value, u = value/1024, u+1
	}
	return strconv.FormatFloat(value, 'f', decimals(value, u), 64) + " " + units[u]
}

func decimals(value float64, unit int) int {
	if unit == 0 || value >= 100 || value == float64(int64(value)) {
		return 0
	}
	return 1
}
