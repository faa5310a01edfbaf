package rule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Fix is a finding.Fix as a rule's file has it: what a program can do to mend the
// failure. {name} in Update and Audit stands for evidence.
type Fix struct {
	// Daemon are keys of daemon.json; null takes one out.
	Daemon DaemonSettings `yaml:"daemon"`
	// Update are options of docker update.
	Update UpdateOptions `yaml:"update"`
	Mode   string        `yaml:"mode"`
	Owner  string        `yaml:"owner"`
	Audit  string        `yaml:"audit"`
}

// DaemonSettings are keys of daemon.json in the file's order, with values in JSON.
type DaemonSettings []finding.Setting

// UnmarshalYAML makes JSON of the values.
func (s *DaemonSettings) UnmarshalYAML(n *yaml.Node) error {
	return eachSetting(n, "keys of daemon.json with their values", func(name string, value *yaml.Node) error {
		one := finding.Setting{Name: name}
		if value.Tag != "!!null" {
			var v any
			if err := value.Decode(&v); err != nil {
				return err
			}
			var text bytes.Buffer
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				return err
			}
			one.Value = strings.TrimSpace(text.String())
		}
		*s = append(*s, one)
		return nil
	})
}

// UpdateOptions are options of docker update in the file's order.
type UpdateOptions []finding.Setting

// UnmarshalYAML takes the values as they are written.
func (s *UpdateOptions) UnmarshalYAML(n *yaml.Node) error {
	return eachSetting(n, "options of docker update with their values", func(name string, value *yaml.Node) error {
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return fmt.Errorf("%.100q has no value", name)
		}
		*s = append(*s, finding.Setting{Name: name, Value: value.Value})
		return nil
	})
}

func eachSetting(n *yaml.Node, what string, add func(name string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return &strict.Error{Line: n.Line, Column: n.Column, Msg: "no " + what, Hint: "write name: value"}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if err := add(n.Content[i].Value, value); err != nil {
			return &strict.Error{Line: value.Line, Column: value.Column, Msg: err.Error()}
		}
	}
	return nil
}

// Updates are the options of docker update that a fix may use: those that can be
// taken back.
var Updates = []string{"cpu-shares", "cpus", "memory", "memory-reservation", "memory-swap", "pids-limit", "restart"}

var (
	modeText  = lazy(`^0[0-7]{3}$`)
	ownerText = lazy(`^([a-z_][a-z0-9_-]{0,31})?(:[a-z_][a-z0-9_-]{0,31})?$`)
	auditText = lazy(`^-[wa] [^\x00-\x1f\x7f]+$`)
)

// checkFix refuses what no program could do, and what does not belong to the subject.
func (r *Rule) checkFix() error {
	f := &r.Fix
	for _, part := range []struct {
		name    string
		given   bool
		subject []string
	}{
		{"daemon", len(f.Daemon) > 0, []string{"daemon"}}, {"update", len(f.Update) > 0, []string{"container"}},
		{"mode", f.Mode != "", []string{"file"}}, {"owner", f.Owner != "", []string{"file"}}, {"audit", f.Audit != "", []string{"file", "host"}},
	} {
		if part.given && !slices.Contains(part.subject, r.Subject) {
			return r.fail("fix."+part.name, fmt.Sprintf("%s is no fix for the subject %s", part.name, r.Subject), "it is for a rule whose subject is "+strings.Join(part.subject, " or "))
		}
	}
	for _, s := range f.Daemon {
		if known := dockerd.Keys(); !slices.Contains(known, s.Name) {
			return r.fail("fix.daemon", fmt.Sprintf("%.100q is no option of daemon.json", s.Name), suggest(s.Name, known))
		}
	}
	for _, s := range f.Update {
		if !slices.Contains(Updates, s.Name) {
			return r.fail("fix.update", fmt.Sprintf("%.100q is no option that can be taken back", s.Name), "use one of "+strings.Join(Updates, ", "))
		}
	}
	switch {
	case f.Mode != "" && !modeText().MatchString(f.Mode):
		return r.fail("fix.mode", fmt.Sprintf("%.100q is not a file mode", f.Mode), `for example "0644"`)
	case f.Owner != "" && !ownerText().MatchString(f.Owner):
		return r.fail("fix.owner", fmt.Sprintf("%.100q is no user and no group", f.Owner), `write root, :root or root:root`)
	case f.Audit != "" && !auditText().MatchString(f.Audit):
		return r.fail("fix.audit", fmt.Sprintf("%.100q is not a rule that auditctl takes", f.Audit), `for example -w {path} -p rwxa -k docker`)
	}
	return nil
}

// texts are the parts of a fix that evidence goes into.
func (f *Fix) texts() [][2]string {
	texts := [][2]string{{"fix.audit", f.Audit}}
	for _, s := range f.Update {
		texts = append(texts, [2]string{"fix.update", s.Value})
	}
	return texts
}

// given is the fix as findings have it, or nil where there is none.
func (f *Fix) given() *finding.Fix {
	if len(f.Daemon) == 0 && len(f.Update) == 0 && f.Mode == "" && f.Owner == "" && f.Audit == "" {
		return nil
	}
	return &finding.Fix{Daemon: f.Daemon, Update: f.Update, Mode: f.Mode, Owner: f.Owner, Audit: f.Audit}
}

// fixOf unpacks a fix.
func fixOf(f finding.Fix) Fix {
	return Fix{Daemon: f.Daemon, Update: f.Update, Mode: f.Mode, Owner: f.Owner, Audit: f.Audit}
}

// fixBy is the rule's fix with evidence filled in; nil where some was not observed.
func (r *Rule) fixBy(evidence map[string]any, budget *cel.Budget) *finding.Fix {
	plain := r.code.fix
	if plain == nil || !slices.ContainsFunc(r.Fix.texts(), func(t [2]string) bool { return strings.Contains(t[1], "{") }) {
		return plain
	}
	all := true
	filled := func(text string) string {
		return fillIn(text, func(name string) string {
			v, seen := evidence[name]
			if all = all && seen && budget.Spend(lengthOf(v)); !all {
				return ""
			}
			return sentence(v)
		})
	}
	fix := *plain
	fix.Audit, fix.Update = filled(fix.Audit), slices.Clone(fix.Update)
	for i := range fix.Update {
		fix.Update[i].Value = filled(fix.Update[i].Value)
	}
	if !all {
		return nil
	}
	return &fix
}
