package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestFactsOfARecordedEngine(t *testing.T) {
	f := (&fake{containers: []container{{id: idOf(2), name: "web"}, {id: idOf(1), name: "db"}}}).start(t)
	got := f.collect(t)
	var names []string
	for _, c := range got.Containers {
		names = append(names, c.Name+" "+c.Origin)
	}
	if diff := cmp.Diff([]string{"db inspect", "web inspect"}, names); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	want := facts.Host{Name: "vm", OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.18.44-fc-v782",
		Architecture: "x86_64", CPUs: 2, MemoryBytes: 25276026880, CgroupVersion: 1, ContentTrust: []facts.ContentTrustUse{}}
	said := got.Host
	said.Kernels, said.Sockets, said.Controllers, said.Listeners, said.Components, said.Security, said.Audit, said.Audited = nil, nil, nil, nil, nil, facts.Security{}, facts.Audit{}, facts.Audited{}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	var components []string
	for _, c := range got.Host.Components {
		components = append(components, c.Name+" "+c.Version+", "+c.Package)
	}
	if diff := cmp.Diff([]string{"engine 20.10.24+dfsg1, ", "containerd 1.6.20~ds1, containerd 1.6.20~ds1-1+deb12u3", "runc 1.1.5+ds1, runc 1.1.5+ds1-1+deb12u1", "docker-init 0.19.0, "}, components); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	unseen := slices.DeleteFunc(slices.Clone(got.Unseen), func(u workload.Unseen) bool { return strings.HasPrefix(u.Path, "host.") })
	if diff := cmp.Diff([]workload.Unseen{{Path: "daemon.config", Reason: "the host's files were not looked at"}, {Path: "daemon.no_new_privileges", Reason: "engines before 24.0 do not say it"},
		{Path: "daemon.runs_as", Reason: "the engine's process is not on this machine, or hidden"},
		{Path: "files", Reason: "the host's files were not looked at"}}, unseen); diff != "" {
		t.Errorf("unseen (-want +got):\n%s", diff)
	}
	web := spec(t, got, "web")
	if web.ID != idOf(2) || web.Image.ID != recordedImage || !web.Image.Present || !slices.Equal(web.Image.Tags, []string{"docker.io/library/bb:1"}) {
		t.Errorf("got id %s, image %+v", web.ID, web.Image)
	}
	if !got.Collected.Equal(collectedAt) || got.Schema != facts.Schema {
		t.Errorf("got collected %v, schema %q", got.Collected, got.Schema)
	}
	again, err := facts.Encode(f.collect(t))
	if err != nil {
		t.Fatal(err)
	}
	first, err := facts.Encode(got)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("two collections of one engine differ (%v)", err)
	}
}

// What is collected must survive the way through JSON to another machine.
func TestFactsSurviveEncoding(t *testing.T) {
	f := (&fake{
		containers: []container{{id: idOf(1), name: "web"}, {id: idOf(2), name: "dark"}},
		before:     refusing(http.StatusInternalServerError, "/containers/"+idOf(2)+"/json", "/networks"),
	}).start(t)
	once, err := facts.Encode(f.collect(t))
	if err != nil {
		t.Fatal(err)
	}
	back, err := facts.Decode("facts.json", once)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := facts.Encode(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(once), string(twice)); diff != "" {
		t.Errorf("facts changed on their way (-before +after):\n%s", diff)
	}
}

