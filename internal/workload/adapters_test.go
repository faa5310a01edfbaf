package workload

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everything is a create body in which every field that reaches the Spec has a
// value that is not the default.
func everything(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/everything-create.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEveryFieldIsSetOrUnseen: whatever the Spec has, an adapter fills from a
// source that says everything, or lists as unseen. A new field fails here until
// each adapter has been taught one or the other.
func TestEveryFieldIsSetOrUnseen(t *testing.T) {
	create, err := FromCreate("web", everything(t), Surroundings{EnvKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/everything-inspect.json")
	if err != nil {
		t.Fatal(err)
	}
	inspect, execs, err := FromInspect(data, Surroundings{EnvKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	if len(execs) != 1 {
		t.Errorf("execs: %v", execs)
	}
	for _, tc := range []struct {
		name string
		spec Spec
		// zero are the fields that another field's value forces to be zero: a
		// tag leaves no digest, --privileged no masks and no labels of its own,
		// --userns host no remapping, and /dev/fuse gives nothing of the host.
		zero []string
	}{
		{"create", create, []string{"devices[0].exposes", "healthcheck.disabled", "image.digest", "masked_paths", "readonly_paths", "selinux_disabled", "userns_remapped"}},
		{"inspect", inspect, []string{"devices[0].exposes", "healthcheck.disabled", "image.digest", "masked_paths", "readonly_paths", "selinux_disabled", "userns_remapped", "mounts[0].from"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, path := range zeroFields(reflect.ValueOf(tc.spec), "") {
				if slices.Contains(tc.zero, path) || covers(tc.spec.Unseen, path) {
					continue
				}
				t.Errorf("%s is neither set nor unseen", path)
			}
		})
	}
}

// zeroFields are the paths of fields that have their zero value; of a list one
// element with a value is enough.
func zeroFields(v reflect.Value, path string) []string {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		if v.Interface().(time.Time).IsZero() {
			return []string{path}
		}
	case v.Kind() == reflect.Struct:
		var zero []string
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("json")
			if name == "-" {
				continue
			}
			at := name
			if path != "" {
				at = path + "." + name
			}
			zero = append(zero, zeroFields(v.Field(i), at)...)
		}
		return zero
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
		// A field must be set in one of the elements.
		always := zeroFields(v.Index(0), path+"[0]")
		for i := 1; i < v.Len(); i++ {
			here := zeroFields(v.Index(i), path+"[0]")
			always = slices.DeleteFunc(always, func(p string) bool { return !slices.Contains(here, p) })
		}
		return always
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		if v.Len() == 0 {
			return []string{path}
		}
	case v.IsZero():
		return []string{path}
	}
	return nil
}

// covers is true when path or something around it is unseen.
func covers(unseen []Unseen, path string) bool {
	plain := strings.ReplaceAll(path, "[0]", "")
	for _, u := range unseen {
		at := strings.TrimSuffix(u.Path, Open)
		for i := range 9 {
			at = strings.ReplaceAll(at, fmt.Sprintf("[%d]", i), "")
		}
		if plain == at || strings.HasPrefix(plain, at+".") {
			return true
		}
	}
	return false
}

// TestListsAreNeverNil: a list that nothing is in is empty, in every form, so
// that facts never say null.
func TestListsAreNeverNil(t *testing.T) {
	create, err := FromCreate("", []byte(`{"Image":"a"}`), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	inspect, _, err := FromInspect([]byte(`{"Id":"x","Name":"/a","Config":{"Image":"a"}}`), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Spec{"create": create, "inspect": inspect} {
		v := reflect.ValueOf(s)
		for i := range v.NumField() {
			f := v.Field(i)
			if (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.IsNil() {
				t.Errorf("%s: %s is nil", name, v.Type().Field(i).Name)
			}
		}
	}
}

// TestFormsAgree: what a create body asks for and what the engine's inspect
// answer says of the container made from it is the same, where both can tell.
func TestFormsAgree(t *testing.T) {
	create, err := FromCreate("web", everything(t), Surroundings{EnvKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/everything-inspect.json")
	if err != nil {
		t.Fatal(err)
	}
	inspect, _, err := FromInspect(data, Surroundings{EnvKey: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Spec{&create, &inspect} {
		s.Origin, s.ID, s.Live, s.Unseen, s.Image.ID = "", "", Live{}, nil, ""
	}
	for i := range inspect.Ports { // --publish-all leaves this one to the engine
		if p := &inspect.Ports[i]; p.HostPort == 49153 {
			p.HostIP, p.HostPort, p.HostPortEnd = "", 0, 0
		}
	}
	if diff := cmp.Diff(create, inspect); diff != "" {
		t.Errorf("create (-) and inspect (+) differ:\n%s", diff)
	}
}

// TestSpellings: spellings of one thing are one Spec.
func TestSpellings(t *testing.T) {
	for name, bodies := range map[string][]string{
		"capabilities": {`{"HostConfig":{"CapAdd":["net_admin","CAP_SYS_PTRACE"]}}`, `{"HostConfig":{"CapAdd":["CAP_sys_ptrace","NET_ADMIN","NET_ADMIN"]}}`},
		"all":          {`{"HostConfig":{"CapDrop":["all"]}}`, `{"HostConfig":{"CapDrop":["CAP_ALL"]}}`, `{"HostConfig":{"CapDrop":["ALL"]}}`},
		"root":         {`{"User":"0"}`, `{"User":"root"}`, `{"User":"00"}`, `{"User":"+0"}`},
		"root's group": {`{"User":"0:0"}`, `{"User":"root:root"}`, `{"User":"0000:0"}`, `{"User":":0"}`},
		"a number":     {`{"User":"1000"}`, `{"User":"01000"}`},
		"a bind": {`{"HostConfig":{"Binds":["/run/../var//run/docker.sock:/s/"]}}`, `{"HostConfig":{"Binds":["/var/run/docker.sock:/s:rw"]}}`,
			`{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/var/run/docker.sock","Target":"/s"}]}}`,
			`{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/var/run/./docker.sock","Target":"//s","BindOptions":{"Propagation":"rprivate"}}]}}`},
		"a volume":       {`{"HostConfig":{"Binds":["data:/d"]}}`, `{"HostConfig":{"Mounts":[{"Type":"volume","Source":"data","Target":"/d"}]}}`},
		"no limit":       {`{"HostConfig":{"PidsLimit":0}}`, `{"HostConfig":{"PidsLimit":-1}}`, `{"HostConfig":{"PidsLimit":null}}`, `{}`},
		"processors":     {`{"HostConfig":{"NanoCpus":1500000000}}`, `{"HostConfig":{"CpuQuota":150000}}`, `{"HostConfig":{"CpuQuota":150000,"CpuPeriod":100000}}`},
		"an option":      {`{"HostConfig":{"SecurityOpt":["no-new-privileges"]}}`, `{"HostConfig":{"SecurityOpt":["no-new-privileges:true"]}}`, `{"HostConfig":{"SecurityOpt":["no-new-privileges=1"]}}`},
		"a network":      {`{"HostConfig":{"NetworkMode":"default"}}`, `{"HostConfig":{"NetworkMode":"bridge"}}`, `{}`},
		"a port":         {`{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}`, `{"HostConfig":{"PortBindings":{"80":[{"HostPort":"08080"}]}}}`, `{"HostConfig":{"PortBindings":{"80/TCP":[{"HostIp":"","HostPort":"8080"}]}}}`},
		"a health check": {`{"Healthcheck":{"Test":["NONE"]}}`, `{"Healthcheck":{"Test":["NONE"],"Retries":0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var first Spec
			for i, body := range bodies {
				s, err := FromCreate("web", []byte(body), Surroundings{})
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				if i == 0 {
					first = s
				} else if diff := cmp.Diff(first, s); diff != "" {
					t.Errorf("%s and %s:\n%s", bodies[0], body, diff)
				}
			}
		})
	}
}

func TestReferences(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for ref, want := range map[string]Image{
		"nginx":                    {Name: "docker.io/library/nginx", Tag: "latest"},
		"nginx:1.27":               {Name: "docker.io/library/nginx", Tag: "1.27"},
		"me/app":                   {Name: "docker.io/me/app", Tag: "latest"},
		"docker.io/nginx":          {Name: "docker.io/library/nginx", Tag: "latest"},
		"index.docker.io/me/app:2": {Name: "docker.io/me/app", Tag: "2"},
		"localhost/app":            {Name: "localhost/app", Tag: "latest"},
		"reg.example:5000/a/b:t":   {Name: "reg.example:5000/a/b", Tag: "t"},
		"reg.example:5000/a/b":     {Name: "reg.example:5000/a/b", Tag: "latest"},
		"nginx@sha256:" + id:       {Name: "docker.io/library/nginx", Digest: "sha256:" + id},
		"nginx:1@sha256:" + id:     {Name: "docker.io/library/nginx", Tag: "1", Digest: "sha256:" + id},
		"sha256:" + id:             {},
		id:                         {},
		"":                         {},
	} {
		want.Ref = ref
		if diff := cmp.Diff(want, parseReference(ref)); diff != "" {
			t.Errorf("%s:\n%s", ref, diff)
		}
	}
}

func TestExposes(t *testing.T) {
	for path, want := range map[string]string{
		"/var/run/docker.sock": "engine-socket", "/run/user/1000/docker.sock": "engine-socket", "/run/user": "engine-socket",
		"/run": "engine-data engine-socket run runtime-socket system-bus", "/run/dbus": "system-bus", "/run/udev/rules.d": "schedules", "/run/systemd/system/x.service": "schedules", "/run/udev": "", "/srv/data": "", "/etc/localtime": "", "/etc/ssl/certs/ca.pem": "",
		"/etc": "host-keys schedules system-config", "/etc/passwd": "system-config", "/etc/ssh/sshd_config": "host-keys system-config",
		"/home/ana/.ssh": "homes host-keys", "/home": "homes host-keys", "/dev/sda": "devices", "/var/lib/docker/volumes": "engine-data",
		"/var": "engine-data host-keys logs schedules var", "/proc/sys": "proc", "/usr/bin": "programs", "/etcetera": "", "/runner": "",
		"/dev": "devices", "/dev/null": "", "/dev/log": "", "/dev/logger": "devices", "/dev/./urandom": "", "/dev/shm": "devices",
	} {
		if got := strings.Join(exposes(path), " "); got != want {
			t.Errorf("%s exposes %q, want %q", path, got, want)
		}
	}
	all := exposes("/")
	for _, place := range hostPlaces {
		if !slices.Contains(all, place.name) {
			t.Errorf("/ does not expose %s", place.name)
		}
	}
}

// An engine's own places count beside the usual ones, and only for it.
func TestExposesOfAnEngine(t *testing.T) {
	around := Surroundings{DataRoot: "/srv/docker/", Sockets: []string{"/var/run/agent/engine.sock"}}
	for path, want := range map[string]string{
		"/srv/docker": "engine-data", "/srv/docker/volumes": "engine-data", "/srv": "engine-data", "/srv/dockers": "",
		"/run/agent/engine.sock": "engine-socket", "/run/agent": "engine-socket", "/run/agent/other.sock": "",
		"/var/lib/docker": "engine-data", "/run/docker.sock": "engine-socket", "/home": "homes host-keys",
	} {
		if got := strings.Join(around.exposes(path), " "); got != want {
			t.Errorf("%s exposes %q, want %q", path, got, want)
		}
	}
	for _, root := range []string{"", "/"} {
		if got := (&Surroundings{DataRoot: root}).exposes("/srv"); len(got) > 0 {
			t.Errorf("with a data root of %q, /srv exposes %v", root, got)
		}
	}
}

func TestLocalVolumes(t *testing.T) {
	for _, tc := range []struct {
		options map[string]string
		paths   string
		places  string
	}{
		{nil, "", ""},
		{map[string]string{"type": "none", "o": "bind", "device": "/"}, "/", ""},
		{map[string]string{"o": "ro, rbind", "device": "/etc//"}, "/etc", ""},
		{map[string]string{"type": "overlay", "o": "lowerdir=/a:/etc,upperdir=/u,workdir=/w", "device": "overlay"}, "/a /etc /u /w", ""},
		{map[string]string{"type": "overlay", "o": `lowerdir+=/e\tc,datadir+=/u`, "device": "overlay"}, "/etc /u", ""},
		{map[string]string{"type": "ecryptfs", "device": "/home/ana"}, "/home/ana", ""},
		{map[string]string{"type": "ext4", "device": "/dev/sda1"}, "/dev/sda1", "block-device"},
		{map[string]string{"type": "proc", "device": "proc"}, "", "proc"},
		{map[string]string{"type": "sysfs", "device": "sysfs"}, "", "sys"},
		{map[string]string{"type": "binfmt_misc", "device": "binfmt_misc"}, "", "proc"},
		{map[string]string{"type": "cpuset", "device": "cpuset"}, "", "sys"},
		{map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, "", ""},
		{map[string]string{"type": "nfs", "o": "addr=10.0.0.1", "device": ":/export"}, "", ""},
	} {
		paths, places := localVolumePaths(tc.options)
		if strings.Join(paths, " ") != tc.paths || strings.Join(places, " ") != tc.places {
			t.Errorf("%v: %v %v", tc.options, paths, places)
		}
	}
}

func TestReadOnlyVolumes(t *testing.T) {
	for o, want := range map[string]bool{"": false, "bind,ro": true, "ro, bind": true, "bind,rw": false, "ro,rw": false, "bind,rom": false} {
		if got := readOnlyVolume(map[string]string{"type": "none", "o": o}); got != want {
			t.Errorf("%q: %v", o, got)
		}
	}
	for o, want := range map[string]bool{"lowerdir=/a:/b": true, "lowerdir=/a,upperdir=/u,workdir=/w": false} {
		if got := readOnlyVolume(map[string]string{"type": "overlay", "o": o}); got != want {
			t.Errorf("%q: %v", o, got)
		}
	}
}

func TestBoundingSet(t *testing.T) {
	for _, tc := range []struct {
		privileged bool
		add, drop  string
		size       int
		has, lacks string
	}{
		{false, "", "", 14, "CAP_NET_RAW", "CAP_SYS_ADMIN"},
		{false, "CAP_SYS_ADMIN", "CAP_NET_RAW", 14, "CAP_SYS_ADMIN", "CAP_NET_RAW"},
		{false, "ALL", "CAP_SYS_ADMIN", 40, "CAP_BPF", "CAP_SYS_ADMIN"},
		{false, "CAP_CHOWN", "ALL", 1, "CAP_CHOWN", "CAP_KILL"},
		{false, "", "ALL", 0, "", "CAP_CHOWN"},
		{true, "", "ALL", 41, "CAP_SYS_ADMIN", ""},
	} {
		got := boundingSet(tc.privileged, strings.Fields(tc.add), strings.Fields(tc.drop))
		if len(got) != tc.size || tc.has != "" && !slices.Contains(got, tc.has) || slices.Contains(got, tc.lacks) {
			t.Errorf("%+v: %v", tc, got)
		}
	}
	if got := CapabilitySet(1<<21 | 1<<45); !slices.Equal(got, []string{"CAP_45", "CAP_SYS_ADMIN"}) {
		t.Errorf("mask: %v", got)
	}
}

// TestSystemPaths: null is the engine's list, [] is none, and a list that lacks
// what every engine masks is neither.
func TestSystemPaths(t *testing.T) {
	base := `["` + strings.Join(baseMaskedPaths, `","`) + `","/proc/more"]`
	readonly := `["` + strings.Join(baseReadonlyPaths, `","`) + `"]`
	for body, want := range map[string]string{
		`{}`: "default",
		`{"HostConfig":{"MaskedPaths":null,"ReadonlyPaths":null}}`:                        "default",
		`{"HostConfig":{"MaskedPaths":[],"ReadonlyPaths":[]}}`:                            "unconfined",
		`{"HostConfig":{"MaskedPaths":` + base + `,"ReadonlyPaths":` + readonly + `}}`:    "default",
		`{"HostConfig":{"MaskedPaths":["/proc/kcore"],"ReadonlyPaths":` + readonly + `}}`: "custom",
		`{"HostConfig":{"MaskedPaths":` + base + `,"ReadonlyPaths":[]}}`:                  "custom",
		`{"HostConfig":{"Privileged":true}}`:                                              "unconfined",
	} {
		s, err := FromCreate("", []byte(body), Surroundings{})
		if err != nil {
			t.Fatal(err)
		}
		if s.SystemPaths != want {
			t.Errorf("%s: %s, want %s", body, s.SystemPaths, want)
		}
	}
}

// TestPublishAllLive: of a container that does not run, the ports that it will have
// are known, and not where.
func TestPublishAllLive(t *testing.T) {
	const body = `{"Id":"x","Name":"/a","Config":{"Image":"a","ExposedPorts":{"80/tcp":{},"443/tcp":{}}},
		"HostConfig":{"PublishAllPorts":true,"PortBindings":{"443/tcp":[{"HostIp":"127.0.0.1","HostPort":"8443"}]}},"NetworkSettings":{"Ports":%s}}`
	asked := []Port{{HostIP: "127.0.0.1", HostPort: 8443, HostPortEnd: 8443, ContainerPort: 443, Protocol: "tcp"}}
	for bound, want := range map[string][]Port{
		`{}`: {{ContainerPort: 80, Protocol: "tcp"}, asked[0]},
		`{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"49153"}],"443/tcp":[{"HostIp":"127.0.0.1","HostPort":"8443"}]}`: {
			{HostIP: "0.0.0.0", HostPort: 49153, HostPortEnd: 49153, ContainerPort: 80, Protocol: "tcp"}, asked[0]},
	} {
		s, _, err := FromInspect(fmt.Appendf(nil, body, bound), Surroundings{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.Ports); diff != "" {
			t.Errorf("bound %s (-want +got):\n%s", bound, diff)
		}
		if hidden := toSeen(t, s).hidden("ports[0].host_ip"); hidden != (want[0].HostIP == "") {
			t.Errorf("bound %s: the address is unseen: %t", bound, hidden)
		}
	}
}

func TestWritableCgroups(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: false,
		`{"HostConfig":{"SecurityOpt":["writable-cgroups=true"]}}`:                          true,
		`{"HostConfig":{"SecurityOpt":["writable-cgroups:1"]}}`:                             true,
		`{"HostConfig":{"SecurityOpt":["writable-cgroups=true","writable-cgroups=false"]}}`: false,
		`{"HostConfig":{"Privileged":true}}`:                                                true,
		`{"HostConfig":{"Privileged":true,"SecurityOpt":["writable-cgroups=false"]}}`:       false,
	} {
		s, err := FromCreate("", []byte(body), Surroundings{})
		if err != nil || s.WritableCgroups != want || len(s.UnknownFields) > 0 {
			t.Errorf("%s: %v, want %v; unknown %v, %v", body, s.WritableCgroups, want, s.UnknownFields, err)
		}
	}
	for _, remaps := range []bool{false, true} {
		body := []byte(`{"HostConfig":{"UsernsMode":"host"}}`)
		s, err := FromCreate("", body, Surroundings{Daemon: &Daemon{UsernsRemap: remaps}})
		if err != nil || s.WritableCgroups != remaps {
			t.Errorf("the engine remaps users: %v; %v, %v", remaps, s.WritableCgroups, err)
		}
	}
	if s, err := FromCreate("", []byte(`{"HostConfig":{"UsernsMode":"host"}}`), Surroundings{}); err != nil || !toSeen(t, s).hidden("writable_cgroups") {
		t.Errorf("without an engine: %v, %v", s.WritableCgroups, err)
	}
}

// TestTakenOverMounts: the engine lists what came from other containers.
func TestTakenOverMounts(t *testing.T) {
	s, _, err := FromInspect(answerWith(t, func(b *InspectBody) {
		b.HostConfig.VolumesFrom = []string{"db"}
		b.Mounts = []MountPoint{{Type: "bind", Source: "/srv", Destination: "/in", Propagation: "rprivate"}}
	}), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Mounts) != 1 || s.Mounts[0].From != "db" || s.Mounts[0].Source != "/srv" || !s.Mounts[0].ReadOnly {
		t.Errorf("%+v", s.Mounts)
	}
	if covers(s.Unseen, "mounts") {
		t.Errorf("still unseen: %v", s.Unseen)
	}
}

func TestBadBodies(t *testing.T) {
	for body, want := range map[string]string{
		`{"Image":"a","HostConfig":{"Memory":"1g"}}`:                                "HostConfig.Memory",
		`{"Image":"a","Image":"b"}`:                                                 "Image",
		`{"Image":"a"}{}`:                                                           "line 1",
		`{"Image":"a","HostConfig":{"Binds":["nowhere"]}}`:                          `"nowhere"`,
		`{"Image":"a","HostConfig":{"PortBindings":{"99999/tcp":[{}]}}}`:            "99999",
		`{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}`: `"x"`,
	} {
		if _, err := FromCreate("", []byte(body), Surroundings{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s in it", body, err, want)
		}
	}
	s, err := FromCreate("", []byte(`{"Image":"a","New":1,"HostConfig":{"Newer":{"x":1},"SecurityOpt":["future=1"]}}`), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"HostConfig.Newer", "HostConfig.SecurityOpt.future", "New"}; !slices.Equal(s.UnknownFields, want) {
		t.Errorf("unknown fields: %v, want %v", s.UnknownFields, want)
	}
}

// FuzzFromCreate: whatever is read makes a Spec that reads the same twice, with
// canonical lists.
func FuzzFromCreate(f *testing.F) {
	f.Add([]byte(`{"Image":"a","HostConfig":{"Binds":["/a:/b:ro,z","v:/c"],"CapAdd":["all"],"SecurityOpt":["label=disable","seccomp=unconfined"]}}`))
	f.Add([]byte(`{"HostConfig":{"Mounts":[{"Type":"volume","VolumeOptions":{"DriverConfig":{"Options":{"o":"bind","device":"/"}}}}],"MaskedPaths":[]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := FromCreate("n", body, Surroundings{})
		if err != nil {
			return
		}
		second, err := FromCreate("n", body, Surroundings{})
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("read twice, it differs: %v\n%s", err, cmp.Diff(first, second))
		}
		for _, list := range [][]string{first.CapAdd, first.CapDrop, first.Capabilities, first.Env, first.GroupAdd, first.UnknownFields} {
			if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
				t.Errorf("not sorted and unique: %q", list)
			}
		}
		for _, m := range first.Mounts {
			if m.Target != "" && cleanPath(m.Target) != m.Target {
				t.Errorf("target %q is not clean", m.Target)
			}
		}
	})
}

func TestDisplayName(t *testing.T) {
	for want, s := range map[string]Spec{
		"web":          {Name: "web", ID: strings.Repeat("ab", 32), Image: Image{Ref: "nginx"}},
		"abababababab": {ID: strings.Repeat("ab", 32), Image: Image{Ref: "nginx"}},
		"abc":          {ID: "abc"},
		"nginx":        {Image: Image{Ref: "nginx"}},
		"":             {},
	} {
		if got := s.DisplayName(); got != want {
			t.Errorf("it is called %q, want %q", got, want)
		}
	}
}
