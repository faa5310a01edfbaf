package collect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestImages(t *testing.T) {
	other := "sha256:" + idOf(99)
	imagePath := "/images/" + other + "/json"
	for name, test := range map[string]struct {
		fake    *fake
		present bool
		unseen  map[string]string
	}{
		"there": {&fake{}, true, nil},
		"gone": {&fake{before: refusing(http.StatusNotFound, imagePath)}, false,
			map[string]string{"image.created": "the image is gone", "image.digests": "the image is gone"}},
		"refused": {&fake{before: refusing(http.StatusForbidden, imagePath)}, false,
			map[string]string{"image.created": reasonRefused, "image.digests": reasonRefused, "image.tags": reasonRefused, "image.present": reasonRefused}},
		"unreadable": {&fake{answers: map[string][]byte{imagePath: []byte(`{"RepoTags":1}`)}}, false,
			map[string]string{"image.created": reasonUnreadable, "image.digests": reasonUnreadable, "image.tags": reasonUnreadable, "image.present": reasonUnreadable}},
		"no date": {&fake{answers: map[string][]byte{imagePath: altered(t, "image.json", func(a answer) {
			a["Id"] = other
			delete(a, "Created")
			a["Config"] = nil
		})}}, true, map[string]string{"image.created": "the image does not say it"}},
	} {
		f := test.fake
		f.containers = []container{{id: idOf(1), name: "web", image: other}}
		web := spec(t, f.start(t).collect(t), "web")
		got := map[string]string{}
		for _, p := range []string{"image.id", "image.ref", "image.created", "image.digests", "image.tags", "image.present"} {
			if r := reasonFor(web.Unseen, p); r != "" {
				got[p] = r
			}
		}
		if test.unseen == nil {
			test.unseen = map[string]string{}
		}
		if diff := cmp.Diff(test.unseen, got); diff != "" {
			t.Errorf("%s: unseen (-want +got):\n%s", name, diff)
		}
		if web.Image.Present != test.present || web.Image.ID != other {
			t.Errorf("%s: got %+v", name, web.Image)
		}
	}
}