func TestConfigIsChecked(t *testing.T) {
	f := (&fake{}).start(t)
	now := func() time.Time { return collectedAt }
	for name, test := range map[string]struct {
		cfg  Config
		want string
	}{
		"nothing missing": {Config{Client: f.client, Now: now}, ""},
		"no client":       {Config{Now: now}, "Client and Now are required"},
		"no clock":        {Config{Client: f.client}, "Client and Now are required"},
		"negative":        {Config{Client: f.client, Now: now, Concurrency: -1}, "negative"},
	} {
		_, err := Engine(context.Background(), test.cfg)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestContainerRemovedMeanwhileIsLeftOut(t *testing.T) {
	three := []container{{id: idOf(1), name: "db"}, {id: idOf(2), name: "job"}, {id: idOf(3), name: "web"}}
	for name, test := range map[string]struct {
		gone       []string
		want, warn []string
	}{
		"all stay": {nil, []string{"db", "job", "web"}, nil},
		"one goes": {[]string{"/containers/" + idOf(2) + "/json"}, []string{"db", "web"},
			[]string{"the container job (000000000000) was removed meanwhile, and is left out"}},
	} {
		f := (&fake{containers: three, before: refusing(http.StatusNotFound, test.gone...)}).start(t)
		var warned []string
		cfg := f.config()
		cfg.Warn = func(s string) { warned = append(warned, s) }
		var got []string
		for _, c := range collect(t, cfg).Containers {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, test.want) || !slices.Equal(warned, test.warn) {
			t.Errorf("%s: got %q and warnings %q, want %q and %q", name, got, warned, test.want, test.warn)
		}
	}
}

func many(n int) []container {
	all := make([]container, n)
	for i := range all {
		all[i] = container{id: idOf(i + 1), name: fmt.Sprintf("c%05d", i)}
	}
	return all
}

func TestEngineDiesHalfWay(t *testing.T) {
	var inspected atomic.Int32
	f := &fake{containers: many(60)}
	f.before = func(w http.ResponseWriter, path string) bool {
		if strings.HasPrefix(path, "/containers/0") && inspected.Add(1) > 30 {
			// Nothing more is taken, and this answer breaks off.
			go f.server.Close()
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"Id\":"))
				conn.Close()
			}
			return true
		}
		return false
	}
	f.start(t)
	got, err := Engine(context.Background(), f.config())
	var e *engine.Error
	if got != nil || !errors.As(err, &e) || e.Hint() == "" || !strings.Contains(err.Error(), "went away in the middle") {
		t.Errorf("got %v, %v; want no facts and the engine's error with a hint", got, err)
	}
}

func TestCollectingCanBeStopped(t *testing.T) {
	f := &fake{containers: many(60)}
	ctx, cancel := context.WithCancel(context.Background())
	f.before = func(_ http.ResponseWriter, path string) bool {
		if strings.HasPrefix(path, "/containers/0") {
			cancel()
		}
		return false
	}
	f.start(t)
	if got, err := Engine(ctx, f.config()); got != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v; want no facts and context.Canceled", got, err)
	}
	if n := len(f.requests()); n > 40 {
		t.Errorf("%d requests were made, most of them after the stop", n)
	}
}

func TestAnswerThatCannotBeReadLeavesTheContainerUnseen(t *testing.T) {
	path := "/containers/" + idOf(1) + "/json"
	for name, test := range map[string]struct {
		fake   *fake
		reason string
	}{
		"as it should be": {&fake{}, ""},
		"two answers":     {&fake{answers: map[string][]byte{path: []byte(`{}{}`)}}, reasonUnreadable},
		"no JSON inside":  {&fake{answers: map[string][]byte{path: []byte(`{"Id":x}`)}}, reasonUnreadable},
		"a deep one":      {&fake{answers: map[string][]byte{path: []byte(`{"GraphDriver":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}`)}}, reasonUnreadable},
		"wrong type":      {&fake{answers: map[string][]byte{path: []byte(`{"Id":"x","HostConfig":{"Memory":"much"}}`)}}, reasonUnreadable},
		"refused":         {&fake{before: refusing(http.StatusForbidden, path)}, reasonRefused},
		"engine's fault":  {&fake{before: refusing(http.StatusInternalServerError, path)}, reasonRefused},
		"too big":         {&fake{answers: map[string][]byte{path: []byte(`{"a":"` + strings.Repeat("x", 17<<20) + `"}`)}}, reasonTooBig},
	} {
		f := test.fake
		f.containers = []container{{id: idOf(1), name: "odd"}, {id: idOf(2), name: "web"}}
		got := f.start(t).collect(t)
		odd := spec(t, got, "odd")
		for _, p := range []string{"privileged", "mounts", "live", "image", "user", "unknown_fields"} {
			if r := reasonFor(odd.Unseen, p); r != test.reason {
				t.Errorf("%s: %s is unseen for %q, want %q", name, p, r, test.reason)
			}
		}
		if odd.ID != idOf(1) || len(got.Containers) != 2 || spec(t, got, "web").Image.Ref != "bb:1" {
			t.Errorf("%s: got id %q among %d containers", name, odd.ID, len(got.Containers))
		}
	}
}

