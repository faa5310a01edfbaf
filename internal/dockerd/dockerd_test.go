package dockerd

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// given is what settings say, an option a word: name=value,value@origin.
func given(all []Setting) string {
	var words []string
	for _, s := range all {
		words = append(words, s.Name+"="+strings.Join(s.Values, ",")+"@"+s.Origin.String())
	}
	return strings.Join(words, "; ")
}

func TestParseCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"dockerd":                                 "",
		"dockerd --icc=false":                     "icc=false@--icc on the command line",
		"dockerd --icc=0 --tlsverify":             "icc=false@--icc on the command line; tlsverify=true@--tlsverify on the command line",
		"dockerd -H unix:///a -Hfd:// -H=tcp://b": "hosts=unix:///a@-H on the command line; hosts=fd://@-H on the command line; hosts=tcp://b@-H on the command line",
		"dockerd --host tcp://c:2375":             "hosts=tcp://c:2375@--host on the command line",
		"dockerd -Dl debug":                       "debug=true@-D on the command line; log-level=debug@-l on the command line",
		"dockerd -D=false":                        "debug=false@-D on the command line",
		"dockerd --default-ulimit nofile=64":      "default-ulimits=nofile=64:64@--default-ulimit on the command line",
		"dockerd --default-ulimit nofile=64:128":  "default-ulimits=nofile=64:128@--default-ulimit on the command line",
		"dockerd --log-opt labels=a,b":            "log-opts=labels=a,b@--log-opt on the command line",
		"dockerd --config-file /x":                "config-file=/x@--config-file on the command line",
		"dockerd --of-tomorrow --icc=false":       "of-tomorrow=@--of-tomorrow on the command line; icc=false@--icc on the command line",
		"dockerd --of-tomorrow x --icc=false":     "of-tomorrow=x@--of-tomorrow on the command line; icc=false@--icc on the command line",
		"dockerd --exec-opt -x":                   "exec-opts=-x@--exec-opt on the command line",
	} {
		all, err := ParseCommandLine(strings.Fields(line), "")
		if got := given(all); err != nil || got != want {
			t.Errorf("%s: %v\n%s, want\n%s", line, err, got, want)
		}
	}
	for line, want := range map[string]string{
		"dockerd daemon":      `word 2 of the daemon's command line, "daemon", is no flag`,
		"dockerd --icc false": `word 3 of the daemon's command line, "false", is no flag`,
		"dockerd --icc=maybe": `the daemon's flag --icc is "maybe", not true or false`,
		"dockerd --host":      "the daemon's flag --host has no value",
		"dockerd -H":          "the daemon's flag -H has no value",
		"dockerd -X":          "the daemon's flag -X is not known",
		"dockerd --":          `word 2 of the daemon's command line, "--", is no flag`,
	} {
		if all, err := ParseCommandLine(strings.Fields(line), ""); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %s", line, err, given(all))
		}
	}
}

func TestParseFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		" \n":                                "",
		"{}":                                 "",
		"\xef\xbb\xbf{\"icc\": false}":       "icc=false@f",
		`{"hosts": ["unix:///a", "fd://"]}`:  "hosts=unix:///a,fd://@f",
		`{"mtu": 1400, "log-level": "warn"}`: "mtu=1400@f; log-level=warn@f",
		`{"log-opts": {"max-size": "1m"}}`:   "log-opts=max-size=1m@f",
		`{"features": {"buildkit": true}}`:   "features=buildkit=true@f",
		`{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 128, "Soft": 64}}}`: "default-ulimits=nofile=64:128@f",
		`{"default-ulimits": {"nofile": {"hard": 128}}}`:                               "default-ulimits=nofile=0:128@f",
		`{"default-ulimits": {"nofile": {"sOFT": 64, "HARD": 128, "x": "y"}}}`:         "default-ulimits=nofile=64:128@f",
		`{"log-opts": {"max-size": null}}`:                                             "log-opts=max-size=@f",
		`{"features": {"buildkit": null}, "default-ulimits": {"nofile": null}}`:        "features=buildkit=false@f; default-ulimits=nofile=0:0@f",
		`{"runtimes": {"x": {"path": "/x"}}}`:                                          `runtimes={"x": {"path": "/x"}}@f`,
		`{"icc": null, "iccc": 1}`:                                                     "icc=true@f; iccc=@f",
		`{"config-file": "/x"}`:                                                        "config-file=@f",
	} {
		all, err := ParseFile("f", []byte(text))
		if got := given(all); err != nil || got != want {
			t.Errorf("%s: %v\n%s, want\n%s", text, err, got, want)
		}
	}
	for text, want := range map[string]string{
		`[]`:                                             "f line 1, column 1: it is no object",
		`{"icc": "false"}`:                               "f line 1, column 9: icc is neither true nor false",
		"{\n\"icc\": false,\n\"icc\": true}":             "f line 3: ",
		`{"hosts": "fd://"}`:                             "f line 1, column 11: hosts is no list",
		`{"hosts": [1]}`:                                 "f line 1, column 12: hosts is a list of texts, and this is none",
		`{"log-opts": []}`:                               "f line 1, column 14: log-opts is no object",
		"{\n\"log-opts\": {\"max-size\": 10}}":           "f line 2: log-opts has text for each key, and this is a number",
		`{"default-ulimits": {"nofile": 1}}`:             "f line 1, column 32: default-ulimits has an object for each key, and this is a number",
		`{"default-ulimits": {"nofile": {"Soft": "1"}}}`: "f line 1, column 41: a limit of default-ulimits is a whole number, and this is none",
		`{"features": {"buildkit": "true"}}`:             "f line 1, column 27: features has true or false for each key, and this is text",
		`{"icc": 0}`:                                     "f line 1, column 9: icc is neither true nor false",
		`{"bip": {}}`:                                    "f line 1, column 9: bip is one value",
		`{"icc": true,}`:                                 "f line 1",
	} {
		if all, err := ParseFile("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, %s", text, err, given(all))
		}
	}
}

func TestMerge(t *testing.T) {
	line, err := ParseCommandLine(strings.Fields("dockerd --icc=false --label a --label b --log-opt x=1 --log-opt x=2 --log-level warn --log-level error --mtu 9"), "")
	if err != nil {
		t.Fatal(err)
	}
	file, err := ParseFile("/etc/docker/daemon.json", []byte(`{"icc": true, "live-restore": true, "dns": ["1.1.1.1"], "mtu": 8, "iccc": true, "config-file": "/x"}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Merge(line, file)
	if c.Bool("icc") || !c.Bool("live-restore") || !c.Bool("userland-proxy") || c.Text("log-level") != "error" || c.Text("log-driver") != "json-file" {
		t.Errorf("%+v", c)
	}
	for name, want := range map[string]string{"icc": "--icc on the command line", "live-restore": "/etc/docker/daemon.json", "userland-proxy": "default"} {
		if got := c.Get(name).Origin.String(); got != want {
			t.Errorf("%s is set by %q, want %q", name, got, want)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, c.List("labels")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"x": "2"}, c.Map("log-opts")); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(c.Conflicts, []string{"icc", "mtu"}) || !slices.Equal(c.Unknown, []string{"config-file", "iccc"}) || c.IsSet("iptables") || !c.IsSet("dns") {
		t.Errorf("conflicts %q, unknown %q", c.Conflicts, c.Unknown)
	}
	if got := c.List("hosts"); got == nil || len(got) > 0 {
		t.Errorf("hosts: %#v", got)
	}
}

// Every flag of the real daemon is known, as one of true and false or as one with
// a value, and so is each default that it names.
func TestFlagsOfTheRealDaemon(t *testing.T) {
	program, err := exec.LookPath("dockerd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	help, err := exec.Command(program, "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-(\w), )?--([\w-]+)( [\w-]+)?(?:  |$)`).FindAllStringSubmatch(string(help), -1) {
		short, flag, typ := m[1], m[2], m[3]
		if flag == "help" || flag == "version" {
			continue
		}
		flags++
		o := index().flags["--"+flag]
		if o == nil {
			t.Errorf("--%s is not known", flag)
			continue
		}
		if (typ == "") != (o.Kind == Bool) || (typ == " list") != (o.Kind == List) && o.Key != "node-generic-resources" && o.Key != "storage-opts" {
			t.Errorf("--%s takes%s, and is kind %d here", flag, typ, o.Kind)
		}
		if short != "" && o.Short != short {
			t.Errorf("--%s is -%s", flag, short)
		}
	}
	if flags < 70 {
		t.Errorf("found %d flags in the help", flags)
	}
	text := strings.Join(strings.Fields(string(help)), " ")
	for _, o := range Options {
		if o.Kind == Bool && o.Flag != "" && slices.Equal(o.Default, on) && strings.Contains(text, "--"+o.Flag+" ") {
			part, _, _ := strings.Cut(strings.SplitN(text, "--"+o.Flag+" ", 2)[1], " --")
			if !strings.Contains(part, "(default true)") {
				t.Errorf("--%s is not on by default: %s", o.Flag, part)
			}
		}
	}
}

// What a file says is found in what is made of it, and a flag of the same is before it.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte(`{"icc": false, "hosts": ["fd://"], "log-opts": {"a": "b"}, "x": {}}`))
	f.Add([]byte("\xef\xbb\xbf{\"default-ulimits\": {\"nofile\": {\"Name\": \"nofile\", \"Hard\": 1}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseFile("f", data)
		if err != nil {
			return
		}
		c := Merge(nil, file)
		seen := map[string]bool{}
		for _, s := range file {
			if seen[s.Name] {
				t.Fatalf("%q is twice in %q", s.Name, data)
			}
			seen[s.Name] = true
			if known := !slices.Contains(c.Unknown, s.Name); known && (!c.IsSet(s.Name) || c.Get(s.Name).Origin.File != "f") {
				t.Fatalf("%q is lost: %+v", s.Name, c)
			}
		}
		flags := []Setting{{Name: "icc", Values: off, Origin: Origin{Flag: "--icc"}}}
		if c := Merge(flags, file); c.Bool("icc") || slices.Contains(c.Conflicts, "icc") != seen["icc"] {
			t.Fatalf("icc is on: %+v", c)
		}
	})
}

