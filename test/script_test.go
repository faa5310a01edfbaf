package test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

var update = flag.Bool("update", false, "rewrite what scripts expect of their output")

// TestScripts runs testdata/script/*.txtar against the real program. Beside
// testscript's own, these commands are there; CODE is an exit code:
//
//	exits CODE PROGRAM ARG...   run, and demand that exit code
//	on COLUMNS CODE PROGRAM ARG...      the same on a terminal so wide; what it shows is stdout
//	interrupted CODE PROGRAM ARG...     the same, with a SIGINT when the fake engine is asked for containers
//	nobody CODE PROGRAM ARG...          the same as the user nobody, without groups
//	within MIB CODE PROGRAM ARG...      the same in at most that much memory; stdout goes to the file "out"
//	inside CODE [OPTION...] ARG...      run the program in a container of the engine that docker run makes with the options
//	engine                      DOCKER_HOST is the lab's engine
//	docker ARG...               its client there
//	fake KIND                   DOCKER_HOST is an engine that does not behave; see fakes
//	contract FILE               FILE is JSON with the fields of a report
//	multiply FROM TO N          facts with each container N times
//	record STATE FILE           append the events in FILE, a JSON object a line, to the trail of STATE
//	flip FILE TEXT              change the first byte of TEXT in FILE
//	zipped FILE FOLDER          FILE is a zip of what is in FOLDER
//
// The conditions [engine] and [root] are true where there is a lab, and where
// the test is root. Where CI=true, one that is false fails.
func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

func runScripts(t *testing.T, dir string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			have, known := map[string]bool{"engine": os.Getenv("PLIMSOLL_TEST_ENGINE") != "", "root": os.Geteuid() == 0}[name]
			if !known {
				return false, fmt.Errorf("no condition is called %q", name)
			}
			if !have && os.Getenv("CI") == "true" {
				return false, fmt.Errorf("there is no %s here, and CI=true demands one: run make test", name)
			}
			return have, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "TERM=xterm", "LANG=C.UTF-8")
			e.Values[fakeKey{}] = new(fake)
			data, err := os.ReadFile("testdata/script/facts.json")
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "facts.json"), data, 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       cmdExits,
			"on":          cmdOn,
			"interrupted": cmdInterrupted,
			"nobody":      cmdNobody,
			"within":      cmdWithin,
			"inside":      cmdInside(static(t)),
			"engine":      cmdEngine,
			"docker":      cmdDocker,
			"fake":        cmdFake,
			"contract":    cmdContract,
			"multiply":    cmdMultiply,
			"record":      cmdRecord,
			"flip":        cmdFlip,
			"zipped":      cmdZipped,
			"saved":       cmdSaved,
		},
	})
}

// usage ends a script whose line is wrong.
func usage(ts *testscript.TestScript, neg bool, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// number reads an argument.
func number(ts *testscript.TestScript, word string) int {
	n, err := strconv.Atoi(word)
	ts.Check(err)
	return n
}

// demand compares an exit code.
func demand(ts *testscript.TestScript, err error, code int) {
	var ended *exec.ExitError
	got := 0
	if errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != code {
		ts.Fatalf("exit code %d (%v), want %d", got, err, code)
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits CODE PROGRAM ARG...")
	demand(ts, ts.Exec(args[1], args[2:]...), number(ts, args[0]))
}

// labT lets a script use what the lab offers to tests. A script asks for
// [engine] first, so skipping would be a mistake.
type labT struct{ *testscript.TestScript }

func (t labT) Helper()                          {}
func (t labT) Skipf(format string, args ...any) { t.Fatalf(format, args...) }
func (t labT) Cleanup(f func())                 { t.Defer(f) }

func cmdEngine(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "engine")
	ts.Setenv("DOCKER_HOST", lab.Shared(labT{ts}).Host())
}

func cmdDocker(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "docker ARG...")
	out, err := lab.Shared(labT{ts}).Docker(args...)
	fmt.Fprint(ts.Stdout(), out)
	ts.Check(err)
}

// static builds the program as it is released, for containers that have no C
// library, when it is first asked for, and gives the folder that it is in.
func static(t *testing.T) func() (string, error) {
	dir := t.TempDir()
	return sync.OnceValues(func() (string, error) {
		cmd := exec.Command("go", "build", "-trimpath", "-o", dir, "../cmd/plimsoll")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building the program: %w\n%s", err, out)
		}
		return dir, nil
	})
}

