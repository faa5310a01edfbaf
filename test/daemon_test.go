package test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/test/lab"
)

// daemonTable is testdata/daemon/table.yaml; what each part means is said there.
type daemonTable struct {
	Rows []struct {
		Settings map[string]any            `yaml:"settings"`
		Rootless bool                      `yaml:"rootless"`
		Asks     string                    `yaml:"asks"`
		File     map[string]any            `yaml:"file"`
		Flips    map[string]finding.Status `yaml:"flips"`
	} `yaml:"rows"`
	Elsewhere map[string]string `yaml:"elsewhere"`
}

// TestDaemonVerdicts: each rule about the daemon comes to both of its answers on
// real engines that are set otherwise, but for those that the table says cannot.
func TestDaemonVerdicts(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "daemon", "table.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tab daemonTable
	if err := strict.YAML(file, data, &tab); err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[finding.Status]bool{}
	status := func(f *facts.Facts) map[string]finding.Status {
		found, err := ourRules(t).Judge(f)
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]finding.Status{}
		for _, x := range found {
			if x.Subject.Kind == "daemon" {
				of[x.Rule] = graver(of[x.Rule], x.Status)
			}
		}
		for name, is := range of {
			if seen[name] == nil {
				seen[name] = map[finding.Status]bool{}
			}
			seen[name][is] = true
		}
		return of
	}
	before := status(factsOf(t, clientOf(t, lab.Private(t, nil))))
	for _, r := range tab.Rows {
		var now *facts.Facts
		switch {
		case r.Rootless:
			now = factsOf(t, rootlessEngine(t))
		case r.Asks != "":
			engine := lab.Private(t, nil)
			serveAuthorization(t, engine, r.Asks)
			now = factsOf(t, clientOf(t, lab.Beside(t, engine, "asks", "", "--bridge=none", "--authorization-plugin="+r.Asks)))
		default:
			engine := lab.Private(t, r.Settings)
			if r.File != nil {
				time.Sleep(3 * time.Second) // times of files and processes are told in seconds
				putInto(t, filepath.Join(filepath.Dir(engine.Socket()), "daemon.json"), r.File)
			}
			now = factsOf(t, clientOf(t, engine))
		}
		got := map[string]finding.Status{}
		for name, is := range status(now) {
			if is != before[name] {
				got[name] = is
			}
		}
		if diff := cmp.Diff(r.Flips, got); diff != "" {
			t.Errorf("%v %v (-want +got):\n%s", r.Settings, r.File, diff)
		}
	}
	for _, r := range ourRules(t).Rules() {
		if r.Subject != "daemon" {
			continue
		}
		bad := finding.Fail
		if r.Manual != "" {
			bad = finding.Manual
		}
		flips := seen[r.Name][bad] && (seen[r.Name][finding.Pass] || r.Manual != "" && seen[r.Name][finding.NotApplicable])
		why, elsewhere := tab.Elsewhere[r.Name]
		switch {
		case !flips && !elsewhere && !(seen[r.Name][bad] && seen[r.Name][finding.NotApplicable]):
			t.Errorf("%s: only %v on all engines", r.Name, seen[r.Name])
		case flips && elsewhere:
			t.Errorf("%s flips here, and is said not to: %s", r.Name, why)
		}
	}
}

// serveAuthorization serves an authorization plugin that allows everything, where an
// engine looks for it by its name.
func serveAuthorization(t *testing.T, e *lab.Engine, name string) {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(e.Pid), "root/run/docker/plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1+json")
		if r.URL.Path == "/Plugin.Activate" {
			_, _ = io.WriteString(w, `{"Implements": ["authz"]}`)
			return
		}
		_, _ = io.WriteString(w, `{"Allow": true}`)
	}))
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

// putInto changes settings in a daemon.json.
func putInto(t *testing.T, file string, settings map[string]any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for key, value := range settings {
		all[key] = value
	}
	if data, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
