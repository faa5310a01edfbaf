package test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
	"github.com/plimsoll/plimsoll/rules"
)

// table is testdata/verdict/table.yaml; what each part means is said there.
type table struct {
	Images   map[string][]string `yaml:"images"`
	OldImage string              `yaml:"old_image"`
	Rows     []row               `yaml:"rows"`
	// Unknown has, by form and rule, the facts that the form lacks.
	Unknown struct {
		Asked  map[string][]string `yaml:"asked"`
		Around map[string][]string `yaml:"around"`
		Live   map[string][]string `yaml:"live"`
	} `yaml:"unknown"`
	Exceptions []exception `yaml:"exceptions"`
}

// row is one container that differs from a plain one in one setting.
type row struct {
	Name    string                    `yaml:"name"`
	Run     string                    `yaml:"run"`   // options of docker run, as they are typed
	Image   string                    `yaml:"image"` // defaultImage if empty
	Command string                    `yaml:"command"`
	First   bool                      `yaml:"first"` // others need it
	Start   bool                      `yaml:"start"` // it is started, else only created
	Before  []string                  `yaml:"before"`
	Until   string                    `yaml:"until"`
	Again   []string                  `yaml:"again"` // done as long as it did not come to that
	After   []string                  `yaml:"after"`
	Later   []string                  `yaml:"later"` // rules that fail by what happened after the request
	Flips   map[string]finding.Status `yaml:"flips"`
	// Where has other flips for machines that are not as the table's first: by
	// the names that traits gives.
	Where map[string]map[string]finding.Status `yaml:"where"`
	// Refusal is what the engine says on a machine that cannot do it. There the
	// container is not made, and its request alone is judged.
	Refusal string `yaml:"refusal"`

	refused bool
}

// exception is a rule that cannot come to a status on this engine.
type exception struct {
	Rule   string         `yaml:"rule"`
	Lacks  finding.Status `yaml:"lacks"`
	Why    string         `yaml:"why"`
	Run    string         `yaml:"run"`
	Refuse string         `yaml:"refused"` // what the engine says, "" when it takes the request
	// SELinux is true where the rule comes to that status on an engine that
	// applies SELinux.
	SELinux bool `yaml:"selinux"`
}

const defaultImage = "verdict:1"

func (r *row) image() string {
	if r.Image == "" {
		return defaultImage
	}
	return r.Image
}

// line is the run line: what is judged, and what the shell is given.
func (r *row) line() string {
	verb := "docker create"
	if r.Start {
		verb = "docker run -d"
	}
	return strings.TrimSpace(verb + " --name " + r.Name + " " + strings.TrimSpace(r.Run+" "+r.image()+" "+r.Command))
}

// plain is the row that r differs from.
func (r *row) plain() string {
	if r.Start {
		return "plain"
	}
	return "plain-created"
}

func readTable(t *testing.T) *table {
	t.Helper()
	file := filepath.Join(verdictDir, "table.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tab table
	if err := strict.YAML(file, data, &tab); err != nil {
		t.Fatal(err)
	}
	return &tab
}

// compiled are the rules, compiled once for all tests.
var compiled = sync.OnceValues(func() (*rule.Set, error) {
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		return nil, err
	}
	return set, set.Compile()
})

func ourRules(t *testing.T) *rule.Set {
	t.Helper()
	set, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// verdict is what a rule came to for one container.
type verdict struct {
	status   finding.Status            // the gravest of its findings
	elements map[string]finding.Status // the gravest of each element
	missing  []string                  // the facts that unknown findings lacked
}

// gravest orders statuses: of several findings the first that is there counts.
var gravest = []finding.Status{finding.Fail, finding.Unknown, finding.Manual, finding.Pass, finding.NotApplicable}

func graver(a, b finding.Status) finding.Status {
	if a == 0 || slices.Index(gravest, b) < slices.Index(gravest, a) {
		return b
	}
	return a
}

// verdicts judges facts, and gives what every rule came to by container.
func verdicts(t *testing.T, set *rule.Set, f *facts.Facts) map[string]map[string]verdict {
	t.Helper()
	found, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]verdict{}
	for _, x := range found {
		if x.Subject.Kind != "container" {
			continue
		}
		if strings.HasPrefix(x.Reason, "rule error") {
			t.Errorf("%s: %s: %s", x.Subject.Name, x.Rule, x.Reason)
		}
		of := all[x.Subject.Name]
		if of == nil {
			of = map[string]verdict{}
			all[x.Subject.Name] = of
		}
		v := of[x.Rule]
		if v.elements == nil {
			v.elements = map[string]finding.Status{}
		}
		v.status = graver(v.status, x.Status)
		v.elements[x.Element] = graver(v.elements[x.Element], x.Status)
		for _, m := range x.Missing {
			v.missing = append(v.missing, anyPosition(m.Path))
		}
		of[x.Rule] = v
	}
	return all
}

