package test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
)

// An edit is what a remedy asks of a run line: flags, and whether they go.
type edit struct {
	leaveOut bool
	flags    string
}

// A remedy begins with what to do, and the flags end where a sentence goes on.
var (
	editBegins = regexp.MustCompile(`^(?:and )?(add|leave out) (-.*)$`)
	flagsEnd   = regexp.MustCompile(`[,;…]| (?:or|where|and|at|in place|with|on this host) `)
)

// editsOf reads a remedy; it gives none where a person has to think of the
// flags, as with "add -v for each volume that is needed".
func editsOf(remedy string) (edits []edit) {
	for m := editBegins.FindStringSubmatch(remedy); m != nil; m = editBegins.FindStringSubmatch(remedy) {
		flags, rest := m[2], ""
		if end := flagsEnd.FindStringIndex(flags); end != nil {
			flags, rest = flags[:end[0]], strings.TrimSpace(flags[end[0]:])
		}
		if strings.Contains(flags, " for ") || strings.HasPrefix(rest, "with ") || strings.HasPrefix(rest, "in place") || strings.HasPrefix(rest, "or -") {
			return edits
		}
		edits, remedy = append(edits, edit{m[1] == "leave out", flags}), rest
	}
	return edits
}

// follow makes the edits in the options of a run line; it is not ok when what
// is to go does not stand there in these words.
func follow(options string, edits []edit) (edited string, ok bool) {
	for _, e := range edits {
		if !e.leaveOut {
			options += " " + e.flags
			continue
		}
		// A flag that is named without its value goes with it.
		value := `(?: [^-]\S*| -\d+)?`
		if strings.Contains(e.flags, " ") {
			value = ""
		}
		at := regexp.MustCompile(`(?i)(?:^| )` + regexp.QuoteMeta(e.flags) + value + `(?: |$)`).FindStringIndex(options)
		if at == nil {
			return "", false
		}
		options = strings.TrimSpace(options[:at[0]] + " " + options[at[1]:])
	}
	return options, len(edits) > 0
}

// TestRemediesMend: a run line in which the remedy of a finding was followed to
// the letter is not found so again.
func TestRemediesMend(t *testing.T) {
	set := ourRules(t)
	judged := func(r *row) []finding.Finding {
		line, err := runline.ParseString(r.line(), runline.World{Dir: verdictDir, ReadFile: os.ReadFile})
		if err != nil {
			t.Fatalf("%s: %v", r.line(), err)
		}
		spec, err := line.Spec(workload.Surroundings{})
		if err != nil {
			t.Fatalf("%s: %v", r.line(), err)
		}
		found, err := set.Judge(alone(spec))
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(found, func(f finding.Finding) bool { return f.Status != finding.Fail })
	}
	followed, failing := map[string]int{}, map[string]string{}
	for _, r := range readTable(t).Rows {
		r.Image = strings.ReplaceAll(r.Image, "SHORT_ID", "0123456789ab") // any will do
		for _, f := range judged(&r) {
			failing[f.Rule] = f.Remedy.Run
			mended := r
			var ok bool
			if mended.Run, ok = follow(r.Run, editsOf(f.Remedy.Run)); !ok {
				continue
			}
			followed[f.Rule]++
			for _, again := range judged(&mended) {
				if again.Rule == f.Rule && again.Element == f.Element {
					t.Errorf("%s: %s: after %q, %s, it is found again", r.Name, f.Rule, f.Remedy.Run, mended.line())
				}
			}
		}
	}
	for name, remedy := range failing {
		if thinks := slices.Contains(toThinkAbout, name); thinks == (followed[name] > 0) {
			t.Errorf("%s: %d remedies could be followed; it needs a person: %t. The last is %q", name, followed[name], thinks, remedy)
		}
	}
}

// toThinkAbout are the rules whose remedy leaves a choice to a person, or names
// a flag in other words than the table's run lines do.
var toThinkAbout = []string{"cpu-quota-too-small", "device-rates-unlimited", "engine-data-mounted", "host-root-mounted", "image-tag-latest",
	"image-tag-only", "mount-propagation-shared", "mount-propagation-slave", "network-default-bridge", "port-every-interface",
	"port-privileged", "secret-in-environment", "sshd-running", "tmpfs-runs-programs", "volume-is-block-device", "volume-is-host-path"}
