package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxConfigBytes bounds docker's own configuration files.
const maxConfigBytes = 4 << 20

// Settings is where Resolve looks.
type Settings struct {
	// Host is what the user named (--host); empty looks further.
	Host string
	// Getenv reads the environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG,
	// DOCKER_TLS, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH and DOCKER_API_VERSION.
	// An empty value counts as unset, as it does for docker. Nil is an empty
	// environment.
	Getenv func(string) string
	// HomeDir is the user's home, in which docker keeps its contexts under
	// .docker. Empty means that there is none: no context is looked for unless
	// DOCKER_CONFIG says where.
	HomeDir string
}

// Resolve finds the engine that docker's own client would speak to: the host
// that the user named, else DOCKER_HOST, else the context of DOCKER_CONTEXT,
// else docker's current context, else unix:///var/run/docker.sock. It reads
// files, but connects to nothing. The error is an *Error.
func Resolve(s Settings) (Endpoint, error) {
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	ep, err := s.find()
	if err != nil {
		return Endpoint{}, err
	}
	ep.APIVersion = s.Getenv("DOCKER_API_VERSION")
	if _, err := parsePin(ep.APIVersion); err != nil {
		return Endpoint{}, err
	}
	return ep, nil
}

func (s Settings) find() (Endpoint, error) {
	if s.Host != "" {
		return s.fromHost(s.Host, "--host")
	}
	if host := s.Getenv("DOCKER_HOST"); host != "" {
		return s.fromHost(host, "DOCKER_HOST")
	}
	name, source := s.Getenv("DOCKER_CONTEXT"), "DOCKER_CONTEXT, the context "
	if name == "" {
		var err error
		if name, err = s.currentContext(); err != nil {
			return Endpoint{}, err
		}
		source = "docker's current context "
	}
	if name == "" || name == "default" {
		return s.fromHost("unix://"+defaultSocket, "the default")
	}
	return s.fromContext(name, source+printable(name, 60))
}

// fromHost is an endpoint whose TLS, if any, is in the environment.
func (s Settings) fromHost(host, source string) (Endpoint, error) {
	addr, err := parseAddress(host)
	if err != nil {
		return Endpoint{}, sourced(err, source)
	}
	verify := s.Getenv("DOCKER_TLS_VERIFY") != ""
	if addr.scheme != "tcp" || !verify && s.Getenv("DOCKER_TLS") == "" {
		return Endpoint{Address: addr.String(), Source: source}, nil
	}
	folder := s.Getenv("DOCKER_CERT_PATH")
	if folder == "" {
		folder = s.ConfigDir()
	}
	t := tlsFolder(folder)
	t.SkipVerify = !verify
	if verify && t.CAFile == "" {
		return Endpoint{}, &Error{
			Message: fmt.Sprintf("DOCKER_TLS_VERIFY is set, but there is no ca.pem in %q to verify the engine with", folder),
			hint:    "Point DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem, or unset DOCKER_TLS_VERIFY.",
		}
	}
	return Endpoint{Address: addr.String(), Source: source, TLS: &t}, nil
}

// sourced says in the hint where a wrong address came from.
func sourced(err error, source string) error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Message: e.Message, Err: e.Err, hint: "That address comes from " + source + ". " + e.hint}
	}
	return err
}

// tlsFolder names those of docker's three files that are there.
func tlsFolder(dir string) TLS {
	there := func(name string) string {
		p := filepath.Join(dir, name)
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		return p
	}
	return TLS{CAFile: there("ca.pem"), CertFile: there("cert.pem"), KeyFile: there("key.pem")}
}

// ConfigDir is the folder of docker's own configuration: that of DOCKER_CONFIG, or .docker
// of the home folder; "" without either.
func (s Settings) ConfigDir() string {
	if dir := s.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	if s.HomeDir == "" {
		return ""
	}
	return filepath.Join(s.HomeDir, ".docker")
}

// currentContext is the context that `docker context use` chose, or "".
func (s Settings) currentContext() (string, error) {
	dir := s.ConfigDir()
	if dir == "" {
		return "", nil
	}
	file := filepath.Join(dir, "config.json")
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	err := readJSON(file, &config)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &Error{
			Message: "docker's configuration, which names the engine to use, can't be read",
			Err:     err,
			hint:    "Mend " + file + ", or name the engine:\n  --host unix://" + defaultSocket,
		}
	}
	return config.CurrentContext, nil
}

// fromContext reads a context from docker's store, in which a folder is named
// by the SHA-256 of the context's name.
func (s Settings) fromContext(name, source string) (Endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	dir := filepath.Join(s.ConfigDir(), "contexts")
	var meta struct {
		Endpoints struct {
			Docker *struct {
				Host          string
				SkipTLSVerify bool
			} `json:"docker"`
		}
	}
	hint := "See which contexts there are, and choose one, or name the engine:\n" +
		"  docker context ls\n  docker context use default\n  --host unix://" + defaultSocket
	err := readJSON(filepath.Join(dir, "meta", id, "meta.json"), &meta)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Endpoint{}, &Error{Message: fmt.Sprintf("there is no docker context %q, which comes from %s", name, source), hint: hint}
	case err != nil:
		return Endpoint{}, &Error{Message: fmt.Sprintf("the docker context %q can't be read", name), Err: err, hint: hint}
	case meta.Endpoints.Docker == nil:
		return Endpoint{}, &Error{Message: fmt.Sprintf("the docker context %q names no docker engine", name), hint: hint}
	}
	host := meta.Endpoints.Docker.Host
	if host == "" {
		host = "unix://" + defaultSocket
	}
	addr, err := parseAddress(host)
	if err != nil {
		return Endpoint{}, sourced(err, source)
	}
	ep := Endpoint{Address: addr.String(), Source: source}
	if addr.scheme != "tcp" {
		return ep, nil
	}
	t := tlsFolder(filepath.Join(dir, "tls", id, "docker"))
	t.SkipVerify = meta.Endpoints.Docker.SkipTLSVerify
	if t != (TLS{}) {
		ep.TLS = &t
	}
	return ep, nil
}

// readJSON decodes a file of docker's configuration. These have many fields
// that are none of our business, so unknown ones are let be.
func readJSON(file string, into any) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return err
	}
	if len(body) > maxConfigBytes {
		return fmt.Errorf("reading %s: it is larger than %d MiB", file, maxConfigBytes>>20)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}