// anyPosition writes mounts[*] for mounts[3], so that a list of paths does not
// depend on where a row's mount comes.
func anyPosition(path string) string {
	before, after, found := strings.Cut(path, "[")
	if !found {
		return path
	}
	_, rest, _ := strings.Cut(after, "]")
	return before + "[*]" + anyPosition(rest)
}

// agree says how two verdicts of one rule differ although neither lacked a
// fact; "" when they agree.
func agree(a, b verdict) string {
	unsure := func(v verdict) bool { return len(v.missing) > 0 }
	if a.status != b.status && !unsure(a) && !unsure(b) {
		return fmt.Sprintf("%s against %s", a.status, b.status)
	}
	for _, sides := range [][2]verdict{{a, b}, {b, a}} {
		for element, is := range sides[0].elements {
			other, both := sides[1].elements[element]
			switch {
			case is == finding.Unknown || other == finding.Unknown:
			case both && is != other:
				return fmt.Sprintf("%q: %s against %s", element, is, other)
			case !both && is != finding.Pass && is != finding.NotApplicable && !unsure(sides[1]):
				return fmt.Sprintf("%q: %s against nothing", element, is)
			}
		}
	}
	return ""
}

// differences are the rows whose container on the engine does not differ from
// the plain one by just what the table says.
func (tab *table) differences(t *testing.T, f *facts.Facts) []string {
	live := verdicts(t, ourRules(t), f)
	var wrong []string
	for i := range tab.Rows {
		r := &tab.Rows[i]
		if r.refused {
			continue
		}
		got, plain := map[string]finding.Status{}, live[r.plain()]
		for name, v := range live[r.Name] {
			if v.status != plain[name].status {
				got[name] = v.status
			}
		}
		if len(live[r.Name]) == 0 {
			wrong = append(wrong, r.Name+": it is not there")
		} else if want := r.flips(traits(f)); !maps.Equal(want, got) {
			diff := cmp.Diff(want, got)
			wrong = append(wrong, fmt.Sprintf("%s: (-want +got)\n%s\nFLIPS %s %s", r.Name, diff, r.Name, flow(got)))
		}
	}
	return wrong
}

// traits are what the table tells machines apart by.
func traits(f *facts.Facts) []string {
	var all []string
	if f.Daemon.AppArmor {
		all = append(all, "apparmor")
	}
	if f.Host.CgroupVersion == 2 {
		all = append(all, "cgroup2")
	}
	return all
}

// flips are those on a machine with the traits given.
func (r *row) flips(traits []string) map[string]finding.Status {
	for _, t := range traits {
		if other, ok := r.Where[t]; ok {
			return other
		}
	}
	return r.Flips
}

// flow writes a map as the table has it.
func flow(m map[string]finding.Status) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		words = append(words, name+": "+string(m[name]))
	}
	return "{" + strings.Join(words, ", ") + "}"
}

// alone is one container of which only the request is known, as `plimsoll
// check` judges it.
func alone(spec workload.Spec) *facts.Facts {
	f := &facts.Facts{Schema: facts.Schema, Collected: time.Now(), Containers: []workload.Spec{spec}}
	for _, path := range []string{"host", "daemon", "networks", "volumes"} {
		f.Unseen = append(f.Unseen, workload.Unseen{Path: path, Reason: "no engine was asked"})
	}
	return f
}

// TestVerdicts makes the containers of the table on a real engine and asks all
// that must hold of them.
func TestVerdicts(t *testing.T) {
	w := newWorld(t)
	t.Run("Table", func(t *testing.T) { testTable(t, w) })
	t.Run("ThreeWays", func(t *testing.T) { testThreeWays(t, w) })
	t.Run("EveryRuleFlips", func(t *testing.T) { testEveryRuleFlips(t, w) })
	t.Run("Exceptions", func(t *testing.T) { testExceptions(t, w) })
	t.Run("HidingAFact", func(t *testing.T) { testHidingAFact(t, w) })
	t.Run("FactsThenAudit", func(t *testing.T) { testFactsThenAudit(t, w) })
	t.Run("SixSentences", func(t *testing.T) { testSixSentences(t, w) })
}

