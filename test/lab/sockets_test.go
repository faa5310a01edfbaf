package lab

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shopContext is the SHA-256 of "shop", the folder docker gives that context.
const shopContext = "8d9001d32c6a703d95921a77115050f33dd823d3f1730bd35215dcbecad6dc20"

func TestFindEngines(t *testing.T) {
	context := `{"Name":"shop","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://ops@shop","SkipTLSVerify":false}}}`
	tests := []struct {
		name    string
		environ []string
		files   map[string]string // below HOME; META stands for the context's folder
		sockets []string          // below the root
		want    []endpoint
	}{
		{name: "nothing"},
		{
			name: "DOCKER_HOST comes first, even if nothing is there", environ: []string{"DOCKER_HOST=unix:///nowhere.sock"},
			files: map[string]string{".docker/config.json": `{"currentContext":"shop"}`, "META": context}, sockets: []string{"run/docker.sock"},
			want: []endpoint{{"unix:///nowhere.sock", "DOCKER_HOST"}},
		},
		{
			name: "an empty DOCKER_HOST is none", environ: []string{"DOCKER_HOST="}, sockets: []string{"run/docker.sock"},
			want: []endpoint{{"unix:///run/docker.sock", "its socket"}},
		},
		{
			name:  "the current context comes before the sockets",
			files: map[string]string{".docker/config.json": `{"currentContext":"shop"}`, "META": context}, sockets: []string{"run/docker.sock"},
			want: []endpoint{{"ssh://ops@shop", `the docker context "shop"`}},
		},
		{
			name: "DOCKER_CONTEXT over the configured one", environ: []string{"DOCKER_CONTEXT=shop"},
			files: map[string]string{".docker/config.json": `{"currentContext":"other"}`, "META": context},
			want:  []endpoint{{"ssh://ops@shop", `the docker context "shop"`}},
		},
		{
			name:  "the default context means the usual socket",
			files: map[string]string{".docker/config.json": `{"currentContext":"default"}`}, sockets: []string{"run/docker.sock"},
			want: []endpoint{{"unix:///run/docker.sock", "its socket"}},
		},
		{
			name: "a configuration without a context", files: map[string]string{".docker/config.json": `{"auths":{}}`},
		},
		{
			name: "root's engine first, then the users'", sockets: []string{"run/user/1001/docker.sock", "run/docker.sock", "run/user/1000/docker.sock"},
			want: []endpoint{
				{"unix:///run/docker.sock", "its socket"}, {"unix:///run/user/1000/docker.sock", "its socket"}, {"unix:///run/user/1001/docker.sock", "its socket"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root, home := shortTempDir(t), t.TempDir()
			for name, content := range tt.files {
				writeFile(t, filepath.Join(home, contextPath(name)), content)
			}
			for _, s := range tt.sockets {
				path := filepath.Join(root, s)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
			}
			got, err := findEngines(append(tt.environ, "HOME="+home), root)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func contextPath(name string) string {
	if name == "META" {
		return ".docker/contexts/meta/" + shopContext + "/meta.json"
	}
	return name
}

func TestFindEnginesRefusesAFile(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "run/docker.sock"), "not a socket")
	got, err := findEngines([]string{"HOME=" + root}, root)
	if err != nil || len(got) != 0 {
		t.Errorf("a plain file was taken for an engine's socket: %v, %v", got, err)
	}
}

func TestFindEnginesBadContext(t *testing.T) {
	tests := []struct{ name, config, meta, want string }{
		{"unknown", `{"currentContext":"shop"}`, "", `docker context use`},
		{"no endpoint", `{"currentContext":"shop"}`, `{"Endpoints":{}}`, `names no engine`},
		{"meta is not JSON", `{"currentContext":"shop"}`, `{`, `meta.json`},
		{"configuration is not JSON", `{"currentContext":`, "", `config.json`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			writeFile(t, filepath.Join(home, ".docker/config.json"), tt.config)
			if tt.meta != "" {
				writeFile(t, filepath.Join(home, contextPath("META")), tt.meta)
			}
			got, err := findEngines([]string{"HOME=" + home}, t.TempDir())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error with %q", got, err, tt.want)
			}
		})
	}
}

func TestPlans(t *testing.T) {
	one := foundPlan([]endpoint{{"unix:///run/docker.sock", "its socket"}})
	if want := "This audits the Docker engine at unix:///run/docker.sock (found by its socket). Nothing is changed.\n"; one != want {
		t.Errorf("got %q, want %q", one, want)
	}
	two := foundPlan([]endpoint{{"unix:///run/docker.sock", "its socket"}, {"unix:///run/user/1000/docker.sock", "its socket"}})
	if !strings.HasPrefix(two, one) || !strings.Contains(two, "There is also unix:///run/user/1000/docker.sock") {
		t.Errorf("the second engine is not told: %q", two)
	}
	installing, ready := throwawayPlan([]string{"docker.io", "runc"}), throwawayPlan(nil)
	if !strings.Contains(installing, "installs Debian's (docker.io, runc)") || !strings.Contains(installing, "the packages too") {
		t.Errorf("the plan does not say that packages come and go: %q", installing)
	}
	if strings.Contains(ready, "install") {
		t.Errorf("the plan speaks of installing, and nothing is: %q", ready)
	}
	for _, p := range []string{one, two, installing, ready} {
		if n := strings.Count(p, "\n"); n < 1 || n > 3 || !strings.HasSuffix(p, "\n") {
			t.Errorf("not two or three lines: %q", p)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
