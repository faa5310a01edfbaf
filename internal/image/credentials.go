package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// credentials are those of docker's config.json.
type credentials struct{ Registries }

// dockerHub is the registry that names without a host are of, and the key that docker has
// its credentials by.
const (
	dockerHub    = "docker.io"
	dockerHubKey = "https://index.docker.io/v1/"
)

// maxCredentials bounds config.json, and what a credential helper may say.
const maxCredentials = 4 << 20

// dockerConfig is of config.json what is about registries.
type dockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredsStore  string                `json:"credsStore"`
	CredHelpers map[string]string     `json:"credHelpers"`
}

// dockerAuth is what docker login keeps: Auth is base64 of user:password.
type dockerAuth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// of is what a host is told about who asks; nobody where nothing is known.
func (c credentials) of(ctx context.Context, host string) (authn.Authenticator, error) {
	if c.Config == "" {
		return authn.Anonymous, nil
	}
	name := filepath.Join(c.Config, "config.json")
	file, err := openFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return authn.Anonymous, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading docker's configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCredentials+1))
	if err != nil {
		return nil, fmt.Errorf("reading docker's configuration: %w", err)
	}
	if len(data) > maxCredentials {
		return nil, beyond(name+" has", maxCredentials, "bytes")
	}
	var config dockerConfig
	if _, err := strict.Decode(name, data, &config); err != nil {
		return nil, err
	}
	key := host
	if host == dockerHub {
		key = dockerHubKey
	}
	helper := config.CredHelpers[key]
	if helper == "" {
		helper = config.CredsStore
	}
	if helper != "" {
		return c.ask(ctx, helper, key)
	}
	return config.stored(name, key)
}

// stored are credentials that are in the file itself, by the key, or else by a key that
// names the same host in another way, as docker finds them.
func (d *dockerConfig) stored(file, key string) (authn.Authenticator, error) {
	auth, found := d.Auths[key]
	if !found {
		var names []string
		for name := range d.Auths {
			if hostOf(name) == hostOf(key) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return authn.Anonymous, nil
		}
		slices.Sort(names)
		key = names[0]
		auth = d.Auths[key]
	}
	a := authn.AuthConfig{Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken}
	if auth.Auth != "" {
		plain, err := base64.StdEncoding.DecodeString(auth.Auth)
		user, password, found := strings.Cut(string(plain), ":")
		if err != nil || !found {
			return nil, fmt.Errorf("%s: auths[%q].auth is not user:password in base64", file, shown(key))
		}
		a.Username, a.Password = user, strings.Trim(password, "\x00")
	}
	if a == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(a), nil
}

// hostOf is the host of a key, which may be a URL.
func hostOf(key string) string {
	if u, err := url.Parse(key); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return u.Host
	}
	host, _, _ := strings.Cut(key, "/")
	return host
}

// helperName is what a credential helper may be called: it becomes a part of the name of a
// program, which must stay one of the PATH.
var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ask asks a credential helper (docker-credential-helpers' protocol: the host comes in by
// the standard input, and JSON goes out).
func (c credentials) ask(ctx context.Context, helper, key string) (authn.Authenticator, error) {
	if !helperName.MatchString(helper) {
		return nil, fmt.Errorf("docker's configuration names the credential helper %q, which cannot be one", shown(helper))
	}
	program, err := c.find("docker-credential-" + helper)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Silence)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Env = c.Environ
	cmd.Stdin = strings.NewReader(key)
	cmd.Stdout = &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if strings.Contains(out.String(), "credentials not found in native keychain") {
			return authn.Anonymous, nil
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("it said nothing for %v", c.Silence)
		}
		// On failure it writes what is wrong where credentials would be.
		return nil, fmt.Errorf("asking %s for credentials: %w: %q", program, err, shown(strings.TrimSpace(out.String())))
	}
	var said struct{ Username, Secret string }
	if _, err := strict.Decode("the answer of "+program, out.Bytes(), &said); err != nil {
		return nil, err
	}
	// The user of a token (docker login's documentation, Credential helper protocol).
	if said.Username == "<token>" {
		return authn.FromConfig(authn.AuthConfig{IdentityToken: said.Secret}), nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: said.Username, Password: said.Secret}), nil
}

// find is a program of Environ's PATH, of its absolute folders: a relative one may be of
// whoever made the folder that this runs in.
func (c credentials) find(program string) (string, error) {
	path := ""
	for _, e := range c.Environ {
		if value, is := strings.CutPrefix(e, "PATH="); is {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if at, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return at, nil
		}
	}
	return "", fmt.Errorf("docker's configuration names the credential helper %s, which is not in the PATH", program)
}

// limited keeps what a credential helper says, and takes no more.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxCredentials {
		return 0, beyond("it says", maxCredentials, "bytes")
	}
	return l.Buffer.Write(p)
}
