// Package test holds the tests that are about the project as a whole: its
// layout and rules of style here, and what a user sees in the scripts, which
// run the real program. What starts a real engine for them is package lab.
package test

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/plimsoll/plimsoll"

// arrows are the packages of the project that each package may import. A
// package that is not here fails the test: give it its place in
// ARCHITECTURE.md and here.
var arrows = map[string][]string{
	"cmd/plimsoll":                 {"internal/cli"},
	"cmd/plimsoll-gate":            {"internal/gate", "internal/systemd", "internal/term"},
	"rules":                        {"internal/finding"},
	"rules/pack":                   {"internal/rule"},
	"internal/strict":              {},
	"internal/cel":                 {},
	"internal/term":                {},
	"internal/finding":             {},
	"internal/look":                {},
	"internal/accounts":            {},
	"internal/posixacl":            {},
	"internal/netlink":             {},
	"internal/auditrule":           {"internal/netlink"},
	"internal/escape":              {},
	"internal/dockerd":             {"internal/strict"},
	"internal/waiver":              {"internal/finding", "internal/strict"},
	"internal/baseline":            {"internal/finding", "internal/strict"},
	"internal/redact":              {},
	"internal/workload":            {"internal/redact", "internal/strict"},
	"internal/workload/runline":    {"internal/workload", "internal/strict"},
	"internal/facts":               {"internal/workload", "internal/strict", "internal/term"},
	"internal/engine":              {"internal/strict"},
	"internal/collect":             {"internal/accounts", "internal/auditrule", "internal/dockerd", "internal/engine", "internal/escape", "internal/facts", "internal/netlink", "internal/posixacl", "internal/redact", "internal/workload", "internal/strict"},
	"internal/trail":               {},
	"internal/declare":             {"internal/redact", "internal/trail"},
	"internal/inventory":           {"internal/finding", "internal/look", "internal/term", "internal/trail"},
	"internal/serve":               {"internal/collect", "internal/declare", "internal/engine", "internal/finding", "internal/redact", "internal/rule", "internal/strict", "internal/trail"},
	"internal/caller":              {},
	"internal/http1":               {},
	"internal/relay":               {"internal/http1"},
	"internal/systemd":             {},
	"internal/deploy":              {"internal/declare", "internal/engine", "internal/http1", "internal/relay", "internal/strict"},
	"internal/install":             {"internal/accounts", "internal/dockerd", "internal/posixacl", "internal/strict"},
	"internal/durable":             {},
	"internal/verdict":             {"internal/durable", "internal/finding", "internal/strict"},
	"internal/vuln":                {"internal/strict"},
	"internal/vex":                 {"internal/strict"},
	"internal/image":               {"internal/strict"},
	"internal/dct":                 {"internal/durable", "internal/image", "internal/strict"},
	"internal/image/imagetest":     {},
	"internal/cosign":              {"internal/image", "internal/strict"},
	"internal/sign":                {"internal/cel", "internal/cosign", "internal/dct", "internal/image", "internal/strict", "internal/trail", "internal/verdict", "internal/workload"},
	"internal/registry":            {"internal/finding", "internal/image", "internal/sign", "internal/strict", "internal/term", "internal/verdict"},
	"internal/sbom":                {"internal/strict"},
	"internal/scan/scantest":       {"internal/image/imagetest", "internal/sbom", "internal/vuln"},
	"internal/scan":                {"internal/advice", "internal/collect", "internal/contents", "internal/extract", "internal/facts", "internal/finding", "internal/image", "internal/linking", "internal/redact", "internal/report", "internal/sbom", "internal/secret", "internal/term", "internal/vex", "internal/vuln", "internal/workload"},
	"internal/contents":            {"internal/facts", "internal/image", "internal/linking", "internal/sbom", "internal/workload"},
	"internal/advice":              {"internal/facts", "internal/finding", "internal/image", "internal/linking", "internal/sbom", "internal/workload"},
	"internal/linking":             {"internal/image"},
	"internal/linking/linkingtest": {},
	"internal/rpmdb":               {},
	"internal/extract":             {"internal/image", "internal/rpmdb", "internal/sbom"},
	"internal/secret":              {"internal/image", "internal/redact"},
	"internal/secret/pack":         {},
	"internal/gate/api":            {"internal/strict", "internal/workload"},
	"internal/gate": {"rules", "internal/accounts", "internal/caller", "internal/collect", "internal/declare", "internal/engine", "internal/facts", "internal/finding", "internal/gate/api", "internal/http1", "internal/relay", "internal/rule", "internal/strict", "internal/systemd", "internal/term",
		"internal/trail", "internal/verdict", "internal/workload"},
	"internal/rule":          {"rules", "internal/cel", "internal/dockerd", "internal/facts", "internal/workload", "internal/finding", "internal/strict", "internal/term"},
	"internal/rule/ruletest": {"internal/rule", "internal/facts", "internal/workload", "internal/workload/runline", "internal/finding", "internal/strict"},
	"internal/reach":         {"internal/facts", "internal/workload", "internal/finding"},
	"internal/report":        {"internal/finding", "internal/look", "internal/term"},
	"internal/fix":           {"internal/facts", "internal/finding", "internal/strict", "internal/term", "internal/workload", "internal/workload/runline"},
	"internal/cli": {"rules", "internal/baseline", "internal/collect", "internal/cosign", "internal/declare", "internal/deploy", "internal/engine", "internal/facts", "internal/finding", "internal/fix", "internal/gate", "internal/image", "internal/install", "internal/inventory", "internal/reach", "internal/registry", "internal/report",
		"internal/rule", "internal/rule/ruletest", "internal/sbom", "internal/scan", "internal/serve", "internal/sign", "internal/strict", "internal/systemd", "internal/term", "internal/trail", "internal/verdict", "internal/vex", "internal/vuln", "internal/waiver", "internal/workload", "internal/workload/runline"},
	"test":             {},
	"test/lab":         {},
	"test/lab/cmd/lab": {"test/lab"},
	"test/notary":      {"test/lab"},
	"test/registry":    {"test/lab"},
	"bench":            {"internal/image/imagetest", "internal/sbom", "internal/scan/scantest", "test/lab"},
	"bench/minimal":    {},
	"bench/floor":      {},
	"bench/reverse":    {},
}