// cmdInside runs the program in a container that has nothing else of ours.
func cmdInside(build func() (string, error)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		usage(ts, neg, len(args) > 1, "inside CODE [OPTION...] ARG...")
		dir, err := build()
		ts.Check(err)
		e := lab.Shared(labT{ts})
		ts.Check(e.Busybox(context.Background(), "script-inside:1"))
		create := []string{"create", "--rm", "--name", "script-inside", "--network", "none", "--memory", "64m", "-v", dir + ":/opt/plimsoll:ro"}
		n := 1
		for n < len(args) && strings.HasPrefix(args[n], "-") {
			n++
		}
		// Docker's own warnings, of limits that this kernel lacks, come here and are
		// not part of what plimsoll says.
		_, err = e.Docker(slices.Concat(create, args[1:n], []string{"script-inside:1", "/opt/plimsoll/plimsoll"}, args[n:])...)
		ts.Check(err)
		demand(ts, ts.Exec("docker", "--host", e.Host(), "start", "--attach", "script-inside"), number(ts, args[0]))
	}
}

// cmdRecord appends to a trail as plimsoll serve does, or to the gate's own.
func cmdRecord(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2 || len(args) == 3, "record STATE FILE [FOLDER]")
	folder := append(args, "trail")[2]
	l, err := trail.Open(trail.Config{Dir: filepath.Join(ts.MkAbs(args[0]), folder), Name: "harbour-1", Now: time.Now})
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		e, err := trail.Decode([]byte(line))
		ts.Check(err)
		_, err = l.Append(context.Background(), *e)
		ts.Check(err)
	}
	ts.Check(l.Close())
}

// cmdFlip changes one bit where a text begins.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "flip FILE TEXT")
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	i := bytes.Index(data, []byte(args[1]))
	if i < 0 {
		ts.Fatalf("%q is not in %s", args[1], args[0])
	}
	data[i] ^= 1
	ts.Check(os.WriteFile(name, data, 0o600))
}

// cmdZipped makes a zip.
func cmdZipped(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "zipped FILE FOLDER")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	ts.Check(z.AddFS(os.DirFS(ts.MkAbs(args[1]))))
	ts.Check(z.Close())
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, b.Bytes(), 0o644))
}

// cmdMultiply makes many containers of few, with names and ids of their own.
func cmdMultiply(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 3, "multiply FROM TO N")
	var doc map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	var all []any
	for n := range number(ts, args[2]) {
		for _, one := range doc["containers"].([]any) {
			c := map[string]any{}
			for key, value := range one.(map[string]any) {
				c[key] = value
			}
			c["name"] = fmt.Sprintf("%s-%02d", c["name"], n)
			c["id"] = fmt.Sprintf("%064x", len(all)+1)
			all = append(all, c)
		}
	}
	doc["containers"] = all
	// What is not listed as unseen is read as unseen by its absence.
	doc["unseen"] = []any{}
	data, err := json.Marshal(doc)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

// cmdContract holds a report to the shape that other programs rely on. It
// knows nothing of the types that wrote it.
func cmdContract(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "contract FILE")
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	ts.Check(dec.Decode(&doc))
	if dec.More() {
		ts.Fatalf("something follows the report")
	}
	c := contract{ts}
	c.fields("report", doc, "schema tool started duration_ms target reach summary findings", "benchmark rules")
	if doc["schema"] != "plimsoll/report/1" {
		ts.Fatalf("schema is %v", doc["schema"])
	}
	if _, err := time.Parse(time.RFC3339, doc["started"].(string)); err != nil {
		ts.Fatalf("started: %v", err)
	}
	c.fields("tool", doc["tool"], "name version", "")
	c.fields("target", doc["target"], "name engine_version api_version os containers", "")
	for _, one := range doc["reach"].([]any) {
		c.fields("reach", one, "subject text", "")
	}
	c.fields("summary", doc["summary"], "pass fail waived unknown manual not_applicable by_severity score mark", "")
	statuses := map[string]int{}
	for _, one := range doc["findings"].([]any) {
		c.fields("finding", one, "rule title severity status subject message why section gain evidence remedy refs", "element position reason missing waiver")
		f := one.(map[string]any)
		c.fields("subject", f["subject"], "kind id name", "")
		c.fields("remedy", f["remedy"], "", "run update compose dockerfile daemon shell")
		if !slices.Contains(finding.Severities, finding.Severity(f["severity"].(string))) {
			ts.Fatalf("severity %v", f["severity"])
		}
		statuses[f["status"].(string)]++
	}
	summary := doc["summary"].(map[string]any)
	total := 0
	for _, status := range []string{"pass", "fail", "waived", "unknown", "manual", "not_applicable"} {
		if float64(statuses[status]) != summary[status] {
			ts.Fatalf("the summary counts %v of %s, and there are %d", summary[status], status, statuses[status])
		}
		total += statuses[status]
	}
	if total != len(doc["findings"].([]any)) {
		ts.Fatalf("a finding has a status that is none: %v", statuses)
	}
}