// Each flag comes back from what was read of it.
func FuzzParseCommandLine(f *testing.F) {
	f.Add("dockerd\x00--icc=false\x00-H\x00fd://\x00--default-ulimit\x00nofile=1")
	f.Add("dockerd\x00-DHtcp://x\x00--later\x00y")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, "\x00")
		all, err := ParseCommandLine(words, "")
		if err != nil {
			return
		}
		var again []string
		for _, s := range all {
			again = append(again, s.Origin.Flag+"="+s.Values[0])
		}
		more, err := ParseCommandLine(append([]string{"dockerd"}, again...), "")
		if err != nil || given(more) != given(all) {
			t.Fatalf("%q: %v\n%s\n%s", words, err, given(all), given(more))
		}
	})
}

func TestRuntimes(t *testing.T) {
	for value, want := range map[string]string{
		"":        "",
		"crun=/c": "/c",
		"crun":    "",
		` {"a": {"path": "/a"}, "b": {"Path": "b", "runtimeArgs": ["/x"]}}`:                                "/a b",
		`{"c": {"PATH": "/c"}, "d": {"RuntimeType": "/d"}, "e": {"runtimeType": "io.containerd.runc.v2"}}`: "/c /d",
		`{"f": 1, "g": {"path": 1}, "h": {"path": ""}}`:                                                    "",
	} {
		got, err := Runtimes([]string{value})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", value, got, err)
		}
	}
	if _, err := Runtimes([]string{"{"}); err == nil {
		t.Error("what is malformed is taken")
	}
}

func TestBuilderEntitlements(t *testing.T) {
	for object, want := range map[string]string{
		"":                          "network.host",
		`{"gc": {"enabled": true}}`: "network.host",
		`{"entitlements": {"security-insecure": true}}`:                                "network.host security.insecure",
		`{"entitlements": {"network-host": false, "security-insecure": true}, "x": 1}`: "security.insecure",
		`{"Entitlements": {"Security-Insecure": true}}`:                                "network.host security.insecure",
		`{"entitlements": {"network-host": false}}`:                                    "",
	} {
		got, err := BuilderEntitlements(object)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", object, got, err)
		}
	}
	if _, err := BuilderEntitlements(`{"entitlements": 1}`); err == nil {
		t.Error("a number is taken")
	}
}
