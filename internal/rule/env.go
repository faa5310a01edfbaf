package rule

import (
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// subjects are what a rule may look at. Each gives the variable of its name.
var subjects = []string{"container", "daemon", "host"}

// reserved are names that a rule cannot give to anything else.
var reserved = []string{"container", "daemon", "host", "it", "now", "params", "subject"}

// base is the environment that all rules share; making one costs more than
// compiling a rule, and extending it does not.
var base = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTag("json"),
			reflect.TypeFor[*workload.Spec](), reflect.TypeFor[*facts.Host](), reflect.TypeFor[*facts.Daemon]()),
		ext.Strings(), ext.Sets(), ext.Lists(),
		cel.EnableMacroCallTracking(), // Mutants write expressions back as text
		cel.Variable("container", cel.ObjectType("workload.Spec")),
		cel.Variable("host", cel.ObjectType("facts.Host")),
		cel.Variable("daemon", cel.ObjectType("facts.Daemon")),
		cel.Variable("now", cel.TimestampType),
		helpers(),
	)
})

// helpers are the functions beside CEL's own. A path, a version and a mode are
// types of their own, so that they cannot be compared as text by mistake.
func helpers() cel.EnvOption {
	pathType, versionType, modeType := cel.ObjectType("rule.Path"), cel.ObjectType("rule.Version"), cel.ObjectType("rule.Mode")
	return func(env *cel.Env) (*cel.Env, error) {
		for _, option := range []cel.EnvOption{
			// path(p).under(q): p is q or lies below it.
			cel.Function("path", cel.Overload("path_string", []*cel.Type{cel.StringType}, pathType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return Path(path.Clean("/" + string(v.(types.String)))) }))),
			cel.Function("under", cel.MemberOverload("path_under_string", []*cel.Type{pathType, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(p, dir ref.Val) ref.Val {
					return types.Bool(p.(Path).under(path.Clean("/" + string(dir.(types.String)))))
				}))),
			// version(a).lt(b), .ge(b): by their numbers.
			cel.Function("version", cel.Overload("version_string", []*cel.Type{cel.StringType}, versionType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return Version(v.(types.String)) }))),
			cel.Function("lt", cel.MemberOverload("version_lt_string", []*cel.Type{versionType, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(a, b ref.Val) ref.Val {
					return types.Bool(compareVersions(string(a.(Version)), string(b.(types.String))) < 0)
				}))),
			cel.Function("ge", cel.MemberOverload("version_ge_string", []*cel.Type{versionType, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(a, b ref.Val) ref.Val {
					return types.Bool(compareVersions(string(a.(Version)), string(b.(types.String))) >= 0)
				}))),
			// mode('0640').within('0644'): no permission that the other lacks.
			cel.Function("mode", cel.Overload("mode_string", []*cel.Type{cel.StringType}, modeType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return parseMode(v) }))),
			cel.Function("within", cel.MemberOverload("mode_within_string", []*cel.Type{modeType, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(m, limit ref.Val) ref.Val {
					most := parseMode(limit)
					if types.IsError(most) {
						return most
					}
					return types.Bool(m.(Mode)&^most.(Mode) == 0)
				}))),
			// iec(n): a number of bytes as people write it.
			cel.Function("iec", cel.Overload("iec_int", []*cel.Type{cel.IntType}, cel.StringType,
				cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(iec(int64(v.(types.Int)))) }))),
		} {
			var err error
			if env, err = option(env); err != nil {
				return nil, err
			}
		}
		return env, nil
	}
}

// opaque gives the methods of a CEL value that has no use but its own
// functions.
type opaque struct{}

func (opaque) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a helper's value cannot become %v", t)
}
func (opaque) ConvertToType(ref.Type) ref.Val {
	return types.NewErr("a helper's value cannot be converted")
}
func (opaque) Equal(ref.Val) ref.Val { return types.NewErr("compare with the helper's own functions") }

// Path is a file's path in a rule.
type Path string

func (p Path) under(dir string) bool {
	return dir == "/" || string(p) == dir || strings.HasPrefix(string(p), dir+"/")
}

// ConvertToNative and the methods below make Path a CEL value.
func (Path) ConvertToNative(t reflect.Type) (any, error) { return opaque{}.ConvertToNative(t) }
func (Path) ConvertToType(t ref.Type) ref.Val            { return opaque{}.ConvertToType(t) }
func (Path) Equal(other ref.Val) ref.Val                 { return opaque{}.Equal(other) }
func (Path) Type() ref.Type                              { return types.NewObjectType("rule.Path") }
func (p Path) Value() any                                { return string(p) }

// Version is a version in a rule.
type Version string

// ConvertToNative and the methods below make Version a CEL value.
func (Version) ConvertToNative(t reflect.Type) (any, error) { return opaque{}.ConvertToNative(t) }
func (Version) ConvertToType(t ref.Type) ref.Val            { return opaque{}.ConvertToType(t) }
func (Version) Equal(other ref.Val) ref.Val                 { return opaque{}.Equal(other) }
func (Version) Type() ref.Type                              { return types.NewObjectType("rule.Version") }
func (v Version) Value() any                                { return string(v) }

// Mode is a file's permissions in a rule.
type Mode uint32

// ConvertToNative and the methods below make Mode a CEL value.
func (Mode) ConvertToNative(t reflect.Type) (any, error) { return opaque{}.ConvertToNative(t) }
func (Mode) ConvertToType(t ref.Type) ref.Val            { return opaque{}.ConvertToType(t) }
func (Mode) Equal(other ref.Val) ref.Val                 { return opaque{}.Equal(other) }
func (Mode) Type() ref.Type                              { return types.NewObjectType("rule.Mode") }
func (m Mode) Value() any                                { return uint32(m) }

func parseMode(v ref.Val) ref.Val {
	n, err := strconv.ParseUint(string(v.(types.String)), 8, 12)
	if err != nil {
		return types.NewErr("%q is not a file mode such as '0644'", v.Value())
	}
	return Mode(n)
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