type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Imports,GoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < len(arrows)/2 {
		t.Fatalf("%d packages found", len(list))
	}
	return list
}

// TestArrows: imports point down, as ARCHITECTURE.md has them.
func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, known := arrows[name]
		if !known {
			t.Errorf("%s is in no place of the layout", name)
			continue
		}
		for _, i := range p.Imports {
			if below, ours := strings.CutPrefix(i, module+"/"); ours && !slices.Contains(allowed, below) {
				t.Errorf("%s imports %s", name, below)
			}
		}
	}
}

// TestPackageComments: each package says what it is for, once.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		var comments int
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				comments++
				if text := f.Doc.Text(); !strings.HasPrefix(text, "Package ") && !strings.HasPrefix(text, "Command ") {
					t.Errorf("%s: the comment begins %.40q", p.ImportPath, text)
				}
			}
		}
		if comments != 1 && len(p.GoFiles) > 0 {
			t.Errorf("%s has %d package comments", p.ImportPath, comments)
		}
	}
}

// TestWorldComesIn: clock, environment, streams and exit belong to cli (and to
// programs and the lab); everything else is handed what it needs.
func TestWorldComesIn(t *testing.T) {
	forbidden := map[string][]string{
		"os":   {"Getenv", "LookupEnv", "Environ", "Stdout", "Stderr", "Stdin", "Exit", "Args", "Getwd", "UserHomeDir"},
		"time": {"Now"},
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if name == "internal/cli" || p.Name == "main" || strings.HasPrefix(name, "test") {
			continue
		}
		for _, file := range p.GoFiles {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(forbidden[x.Name], sel.Sel.Name) {
					t.Errorf("%s: %s.%s", set.Position(sel.Pos()), x.Name, sel.Sel.Name)
				}
				return true
			})
		}
	}
}

// TestFiles: no file is longer than 800 lines, none carries marks of unfinished
// work, and nothing suppresses a linter.
func TestFiles(t *testing.T) {
	unfinished := regexp.MustCompile(`\b(TODO|FIXME|XXX)\b|//nolint|//lint:ignore`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "out" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if d.IsDir() || !slices.Contains([]string{".go", ".yaml", ".md", ".sh", ".txtar"}, filepath.Ext(path)) || strings.HasSuffix(path, "house_test.go") {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		lines := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			lines++
			if unfinished.MatchString(s.Text()) {
				t.Errorf("%s:%d: %s", path, lines, s.Text())
			}
		}
		if lines > 800 && filepath.Ext(path) == ".go" {
			t.Errorf("%s has %d lines", path, lines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