// testTable: each container differs from a plain one by the verdicts that its
// row names, and by no other; and every rule about containers has a row.
func testTable(t *testing.T, w *world) {
	if len(w.table.Rows) < 60 {
		t.Errorf("%d rows", len(w.table.Rows))
	}
	for _, text := range w.table.differences(t, w.facts) {
		t.Error(text)
	}
	named := map[string]bool{}
	for _, r := range w.table.Rows {
		for name := range r.Flips {
			named[name] = true
		}
	}
	for _, e := range w.table.Exceptions {
		named[e.Rule] = true
	}
	known := map[string]bool{}
	for _, r := range ourRules(t).Rules() {
		known[r.Name] = true
		if r.Subject == "container" && !named[r.Name] {
			t.Errorf("the rule %s has no row in %s", r.Name, path.Join(verdictDir, "table.yaml"))
		}
	}
	for name := range named {
		if !known[name] {
			t.Errorf("the table names %s, which is no rule", name)
		}
	}
}

// asked is what a row's run line asks for, and what the request that docker's
// client made of it does, with nothing known around.
func (w *world) asked(t *testing.T, r *row) (run, create workload.Spec) {
	t.Helper()
	line, err := runline.ParseString(r.line(), runline.World{Dir: w.dir, ReadFile: os.ReadFile})
	if err != nil {
		t.Fatalf("%s: %v", r.line(), err)
	}
	if run, err = line.Spec(workload.Surroundings{}); err != nil {
		t.Fatalf("%s: %v", r.line(), err)
	}
	if create, err = workload.FromCreate(r.Name, w.bodies[r.Name], workload.Surroundings{}); err != nil {
		t.Fatalf("%s: %v", r.line(), err)
	}
	return run, create
}

// testThreeWays: for every rule, what the run line comes to, what the create
// request comes to, without and with the engine around it, and what the engine
// made of it, are one verdict, or a fact is missing that the table lists.
func testThreeWays(t *testing.T, w *world) {
	set := ourRules(t)
	live := verdicts(t, set, w.facts)
	unknown := map[string]map[string][]string{"asked": {}, "around": {}, "live": {}}
	compared := 0
	for i := range w.table.Rows {
		r := &w.table.Rows[i]
		run, create := w.asked(t, r)
		around, err := workload.FromCreate(r.Name, w.bodies[r.Name], w.around(t, w.facts, r))
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		inEngine := *w.facts
		inEngine.Containers = []workload.Spec{around}
		asRun, asCreate := verdicts(t, set, alone(run))[r.Name], verdicts(t, set, alone(create))[r.Name]
		asAround := verdicts(t, set, &inEngine)[r.Name]
		for _, rl := range set.Rules() {
			if rl.Subject != "container" {
				continue
			}
			compared++
			name := rl.Name
			forms := map[string]verdict{"run line": asRun[name], "create request": asCreate[name], "request with the engine": asAround[name]}
			if !r.refused {
				forms["container"] = live[r.Name][name]
			}
			for form, v := range forms {
				if v.status == 0 {
					t.Errorf("%s: %s: the %s has no finding", r.Name, name, form)
				}
				if v.status == finding.Unknown && len(v.missing) == 0 {
					t.Errorf("%s: %s: the %s is unknown and names no fact", r.Name, name, form)
				}
			}
			if diff := cmp.Diff(asRun[name], asCreate[name], cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("%s: %s: (-run line +create request)\n%s", r.Name, name, diff)
			}
			if r.refused {
				continue
			}
			if text := agree(asRun[name], live[r.Name][name]); text != "" {
				t.Errorf("%s: %s: run line and container: %s", r.Name, name, text)
			}
			if later := slices.Contains(r.Later, name); later && asAround[name].status != finding.Pass {
				t.Errorf("%s: %s: before it happened: %s", r.Name, name, asAround[name].status)
			} else if text := agree(asAround[name], live[r.Name][name]); text != "" && !later {
				t.Errorf("%s: %s: request with the engine and container: %s", r.Name, name, text)
			}
			for form, v := range map[string]verdict{"asked": asRun[name], "around": asAround[name], "live": live[r.Name][name]} {
				if len(v.missing) > 0 {
					unknown[form][name] = append(unknown[form][name], v.missing...)
				}
			}
		}
	}
	if compared < 60*60 {
		t.Errorf("%d verdicts were compared", compared)
	}
	for form, want := range map[string]map[string][]string{"asked": w.table.Unknown.Asked, "around": w.table.Unknown.Around, "live": w.table.Unknown.Live} {
		got := unknown[form]
		for name := range got {
			slices.Sort(got[name])
			got[name] = slices.Compact(got[name])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what is unknown in the form %s (-listed +found):\n%s", form, diff)
		}
	}
}

