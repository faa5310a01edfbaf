package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCapabilityFile(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--root /r --log /l create --bundle /b --pid-file /p id", "/b/config.json"},
		{"--root /r create --bundle=/b id", "/b/config.json"},
		{"run -b /b id", "/b/config.json"},
		{"create id", "config.json"},
		{"--log=/l exec --process /tmp/p.json --detach id", "/tmp/p.json"},
		{"exec -p /tmp/p.json id", "/tmp/p.json"},
		{"exec --tty id sh", ""},
		{"--root /r start id", ""},
		{"delete --force id", ""},
		{"state create", ""},
		{"--root create --log run kill --bundle", ""},
		{"--version", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := capabilityFile(strings.Fields(tt.args)); got != tt.want {
			t.Errorf("runc %s: got %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestStrip(t *testing.T) {
	missing := []string{"CAP_SYS_RESOURCE"}
	tests := []struct{ name, in, want string }{
		{
			name: "a bundle's configuration",
			in: `{"ociVersion":"1.0.2","process":{"args":["a<b&c"],"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],` +
				`"effective":["CAP_SYS_RESOURCE"]},"rlimits":[{"hard":18446744073709551615}]},"big":12345678901234567890}`,
			want: `{"big":12345678901234567890,"ociVersion":"1.0.2","process":{"args":["a<b&c"],"capabilities":{"bounding":["CAP_CHOWN"],` +
				`"effective":[]},"rlimits":[{"hard":18446744073709551615}]}}` + "\n",
		},
		{
			name: "a process for exec",
			in:   `{"capabilities":{"permitted":["CAP_SYS_RESOURCE","CAP_KILL"]},"cwd":"/"}`,
			want: `{"capabilities":{"permitted":["CAP_KILL"]},"cwd":"/"}` + "\n",
		},
		{
			name: "the name elsewhere is no capability",
			in:   `{"process":{"args":["CAP_SYS_RESOURCE"],"env":["X=CAP_SYS_RESOURCE"]}}`,
			want: `{"process":{"args":["CAP_SYS_RESOURCE"],"env":["X=CAP_SYS_RESOURCE"]}}` + "\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := strip([]byte(tt.in), missing)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, bad := range []string{"", "null", "[]", "{", `"x"`} {
		if got, err := strip([]byte(bad), missing); err == nil {
			t.Errorf("%q was taken for a configuration: %s", bad, got)
		}
	}
}

// With no capability missing, a configuration keeps every value it has. With
// some, stripping twice is stripping once.
func FuzzStrip(f *testing.F) {
	f.Add([]byte(`{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE","CAP_KILL",7,null]}},"n":1e400}`))
	f.Add([]byte(`{"capabilities":{"bounding":"CAP_KILL"}}`))
	f.Add([]byte(`{"a":"\u2028<>&","process":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		same, err := strip(in, nil)
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal(in, &before) == nil {
			if err := json.Unmarshal(same, &after); err != nil {
				t.Fatalf("%s became unreadable: %s: %v", in, same, err)
			}
			if !reflect.DeepEqual(before, after) {
				t.Errorf("%s became %s", in, same)
			}
		}
		once, err := strip(in, []string{"CAP_KILL"})
		if err != nil {
			t.Fatal(err)
		}
		twice, err := strip(once, []string{"CAP_KILL"})
		if err != nil || string(twice) != string(once) {
			t.Errorf("%s then %s (%v)", once, twice, err)
		}
	})
}

func TestStripFileKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"capabilities":{"bounding":["CAP_BPF","CAP_KILL"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := stripFile(path, []string{"CAP_BPF"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"capabilities":{"bounding":["CAP_KILL"]}}` + "\n"; string(b) != want || info.Mode() != 0o600 {
		t.Errorf("got %s with mode %v, want %s with 0600", b, info.Mode(), want)
	}
	if err := stripFile(path+"x", nil); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// The kernel tells the bounding set in two ways; both must agree by name.
func TestMissingCapabilities(t *testing.T) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var bounding uint64
	for line := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			if bounding, err = strconv.ParseUint(strings.TrimSpace(hex), 16, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	var want []string
	b, err = os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range capabilityNames {
		if i <= last && bounding&(1<<i) == 0 {
			want = append(want, "CAP_"+name)
		}
	}
	if diff := cmp.Diff(want, missingCapabilities()); diff != "" {
		t.Error(diff)
	}
	if i := slices.Index(capabilityNames, "CHECKPOINT_RESTORE"); i != 40 {
		t.Errorf("CHECKPOINT_RESTORE has number %d, want 40", i)
	}
	if i := slices.Index(capabilityNames, "SYS_RESOURCE"); i != 24 {
		t.Errorf("SYS_RESOURCE has number %d, want 24", i)
	}
}
