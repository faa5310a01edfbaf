package auditrule

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Source is a file of rules.
type Source struct {
	Name string
	Data []byte
}

// maxRules bounds the rules of a set.
const maxRules = 1 << 14

// Parse reads files of rules one after the other, as auditctl -R loads them. At the
// first line that it would refuse it ends, and so does Parse, with an error that has
// the file and the line.
func Parse(sources []Source) (*Set, error) {
	s := &Set{Enabled: -1}
	for _, source := range sources {
		number := 0
		for line := range strings.SplitSeq(string(source.Data), "\n") {
			number++
			err := s.line(strings.TrimSpace(line))
			if err == nil && len(s.Rules) > maxRules {
				err = fmt.Errorf("there are more than %d rules", maxRules)
			}
			if err != nil {
				return nil, fmt.Errorf("%s line %d: %w", source.Name, number, err)
			}
		}
	}
	return s, nil
}

// Merge orders the files of /etc/audit/rules.d as augenrules does, by their names
// with numbers in them as numbers, and puts first what it puts first: to forget all
// rules. Names that do not end in .rules are left out.
func Merge(sources []Source) []Source {
	merged := slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return path.Ext(s.Name) != ".rules" })
	slices.SortStableFunc(merged, func(a, b Source) int { return byNumbers(path.Base(a.Name), path.Base(b.Name)) })
	for i := range merged {
		var kept []string
		for line := range strings.SplitSeq(string(merged[i].Data), "\n") {
			if strings.TrimSpace(line) == "-D" {
				line = "" // the line stays, for the numbers of those behind it
			}
			kept = append(kept, line)
		}
		merged[i].Data = []byte(strings.Join(kept, "\n"))
	}
	return merged
}

// byNumbers compares names, and numbers in them as numbers.
func byNumbers(a, b string) int {
	digits := func(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
	for a != "" && b != "" {
		if x, y := digits(a), digits(b); x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if d := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); d != 0 {
				return d
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// words splits a line at spaces that are not in quotes, nor behind a backslash.
func words(line string) ([]string, error) {
	var out []string
	var word strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			in = true
		case c == ' ' || c == '\t' || c == '\r':
			if in {
				out = append(out, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}

// withValue are the options that a value follows, and those that are no rule.
var withValue = []string{"-a", "-A", "-d", "-w", "-W", "-p", "-k", "-F", "-S", "-C", "-e", "-f", "-b", "-r", "--backlog_wait_time", "-R", "-m", "-t", "-q"}

// line takes one line.
func (s *Set) line(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	fields, err := words(line)
	if err != nil {
		return err
	}
	r := Rule{Text: line}
	permissions, watch, list, prepend, remove := "", false, "", false, false
	for i := 0; i < len(fields); i++ {
		option, value := fields[i], ""
		if slices.Contains(withValue, option) {
			if i++; i == len(fields) {
				return fmt.Errorf("%s has no value", option)
			}
			value = fields[i]
		}
		switch option {
		case "-D":
			s.Rules = nil
		case "-e":
			if s.Enabled, err = strconv.Atoi(value); err != nil || s.Enabled < 0 || s.Enabled > 2 {
				return fmt.Errorf("%q is not 0, 1 or 2", value)
			}
		case "-w", "-W":
			if !path.IsAbs(value) {
				return fmt.Errorf("the path %q does not begin with /", value)
			}
			watch, remove = true, option == "-W"
			r.Path, r.Either = path.Clean(value), true
		case "-p":
			if value == "" || strings.Trim(value, Every) != "" {
				return fmt.Errorf("%q are no permissions", value)
			}
			permissions = inOrder(value)
		case "-a", "-A", "-d":
			list, prepend, remove = value, option == "-A", option == "-d"
		case "-F":
			if permissions, err = r.field(value, permissions); err != nil {
				return err
			}
		case "-S":
			if value != "all" {
				r.Conditions = append(r.Conditions, "-S "+value)
			}
		case "-C":
			r.Conditions = append(r.Conditions, "-C "+value)
		default:
			if !strings.HasPrefix(option, "-") {
				return fmt.Errorf("%q is no option", option)
			}
		}
	}
	if !watch && list == "" {
		return nil
	}
	if err := r.finish(list, watch, permissions); err != nil {
		return err
	}
	switch {
	case remove:
		s.Rules = slices.DeleteFunc(s.Rules, func(o Rule) bool { return o.covers(&r) })
	case prepend:
		s.Rules = slices.Insert(s.Rules, 0, r)
	default:
		s.Rules = append(s.Rules, r)
	}
	return nil
}

// finish completes a rule whose options are all read.
func (r *Rule) finish(list string, watch bool, permissions string) error {
	if watch && list != "" {
		return errors.New("a watch has no list")
	}
	r.List = "exit"
	if list != "" {
		one, other, _ := strings.Cut(list, ",")
		if one == "always" || one == "never" {
			one, other = other, one
		}
		if other != "always" && other != "never" || !slices.Contains([]string{"exit", "entry", "task", "user", "exclude", "filesystem", "io_uring"}, one) {
			return fmt.Errorf("%q is no list and action", list)
		}
		r.List, r.Never = one, other == "never"
	}
	r.Permissions = permissions
	if permissions == "" {
		r.Permissions = Every
	}
	return nil
}

// field takes a -F of a rule.
func (r *Rule) field(text, permissions string) (string, error) {
	at := strings.IndexAny(text, "=!<>&")
	if at <= 0 {
		return "", fmt.Errorf("%q is no field", text)
	}
	name, value, equal := text[:at], strings.TrimPrefix(text[at:], "="), text[at] == '='
	switch {
	case (name == "path" || name == "dir") && equal:
		if !path.IsAbs(value) || r.Path != "" {
			return "", fmt.Errorf("%q is no path, or a second one", value)
		}
		r.Path, r.Tree = path.Clean(value), name == "dir"
	case name == "perm" && equal:
		if value == "" || strings.Trim(value, Every) != "" {
			return "", fmt.Errorf("%q are no permissions", value)
		}
		return inOrder(value), nil
	case name == "key" && equal:
	case name == "arch" && equal && (value == "b64" || value == "x86_64" || value == "aarch64"):
		// Programs of the machine's own kind are all that most hosts have.
	default:
		r.Conditions = append(r.Conditions, "-F "+text)
	}
	return permissions, nil
}
