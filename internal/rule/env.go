package rule

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// single are the subjects that there is one of: every rule may ask them.
var single = []string{"host", "daemon", "swarm"}

// Subjects are what a rule may look at. Each gives the variable of its name.
var Subjects = slices.Sorted(slices.Values(slices.Concat(single, facts.Kinds)))

// reserved are names that a rule cannot give to anything else.
var reserved = append([]string{"it", "now", "params", "subject"}, Subjects...)

// base is the environment that all rules share.
var base = cel.NewEnv(helpers()...).
	With("file", cel.TypeOf(reflect.TypeFor[*facts.File]())).
	With("image", cel.TypeOf(reflect.TypeFor[*facts.Image]())).
	With("container", cel.TypeOf(reflect.TypeFor[*workload.Spec]())).
	With("network", cel.TypeOf(reflect.TypeFor[*facts.Network]())).
	With("contents", cel.TypeOf(reflect.TypeFor[*facts.Contents]())).
	With("swarm", cel.TypeOf(reflect.TypeFor[*facts.Swarm]())).
	With("host", cel.TypeOf(reflect.TypeFor[*facts.Host]())).
	With("daemon", cel.TypeOf(reflect.TypeFor[*facts.Daemon]())).
	With("now", cel.TimestampType)

// proven is base for rules that were packed, and so compiled before.
var proven = base.Proven()

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
		{Name: "iec", Args: []*cel.Type{cel.IntType}, Result: cel.StringType, One: func(v cel.Value) cel.Value { return cel.StringValue(term.Bytes(v.Int())) }},
	}
}

func cleanPath(p string) string { return path.Clean("/" + p) }

func isUnder(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

func parseMode(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%.100q is not a file mode such as '0644'", text)
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
		if d := compareDigits(part(coreA, i), part(coreB, i)); d != 0 {
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
	return compareMixed(preA, preB)
}

// compareMixed compares letter by letter, but numbers in it as numbers: rc.9 comes
// before rc.10.
func compareMixed(a, b string) int {
	for a != "" && b != "" {
		x, y := digitsOf(a), digitsOf(b)
		if x != "" && y != "" {
			if d := compareDigits(x, y); d != 0 {
				return d
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digitsOf are the digits that a text begins with.
func digitsOf(text string) string { return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))] }

// compareDigits compares whole numbers, of any length.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// splitVersion gives a version's numbers, and what comes after them.
func splitVersion(v string) ([]string, string) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "+")
	core, pre := v, ""
	if i := strings.IndexAny(v, "-~"); i >= 0 {
		core, pre = v[:i], v[i+1:]
	}
	numbers := strings.Split(core, ".")
	for i, field := range numbers {
		numbers[i] = digitsOf(field)
	}
	return numbers, pre
}

// part is the i-th number, or none, which is 0.
func part(numbers []string, i int) string {
	if i < len(numbers) {
		return numbers[i]
	}
	return ""
}
