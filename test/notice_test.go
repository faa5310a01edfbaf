package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNotice: what is linked is under a permissive licence, or under one that asks to be named,
// and then NOTICE names it, and nothing that is not linked any more.
func TestNotice(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "../cmd/plimsoll", "../cmd/plimsoll-gate").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(strings.Join(slices.Compact(slices.Sorted(strings.Lines(string(out)))), ""))
	notice, err := os.ReadFile("../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	_, listed, found := strings.Cut(string(notice), "Mozilla Public License")
	if !found || len(modules) < 100 {
		t.Fatalf("NOTICE does not name the licence, or only %d words tell of modules", len(modules))
	}
	named := regexp.MustCompile(`(?m)^(\S+) \(https://`).FindAllStringSubmatch(listed, -1)
	var want []string
	for i := 0; i < len(modules); i += 2 {
		name, dir := modules[i], modules[i+1]
		files, err := filepath.Glob(filepath.Join(dir, "[LlCc][IiOo][CcPp][EeYy]*"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no licence: %v", name, err)
			continue
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // a folder
			}
			head := string(text[:min(len(text), 2000)])
			switch {
			case strings.Contains(head, "Mozilla Public License"):
				want = append(want, name)
			case regexp.MustCompile(`(?i)GNU (LESSER |AFFERO )?GENERAL PUBLIC|Business Source|Server Side Public`).MatchString(head):
				t.Errorf("%s is under another licence: %s", name, file)
			}
		}
	}
	var got []string
	for _, m := range named {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("NOTICE names %q, and linked are %q", got, want)
	}
}
