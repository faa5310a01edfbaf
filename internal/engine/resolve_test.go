package engine

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// idOf is the folder of a context: the SHA-256 of its name.
func idOf(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }

func TestResolveOrder(t *testing.T) {
	home := t.TempDir()
	docker := filepath.Join(home, ".docker")
	writeFile(t, filepath.Join(docker, "config.json"), `{"auths":{},"currentContext":"far"}`)
	writeFile(t, filepath.Join(docker, "contexts/meta", idOf("far"), "meta.json"),
		`{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://mei@far","SkipTLSVerify":false},"other":{}}}`)
	writeFile(t, filepath.Join(docker, "contexts/meta", idOf("near"), "meta.json"),
		`{"Name":"near","Endpoints":{"docker":{"Host":""}}}`)

	for _, tc := range []struct {
		name string
		s    Settings
		want Endpoint
	}{
		{"nothing", Settings{}, Endpoint{Address: "unix:///var/run/docker.sock", Source: "the default"}},
		{"a home without docker", Settings{HomeDir: t.TempDir()}, Endpoint{Address: "unix:///var/run/docker.sock", Source: "the default"}},
		{"current context", Settings{HomeDir: home}, Endpoint{Address: "ssh://mei@far", Source: "docker's current context far"}},
		{"DOCKER_CONFIG", Settings{Getenv: env("DOCKER_CONFIG=" + docker)}, Endpoint{Address: "ssh://mei@far", Source: "docker's current context far"}},
		{"DOCKER_CONTEXT before the current", Settings{HomeDir: home, Getenv: env("DOCKER_CONTEXT=near")},
			Endpoint{Address: "unix:///var/run/docker.sock", Source: "DOCKER_CONTEXT, the context near"}},
		{"DOCKER_CONTEXT=default", Settings{HomeDir: home, Getenv: env("DOCKER_CONTEXT=default")},
			Endpoint{Address: "unix:///var/run/docker.sock", Source: "the default"}},
		{"DOCKER_HOST before DOCKER_CONTEXT", Settings{HomeDir: home, Getenv: env("DOCKER_CONTEXT=near", "DOCKER_HOST=tcp://a")},
			Endpoint{Address: "tcp://a:2375", Source: "DOCKER_HOST"}},
		{"--host before DOCKER_HOST", Settings{Host: "unix:///b.sock", HomeDir: home, Getenv: env("DOCKER_HOST=tcp://a")},
			Endpoint{Address: "unix:///b.sock", Source: "--host"}},
		{"a pinned version", Settings{Getenv: env("DOCKER_API_VERSION=1.41")},
			Endpoint{Address: "unix:///var/run/docker.sock", Source: "the default", APIVersion: "1.41"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Resolve(tc.s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveTLS(t *testing.T) {
	certs, empty, home := t.TempDir(), t.TempDir(), t.TempDir()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		writeFile(t, filepath.Join(certs, name), "x")
		writeFile(t, filepath.Join(home, ".docker", name), "x")
	}
	files := func(dir string, skip bool) *TLS {
		return &TLS{CAFile: dir + "/ca.pem", CertFile: dir + "/cert.pem", KeyFile: dir + "/key.pem", SkipVerify: skip}
	}
	for _, tc := range []struct {
		name string
		s    Settings
		want *TLS
	}{
		{"plain", Settings{Host: "tcp://a:1", Getenv: env("DOCKER_CERT_PATH=" + certs)}, nil},
		{"verify", Settings{Host: "tcp://a:1", Getenv: env("DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+certs)}, files(certs, false)},
		{"verify, files at home", Settings{Host: "tcp://a:1", HomeDir: home, Getenv: env("DOCKER_TLS_VERIFY=1")}, files(home+"/.docker", false)},
		{"TLS without verifying", Settings{Host: "tcp://a:1", Getenv: env("DOCKER_TLS=1", "DOCKER_CERT_PATH="+certs)}, files(certs, true)},
		{"TLS without files", Settings{Host: "tcp://a:1", Getenv: env("DOCKER_TLS=1", "DOCKER_CERT_PATH="+empty)}, &TLS{SkipVerify: true}},
		{"a socket has none", Settings{Host: "unix:///a", Getenv: env("DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+certs)}, nil},
		{"ssh has none", Settings{Host: "ssh://a", Getenv: env("DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+certs)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Resolve(tc.s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.TLS); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := Resolve(Settings{Host: "tcp://a:1", Getenv: env("DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+empty)})
	wantError(t, err, "there is no ca.pem in", "DOCKER_CERT_PATH")
}

func TestResolveRefuses(t *testing.T) {
	with := func(config, meta string) string {
		home := t.TempDir()
		writeFile(t, filepath.Join(home, ".docker/config.json"), config)
		if meta != "" {
			writeFile(t, filepath.Join(home, ".docker/contexts/meta", idOf("far"), "meta.json"), meta)
		}
		return home
	}
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, ".docker/config.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	const far = `{"currentContext":"far"}`
	for _, tc := range []struct {
		name          string
		s             Settings
		message, hint string
	}{
		{"host", Settings{Host: "/run/docker.sock"}, "starts with unix://", "comes from --host"},
		{"DOCKER_HOST", Settings{Getenv: env("DOCKER_HOST=http://a")}, "write tcp://", "comes from DOCKER_HOST"},
		{"pin is no version", Settings{Getenv: env("DOCKER_API_VERSION=new")}, "which is not a version", "Unset DOCKER_API_VERSION"},
		{"pin is too old", Settings{Getenv: env("DOCKER_API_VERSION=1.39")}, "1.39, and plimsoll speaks 1.40 to", "Unset"},
		{"pin is too new", Settings{Getenv: env("DOCKER_API_VERSION=1.57")}, "1.57, and plimsoll speaks 1.40 to", "Unset"},
		{"configuration is not JSON", Settings{HomeDir: with(`{"currentContext":`, "")}, "reading", "Mend "},
		{"configuration is a folder", Settings{HomeDir: folder}, "is a directory", "Mend "},
		{"configuration of another type", Settings{HomeDir: with(`{"currentContext":7}`, "")}, "currentContext", "Mend "},
		{"configuration without end", Settings{HomeDir: with(strings.Repeat(" ", maxConfigBytes+1), "")}, "larger than 4 MiB", "Mend "},
		{"no such context", Settings{HomeDir: with(far, "")}, `there is no docker context "far"`, "docker context ls"},
		{"no such context, by DOCKER_CONTEXT", Settings{Getenv: env("DOCKER_CONTEXT=x")}, "comes from DOCKER_CONTEXT", "docker context ls"},
		{"context is not JSON", Settings{HomeDir: with(far, "{")}, `"far" can't be read`, "docker context ls"},
		{"context without docker", Settings{HomeDir: with(far, `{"Endpoints":{"other":{}}}`)}, "names no docker engine", "docker context ls"},
		{"context of another kind", Settings{HomeDir: with(far, `{"Endpoints":{"docker":{"Host":"npipe://x"}}}`)}, "npipe", "current context far"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Resolve(tc.s)
			wantError(t, err, tc.message, tc.hint)
		})
	}
}

// docker's own client writes the contexts that Resolve reads.
func TestResolveLikeDocker(t *testing.T) {
	cli, err := exec.LookPath("docker")
	need(t, err == nil, "docker's command line client")
	home, certs := t.TempDir(), t.TempDir()
	ca := newAuthority(t)
	ca.write(t, certs, ca.issue(t, "client", nil))
	docker := func(args ...string) {
		t.Helper()
		cmd := exec.Command(cli, args...)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("docker %q: %v\n%s", args, err, out)
		}
	}
	docker("context", "create", "safe", "--docker",
		"host=tcp://harbour-1:2376,ca="+certs+"/ca.pem,cert="+certs+"/cert.pem,key="+certs+"/key.pem")
	docker("context", "create", "lax", "--docker", "host=tcp://harbour-2:2376,skip-tls-verify=true")
	docker("context", "create", "plain", "--docker", "host=tcp://harbour-3:2375")
	docker("context", "create", "socket", "--docker", "host=unix:///run/user/1000/docker.sock")
	tls := filepath.Join(home, ".docker/contexts/tls", idOf("safe"), "docker")
	for _, tc := range []struct {
		name string
		want Endpoint
	}{
		{"safe", Endpoint{Address: "tcp://harbour-1:2376",
			TLS: &TLS{CAFile: tls + "/ca.pem", CertFile: tls + "/cert.pem", KeyFile: tls + "/key.pem"}}},
		{"lax", Endpoint{Address: "tcp://harbour-2:2376", TLS: &TLS{SkipVerify: true}}},
		{"plain", Endpoint{Address: "tcp://harbour-3:2375"}},
		{"socket", Endpoint{Address: "unix:///run/user/1000/docker.sock"}},
	} {
		docker("context", "use", tc.name)
		got, err := Resolve(Settings{HomeDir: home})
		if err != nil {
			t.Fatal(err)
		}
		tc.want.Source = "docker's current context " + tc.name
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if _, err := New(Config{Endpoint: got}); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