func TestReadImage(t *testing.T) {
	readImage := func(raw []byte) (*workload.ImageConfig, error) {
		var i foundImage
		err := i.read(raw)
		return i.config, err
	}
	got, err := readImage(altered(t, "image.json", func(a answer) {
		a["RepoDigests"] = []string{"bb@sha256:" + idOf(3)}
		a["Config"] = answer{"User": "app", "Env": []string{"A=b"}, "Entrypoint": "run", "Cmd": []string{"x"},
			"ExposedPorts": answer{"80/tcp": answer{}, "443/tcp": answer{}}, "Volumes": answer{"/v": answer{}},
			"Healthcheck": answer{"Test": []string{"CMD", "true"}}, "StopSignal": "SIGQUIT", "Labels": answer{"l": "m"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := &workload.ImageConfig{ID: recordedImage, Tags: []string{"bb:1"}, Digests: []string{"bb@sha256:" + idOf(3)},
		Created: "2026-11-24T22:47:27.435008999Z", User: "app", Env: []string{"A=b"}, Labels: map[string]string{"l": "m"},
		Entrypoint: []string{"run"}, Cmd: []string{"x"}, ExposedPorts: []string{"443/tcp", "80/tcp"}, Volumes: []string{"/v"},
		HasHealth: true, StopSignal: "SIGQUIT"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	none, err := readImage([]byte(`{"Id":"sha256:1","RepoTags":[],"RepoDigests":null,"Config":{"Healthcheck":{"Test":["NONE"]}}}`))
	if err != nil || none.HasHealth {
		t.Errorf("a check that is turned off: got %+v, %v", none, err)
	}
	for _, key := range []string{"Id", "RepoTags", "RepoDigests"} {
		if _, err := readImage(altered(t, "image.json", func(a answer) { delete(a, key) })); err == nil || !strings.Contains(err.Error(), key+" is missing") {
			t.Errorf("without %s: %v", key, err)
		}
	}
}

func TestExecSessions(t *testing.T) {
	session := func(running bool, user string) []byte {
		return encode(t, answer{"Running": running, "Pid": 42, "ProcessConfig": answer{"user": user, "privileged": true}})
	}
	f := (&fake{
		containers: []container{
			{id: idOf(1), name: "busy", change: func(a answer) {
				a["ExecIDs"] = []string{"e3", "e1", "e2", "e4"}
				a["Config"].(answer)["User"] = "app"
			}},
			{id: idOf(2), name: "idle"},
			{id: idOf(3), name: "hidden", change: func(a answer) { a["ExecIDs"] = []string{"e1", "no"} }},
			{id: idOf(4), name: "odd", change: func(a answer) { a["ExecIDs"] = []string{"odd"} }},
		},
		answers: map[string][]byte{
			"/exec/e1/json": session(true, "root:wheel"), "/exec/e2/json": session(false, "ana"),
			"/exec/e3/json": session(true, ""), "/exec/odd/json": []byte(`{"Pid":"x"}`),
		},
		before: refusing(http.StatusForbidden, "/exec/no/json"),
	}).start(t)
	got := f.collect(t)
	want := []workload.Exec{{ID: "e1", User: "0", Privileged: true, PID: 42}, {ID: "e3", User: "app", Privileged: true, PID: 42}}
	if diff := cmp.Diff(want, spec(t, got, "busy").Live.Execs); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	for name, reason := range map[string]string{"busy": "", "idle": "", "hidden": reasonRefused, "odd": reasonUnreadable} {
		s := spec(t, got, name)
		if r := reasonFor(s.Unseen, "live.execs"+workload.Open); r != reason || reasonFor(s.Unseen, "live.execs") != "" {
			t.Errorf("%s: sessions are open for %q, want %q", name, r, reason)
		}
	}
	if n := len(spec(t, got, "hidden").Live.Execs); n != 1 {
		t.Errorf("hidden: got %d sessions, want the one that can be seen", n)
	}
	asked := 0
	for _, path := range f.requests() {
		if len(path) > 6 && path[:6] == "/exec/" {
			asked++
		}
	}
	if asked != 7 {
		t.Errorf("%d exec inspects, want one a session", asked)
	}
}

func TestExecUser(t *testing.T) {
	for asked, want := range map[string]string{"": "1000", "root": "0", "00": "0", "+5": "5", "ana:staff": "ana", "-1": "-1", ":5": "1000"} {
		if got := execUser(asked, "1000"); got != want {
			t.Errorf("execUser(%q) = %q, want %q", asked, got, want)
		}
	}
}

func TestOwnName(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"/web"}, "web"}, {[]string{"/db/alias", "/web"}, "web"}, {nil, "000000000000"}, {[]string{"/", "web"}, "000000000000"},
	} {
		if got := ownName(test.names, idOf(1)); got != test.want {
			t.Errorf("ownName(%q) = %q, want %q", test.names, got, test.want)
		}
	}
	if got := ownName(nil, "ab"); got != "ab" {
		t.Errorf("a short id: got %q", got)
	}
}

// Reasons of mounts name what is missing: the files, or the volume's options.
func TestWhyLinksWereNotFollowed(t *testing.T) {
	bind := container{id: idOf(1), name: "web", change: func(a answer) {
		a["HostConfig"].(answer)["Binds"] = []string{"/srv:/srv", "data:/data"}
	}}
	got := (&fake{containers: []container{bind}}).start(t).collect(t)
	web := spec(t, got, "web")
	at := slices.IndexFunc(web.Mounts, func(m workload.Mount) bool { return m.Source == "/srv" })
	if at < 0 {
		t.Fatalf("no bind in %+v", web.Mounts)
	}
	if r := reasonFor(web.Unseen, fmt.Sprintf("mounts[%d].resolved", at)); r != "the host's files were not looked at" {
		t.Errorf("resolved is unseen for %q", r)
	}
	f := (&fake{containers: []container{bind}, before: refusing(http.StatusForbidden, "/volumes")}).start(t)
	cfg := f.config()
	cfg.Root = t.TempDir()
	web = spec(t, collect(t, cfg), "web")
	for i, m := range web.Mounts {
		want := "the volume's options were not looked at"
		if m.Type == "bind" {
			want = "the engine's process may not be looked at by this user"
		}
		if r := reasonFor(web.Unseen, fmt.Sprintf("mounts[%d].resolved", i)); r != want {
			t.Errorf("%s: resolved is unseen for %q, want %q", m.Source, r, want)
		}
	}
}
