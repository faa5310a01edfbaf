package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// endpoint is an engine's address and what named it.
type endpoint struct {
	Host string // as for DOCKER_HOST
	From string // for people: "DOCKER_HOST", "the context \"x\"", "its socket"
}

// findEngines looks for the machine's engines: where the docker command would
// look, then at the usual sockets, those of rootless engines last. root is put
// before the sockets' paths ("" is the machine itself). An address that is
// configured counts even if nothing is there: then something is wrong with it
// that a report should say.
func findEngines(environ []string, root string) ([]endpoint, error) {
	env := environment(environ)
	if host := env["DOCKER_HOST"]; host != "" {
		return []endpoint{{host, "DOCKER_HOST"}}, nil
	}
	found, err := contextEngine(env)
	if err != nil || len(found) > 0 {
		return found, err
	}
	paths := []string{"/run/docker.sock"}
	users, err := filepath.Glob(filepath.Join(root, "/run/user/*/docker.sock"))
	if err != nil {
		return nil, fmt.Errorf("looking for rootless engines: %w", err)
	}
	for _, p := range users {
		paths = append(paths, strings.TrimPrefix(p, strings.TrimSuffix(root, "/")))
	}
	for _, p := range paths {
		info, err := os.Stat(filepath.Join(root, p))
		if errors.Is(err, fs.ErrPermission) || (err == nil && info.Mode()&fs.ModeSocket != 0) {
			found = append(found, endpoint{"unix://" + p, "its socket"})
		}
	}
	return found, nil
}

// contextEngine reads the docker command's current context, if it is not the
// default one. The folder of a context is the SHA-256 of its name.
func contextEngine(env map[string]string) ([]endpoint, error) {
	dir := env["DOCKER_CONFIG"]
	if dir == "" {
		dir = filepath.Join(env["HOME"], ".docker")
	}
	name := env["DOCKER_CONTEXT"]
	if name == "" {
		var config struct {
			CurrentContext string `json:"currentContext"`
		}
		if err := readJSON(filepath.Join(dir, "config.json"), &config); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return nil, err
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := readJSON(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"), &meta); err != nil {
		return nil, fmt.Errorf("the current docker context is %q: %w; choose another with `docker context use`", name, err)
	}
	host := meta.Endpoints["docker"].Host
	if host == "" {
		return nil, fmt.Errorf("the current docker context %q names no engine: choose another with `docker context use`", name)
	}
	return []endpoint{{host, fmt.Sprintf("the docker context %q", name)}}, nil
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading docker's configuration: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// environment turns "NAME=value" strings into a map; the last of two wins.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// without returns environ without the named variables.
func without(environ []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}
