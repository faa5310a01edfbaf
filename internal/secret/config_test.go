package secret

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/image"
)

// configOf reads a configuration as an image has it.
func configOf(t testing.TB, parts map[string]any) *image.Config {
	t.Helper()
	data, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	var c image.Config
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func config(key string, value any) map[string]any {
	return map[string]any{"config": map[string]any{key: value}}
}

func history(steps ...string) map[string]any {
	var list []map[string]any
	for _, s := range steps {
		list = append(list, map[string]any{"created_by": s})
	}
	return map[string]any{"history": list}
}

// TestConfig: what each part of a configuration says, and its twin does not.
func TestConfig(t *testing.T) {
	m := newMade()
	word, pat, aws := m.of(base62, 12), "gh"+"p_"+m.of(base62, 36), "AK"+"IA"+m.of(upper, 16)
	for name, c := range map[string]struct {
		parts map[string]any
		value string
		want  string // rule and place of each
		twin  map[string]any
	}{
		"a name": {config("Env", []string{"PATH=/bin", "DB_PASSWORD=" + word}), word, "named-secret env DB_PASSWORD",
			config("Env", []string{"PATH=/usr/local/sbin:/bin", "DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD=", "API_TOKEN=${TOKEN}", "DB_PASSWORD=changeme"})},
		"a form":                  {config("Env", []string{"X=" + pat}), pat, "github-pat env X", config("Env", []string{"X=ghp_", "GPG_KEY=" + strings.ToUpper(m.of(hex16, 40)), "PYTHON_SHA256=" + m.of(hex16, 64)})},
		"a name that is a secret": {config("Env", []string{pat + "=1", "A" + word + "_TOKEN=" + word}), pat, "named-secret env 2, github-pat env 1", config("Env", []string{"A=1"})},
		"a URL":                   {config("Env", []string{"DATABASE_URL=postgres://ana:" + word + "@db/x"}), word, "command-secret env DATABASE_URL", config("Env", []string{"DATABASE_URL=postgres://ana:${PASSWORD}@db/x", "U=https://db/x"})},
		"a label":                 {config("Labels", map[string]string{"a": "b", "deploy.token": word}), word, "named-secret label deploy.token", config("Labels", map[string]string{"maintainer": "ana <ana@example.org>", "org.opencontainers.image.title": "keeps tokens"})},
		"an entrypoint":           {config("Entrypoint", []string{"srv", "--api-key", word}), word, "command-secret entrypoint", config("Entrypoint", []string{"srv", "--token-file", "/run/token"})},
		"a command":               {config("Cmd", []string{"sh", "-c", "redis-server --requirepass " + word}), word, "command-secret command", config("Cmd", []string{"sh", "-c", "redis-server --requirepass $PASSWORD"})},
		"a healthcheck": {config("Healthcheck", map[string]any{"Test": []string{"CMD-SHELL", "curl -u ana:" + word + " http://localhost/"}}), word, "curl-auth-user healthcheck",
			config("Healthcheck", map[string]any{"Test": []string{"CMD-SHELL", "curl -u ana:$PASSWORD http://localhost/"}})},
		"a trigger":                {config("OnBuild", []string{"RUN TOKEN=" + word + " make"}), word, "named-secret trigger 1", config("OnBuild", []string{"RUN make"})},
		"a step":                   {history("ADD a", "RUN /bin/sh -c AWS="+aws+" make # buildkit"), aws, "aws-access-token history step 2", history("RUN /bin/sh -c AWS=$AWS make # buildkit")},
		"a build argument":         {history("|1 NPM_TOKEN=" + word + " /bin/sh -c npm ci"), word, "named-secret history step 1", history("|1 VERSION=1.2.3 /bin/sh -c npm ci", "RUN --mount=type=secret,id=npm /bin/sh -c npm ci")},
		"a value that was changed": {history("ENV DB_PASSWORD=" + word), word, "named-secret history step 1", history("ENV DB_PASSWORD=${DB_PASSWORD}")},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDetector(t, Options{})
			found := d.Config(configOf(t, c.parts))
			var got []string
			for _, s := range found.Secrets {
				got = append(got, s.Rule+" "+s.Where)
				if s.Layer != -1 || !s.Likely || s.Path != "" || s.What == "" || len(s.Fingerprint) != 16 {
					t.Errorf("it is %+v", s)
				}
			}
			want := strings.Split(c.want, ", ")
			for _, w := range want {
				if !strings.Contains(strings.Join(got, ", "), w) {
					t.Errorf("found %q, want %q", got, want)
				}
			}
			if len(got) != len(want) || found.Unread != "" {
				t.Errorf("found %q, want %q (%s)", got, want, found.Unread)
			}
			silent(t, found, c.value)
			silent(t, found, word)
			if found := d.Config(configOf(t, c.twin)); len(found.Secrets) > 0 {
				t.Errorf("its twin: %+v", found)
			}
		})
	}
}

// TestToldOnce: a step that gives a variable its value is not told of beside the variable;
// one that gave it another is.
func TestToldOnce(t *testing.T) {
	m := newMade()
	d := newDetector(t, Options{})
	now, before := m.of(base62, 14), m.of(base62, 14)
	parts := history("ENV DB_PASSWORD="+before, "ENV DB_PASSWORD="+now)
	parts["config"] = map[string]any{"Env": []string{"DB_PASSWORD=" + now}}
	found := d.Config(configOf(t, parts))
	if len(found.Secrets) != 2 || found.Secrets[0].Where != "env DB_PASSWORD" || found.Secrets[1].Where != "history step 1" {
		t.Errorf("found %+v", found)
	}
}

// TestLongText: what is cut off a text is told of.
func TestLongText(t *testing.T) {
	d := newDetector(t, Options{})
	for n, want := range map[int]string{maxText: "", maxText + 1: "only the first 262144 of 262145 bytes of history step 1 were read"} {
		if found := d.Config(configOf(t, history(strings.Repeat("a", n)))); found.Unread != want {
			t.Errorf("%d bytes: %q", n, found.Unread)
		}
	}
	if found := d.Config(configOf(t, config("Env", []string{"A=" + strings.Repeat("a", maxText+1)}))); found.Unread == "" {
		t.Error("a variable is cut without a word")
	}
}

// FuzzConfig: a value that is given to a name is told of in each place, and is in nothing
// that is told, whatever is around it.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"", "make && ", "|2 A=b ", "[\"", "'", "curl -u ", "ENV "} {
		f.Add(s, s)
	}
	m := newMade()
	value := m.of(base62, 14)
	d, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if shares(before+after, value) || len(before)+len(after) > maxText/2 {
			t.Skip()
		}
		parts := history(before + "\nDB_PASSWORD=" + value + " " + after)
		parts["config"] = map[string]any{"Env": []string{"DB_PASSWORD=" + value, before + "=" + after}, "Labels": map[string]string{"db.password": value, before: after}, "Cmd": []string{before, "--password", value, after}}
		found := d.Config(configOf(t, parts))
		silent(t, found, value)
		var env, label bool
		for _, s := range found.Secrets {
			env, label = env || s.Where == "env DB_PASSWORD", label || s.Where == "label db.password"
		}
		if !env || !label && before != "db.password" {
			t.Errorf("found %+v", found)
		}
	})
}