type contract struct{ ts *testscript.TestScript }

// fields demands an object with all of the words in must, and no others but
// those in may.
func (c contract) fields(what string, v any, must, may string) {
	o, ok := v.(map[string]any)
	if !ok {
		c.ts.Fatalf("%s is %T, not an object", what, v)
	}
	for _, name := range strings.Fields(must) {
		if value, there := o[name]; !there || value == nil {
			c.ts.Fatalf("%s has no %s", what, name)
		}
	}
	for name := range o {
		if !slices.Contains(strings.Fields(must+" "+may), name) {
			c.ts.Fatalf("%s has %s, which the contract does not know", what, name)
		}
	}
}

// TestContractBites: the check of a report's shape refuses what it must.
func TestContractBites(t *testing.T) {
	good := regexp.MustCompile(`\s+`).ReplaceAllString(`{"schema": "plimsoll/report/1", "tool": {"name": "a", "version": "b"}, "started": "2026-11-24T10:00:00Z",
		"duration_ms": 1, "target": {"name": "", "engine_version": "", "api_version": "", "os": "", "containers": 0}, "reach": [],
		"summary": {"pass": 0, "fail": 0, "waived": 0, "unknown": 0, "manual": 0, "not_applicable": 0, "by_severity": {}, "score": 0, "mark": 0},
		"findings": []}`, " ")
	for name, change := range map[string][2]string{
		"as it is":       {"", ""},
		"other schema":   {"report/1", "report/2"},
		"missing field":  {`"reach": [],`, ``},
		"unknown field":  {`"reach"`, `"rich": 1, "reach"`},
		"null":           {`"reach": []`, `"reach": null`},
		"time":           {"2026-11-24T", "24.11.2026 "},
		"count":          {`"pass": 0`, `"pass": 1`},
		"second value":   {`"findings": []}`, `"findings": []} {}`},
		"wrong severity": {`"findings": []`, `"findings": [{"rule":"","title":"","severity":"bad","status":"pass","subject":{"kind":"","id":"","name":""},"message":"","why":"","section":"","gain":0,"evidence":{},"remedy":{},"refs":{}}]`},
	} {
		file := filepath.Join(t.TempDir(), "x.txtar")
		text := strings.Replace(good, change[0], change[1], 1)
		if err := os.WriteFile(file, []byte("contract report\n-- report --\n"+text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		failed := runQuietly(testscript.Params{Files: []string{file}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"contract": cmdContract}})
		if failed == (name == "as it is") {
			t.Errorf("%s: refused is %v", name, failed)
		}
	}
}

// runQuietly runs scripts, and tells whether one failed.
func runQuietly(p testscript.Params) bool {
	q := &quietT{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(errQuiet) {
				panic(r)
			}
		}()
		testscript.RunT(q, p)
	}()
	return q.failed
}

// errQuiet ends a script of quietT.
var errQuiet = errors.New("the script has ended")

// quietT is a test of testscript's whose failure is an answer.
type quietT struct{ failed bool }

func (q *quietT) Skip(...any)                        { panic(errQuiet) }
func (q *quietT) Fatal(...any)                       { q.FailNow() }
func (q *quietT) Parallel()                          {}
func (q *quietT) Log(...any)                         {}
func (q *quietT) FailNow()                           { q.failed = true; panic(errQuiet) }
func (q *quietT) Run(_ string, f func(testscript.T)) { f(q) }
func (q *quietT) Verbose() bool                      { return false }