func TestEveryFieldOfAnUnseenContainerIsListed(t *testing.T) {
	s := unseenContainer(listedContainer{id: idOf(1), name: "odd"}, reasonRefused)
	doc, err := facts.Encode(&facts.Facts{Schema: facts.Schema, Containers: []workload.Spec{s}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := facts.Decode("facts.json", doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range back.Containers[0].Unseen {
		if u.Reason != reasonRefused {
			t.Errorf("%s is not in the document and not said to be unseen", u.Path)
		}
	}
	if diff := cmp.Diff(s.Name+s.ID+s.Origin, "odd"+idOf(1)+"inspect"); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedCallsLeavePartsUnseen(t *testing.T) {
	f := (&fake{containers: many(1), before: refusing(http.StatusForbidden, "/info", "/networks", "/volumes")}).start(t)
	got := f.collect(t)
	for _, path := range []string{"networks", "volumes", "host.name", "host.cgroup_version", "daemon.seccomp", "daemon.rootless",
		"daemon.no_new_privileges", "daemon.runtimes", "daemon.warnings", "swarm", "daemon.data_root"} {
		if r := reasonFor(got.Unseen, path); r != reasonRefused {
			t.Errorf("%s is unseen for %q, want %q", path, r, reasonRefused)
		}
	}
	if got.Daemon.Version != "20.10.24+dfsg1" || got.Daemon.APIVersion != "1.41" {
		t.Errorf("got version %q, API %q from an engine that says both", got.Daemon.Version, got.Daemon.APIVersion)
	}
	web := spec(t, got, "c00000")
	for _, path := range []string{"seccomp", "userns_remapped", "mounts[1].driver"} {
		if reasonFor(web.Unseen, path) == "" {
			t.Errorf("%s of a container is seen, though nobody said it", path)
		}
	}
}

func TestAListThatIsRefusedOrOddIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		fake *fake
		want string
	}{
		"refused": {&fake{before: refusing(http.StatusForbidden, "/containers/json")}, "refused"},
		"no id":   {&fake{answers: map[string][]byte{"/containers/json": []byte(`[{"Names":["/web"]}]`)}}, "container 0 of the engine's list: \"Id\" is missing"},
		"odd id":  {&fake{answers: map[string][]byte{"/containers/json": []byte(`[{"Id":7}]`)}}, "container 0"},
		"empty":   {&fake{}, ""},
	} {
		_, err := Engine(context.Background(), test.fake.start(t).config())
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestRequestsAreCountedOnceASubject(t *testing.T) {
	for _, n := range []int{0, 50, 500} {
		all := many(n)
		for i := range all {
			all[i].image = "sha256:" + idOf(i%7)
		}
		f := (&fake{containers: all}).start(t)
		f.collect(t)
		counts := map[string]int{}
		for _, path := range f.requests() {
			switch kind := strings.Split(path, "/")[1]; {
			case kind == "containers" && path != "/containers/json":
				counts["inspect"]++
			case kind == "images" && path != "/images/json":
				counts["image"]++
			default:
				counts[path]++
			}
		}
		want := map[string]int{"/_ping": 1, "/version": 1, "/info": 1, "/containers/json": 1, "/networks": 1, "/volumes": 1, "/images/json": 1}
		if n > 0 {
			want["inspect"], want["image"] = n, 7
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("requests for %d containers (-want +got):\n%s", n, diff)
		}
		if f.most > DefaultConcurrency {
			t.Errorf("%d requests at once, want at most %d", f.most, DefaultConcurrency)
		}
	}
}

func TestProgressAndWarnings(t *testing.T) {
	f := (&fake{containers: many(3), answers: map[string][]byte{
		"/volumes": []byte(`{"Volumes":[],"Warnings":["plugin x is silent"]}`)}}).start(t)
	cfg := f.config()
	var steps, warned []string
	cfg.Progress = func(done, total int, what string) { steps = append(steps, fmt.Sprintf("%d/%d %s", done, total, what)) }
	cfg.Warn = func(s string) { warned = append(warned, s) }
	got := collect(t, cfg)
	want := []string{"0/1 images", "1/1 images", "0/3 containers", "1/3 containers", "2/3 containers", "3/3 containers"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if !slices.Equal(warned, []string{"the engine could not list all volumes: plugin x is silent"}) {
		t.Errorf("got warnings %q", warned)
	}
	if reasonFor(got.Unseen, "volumes[...]") == "" {
		t.Error("volumes may be missing, and the facts do not say so")
	}
}