// testEveryRuleFlips: on the real engine each rule fails for one container and
// passes for another (a rule that asks a person: asks, and has nothing to ask),
// but for the exceptions, which must be needed.
func testEveryRuleFlips(t *testing.T, w *world) {
	seen := map[string]map[finding.Status]bool{}
	for _, rules := range verdicts(t, ourRules(t), w.facts) {
		for name, v := range rules {
			if seen[name] == nil {
				seen[name] = map[finding.Status]bool{}
			}
			seen[name][v.status] = true
		}
	}
	// What the engine of this machine refuses, or takes otherwise, flips by its
	// request with the facts of a machine that is as the table's first.
	elsewhere := *w.facts
	elsewhere.Host.CgroupVersion, elsewhere.Daemon.AppArmor = 1, false
	for i := range w.table.Rows {
		r := &w.table.Rows[i]
		here := r.flips(traits(w.facts))
		if !r.refused && maps.Equal(here, r.Flips) {
			continue
		}
		spec, err := workload.FromCreate(r.Name, w.bodies[r.Name], w.around(t, &elsewhere, r))
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		elsewhere.Containers = []workload.Spec{spec}
		there := verdicts(t, ourRules(t), &elsewhere)[r.Name]
		for name, status := range r.Flips {
			if there[name].status != status {
				t.Errorf("%s: %s: the request comes to %s elsewhere, not %s", r.Name, name, there[name].status, status)
			}
			seen[name][status] = true
		}
	}
	except := map[string]finding.Status{}
	for _, e := range w.table.Exceptions {
		except[e.Rule] = e.Lacks
		if seen[e.Rule][e.Lacks] {
			t.Errorf("the exception of %s is not needed: a container comes to %s", e.Rule, e.Lacks)
		}
	}
	for _, r := range ourRules(t).Rules() {
		if r.Subject != "container" {
			continue
		}
		bad := finding.Fail
		if r.Manual != "" {
			bad = finding.Manual
		}
		good := seen[r.Name][finding.Pass] || r.Manual != "" && seen[r.Name][finding.NotApplicable]
		if !seen[r.Name][bad] && except[r.Name] != bad {
			t.Errorf("%s: no container comes to %s", r.Name, bad)
		}
		if !good && except[r.Name] != finding.Pass {
			t.Errorf("%s: no container passes", r.Name)
		}
	}
}

// testExceptions: what the table says an engine refuses is refused, with these
// words; and the request, where such an engine would take it, comes to the
// status that no container here can come to.
func testExceptions(t *testing.T, w *world) {
	set := ourRules(t)
	for _, e := range w.table.Exceptions {
		r := row{Name: "exception-" + e.Rule, Run: e.Run}
		err := w.shell(r.line())
		switch {
		case e.Refuse == "" && err != nil:
			t.Errorf("%s: %v", e.Rule, err)
		case e.Refuse == "":
			w.docker(t, "rm", "-f", "-v", r.Name)
		case err == nil:
			t.Errorf("%s: the engine takes %s", e.Rule, r.line())
			w.docker(t, "rm", "-f", "-v", r.Name)
		case !strings.Contains(err.Error(), e.Refuse):
			t.Errorf("%s: the engine says %v", e.Rule, err)
		}
		f := *w.facts
		f.Daemon.SELinux = f.Daemon.SELinux || e.SELinux
		around := w.around(t, w.facts, &r)
		around.Daemon.SELinux = f.Daemon.SELinux
		spec, err := workload.FromCreate(r.Name, w.bodies[r.Name], around)
		if err != nil {
			t.Fatalf("%s: %v", e.Rule, err)
		}
		f.Containers = []workload.Spec{spec}
		if got := verdicts(t, set, &f)[r.Name][e.Rule].status; got != e.Lacks {
			t.Errorf("%s: the request comes to %s, not %s", e.Rule, got, e.Lacks)
		}
	}
}
