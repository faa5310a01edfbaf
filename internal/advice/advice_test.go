package advice

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/linking"
	"github.com/plimsoll/plimsoll/internal/linking/linkingtest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Sizes of files in tests, large enough to be worth a line.
const (
	large  = 100 << 10
	larger = 300 << 10
)

func fill(size int) string { return "exec:" + strings.Repeat("x", size) }

const loader = "/lib64/ld-linux-x86-64.so.2"

// dynamic is a program with a loader.
func dynamic(needed ...string) string {
	return "exec:" + linkingtest.File{Interp: loader, Needed: needed}.Bytes()
}

func library(soname string, needed ...string) string {
	return "exec:" + linkingtest.File{Soname: soname, Needed: needed, Tail: strings.Repeat(soname, large/len(soname))}.Bytes()
}

// debian is an image with five packages, and a program of its own.
func debian() imagetest.Layer {
	return imagetest.Layer{
		loader:                        library("ld-linux-x86-64.so.2"),
		"/usr/lib/libc.so.6":          library("libc.so.6"),
		"/usr/lib/libz.so.1":          library("libz.so.1", "libc.so.6"),
		"/usr/lib/libother.so.1":      library("libother.so.1", "libc.so.6"),
		"/usr/bin/dash":               dynamic("libc.so.6"),
		"/usr/bin/sh":                 "link:dash",
		"/bin":                        "link:usr/bin",
		"/usr/bin/gcc":                fill(larger),
		"/usr/share/zoneinfo/UTC":     fill(larger),
		"/usr/include/x.h":            fill(large),
		"/usr/share/doc/libc6/README": fill(large),
		"/etc/app.conf":               fill(large),
		"/app/static":                 "exec:" + linkingtest.File{Tail: "static"}.Bytes(),
		"/app/dynamic":                dynamic("libz.so.1"),
		"/app/data":                   fill(larger),
		"/app/start.sh":               "exec:#!/bin/sh\nexec /app/static\n",
		"/usr/bin/tini":               "exec:" + linkingtest.File{Tail: "tini"}.Bytes(),
	}
}

// installed are the files of the packages.
func installed() map[string][]string {
	return map[string][]string{"libc6": {"/usr", "/usr/lib/libc.so.6", loader, "/usr/share/doc/libc6/README"}, "zlib1g": {"/usr/lib/libz.so.1"}, "other": {"/usr/lib/libother.so.1"}, "dash": {"/bin/dash", "/bin/sh"},
		"gcc-12": {"/usr/bin/gcc"}, "x-dev": {"/usr/include/x.h"}, "tzdata": {"/usr/share/zoneinfo/UTC"}}
}

// run is an image of layers that is looked at, with an entrypoint.
func run(t *testing.T, entrypoint []string, installed map[string][]string, change func(*Image), layers ...imagetest.Layer) map[string]finding.Advice {
	t.Helper()
	list, _ := both(t, entrypoint, installed, change, layers...)
	by := map[string]finding.Advice{}
	for _, one := range list {
		by[one.Kind] = one
	}
	return by
}

func both(t *testing.T, entrypoint []string, installed map[string][]string, change func(*Image), layers ...imagetest.Layer) ([]finding.Advice, []finding.Untold) {
	t.Helper()
	i, err := image.Open(t.Context(), image.Reference{Source: image.DockerArchive, At: imagetest.Saved(t, imagetest.Config{"config": map[string]any{"Entrypoint": entrypoint, "Env": []string{"PATH=/usr/bin"}}}, layers...)}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	var r linking.Reader
	needs, number := map[int]*linking.Needs{}, 0
	v, err := i.Walk(t.Context(), func(e *image.Entry) error {
		if e.Kind != image.Plain || !e.Mode.IsRegular() {
			return nil
		}
		number++
		r.Reset()
		if _, err := io.Copy(&r, e.Body); err != nil {
			return err
		}
		if n := r.Needs(); n != nil {
			needs[number] = n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in := Image{View: v, Config: &i.Config, Tree: linking.NewTree(v, needs, nil), OS: sbom.OS{ID: "debian", VersionID: "12"}, Installed: installed, Judged: true,
		Files: &facts.Contents{Shells: []string{"/usr/bin/dash"}}}
	for _, name := range slices.Sorted(maps.Keys(installed)) {
		p := sbom.Package{Type: sbom.Deb, Name: name, Version: "1", Distro: in.OS}
		in.Packages = append(in.Packages, p)
		in.Flaws = append(in.Flaws, Flaw{PURLs: []string{p.PURL()}, Severity: finding.Low, Fixable: name == "dash"})
	}
	if change != nil {
		change(&in)
	}
	return Of(in)
}

// size is the bytes of files of a layer.
func size(l imagetest.Layer, paths ...string) (n int64) {
	for _, p := range paths {
		n += int64(len(strings.TrimPrefix(l[p], "exec:")))
	}
	return n
}

// reasons are why advice of a kind was not told.
func reasons(list []finding.Untold, kind string) string {
	var all []string
	for _, u := range list {
		if u.Kind == kind {
			all = append(all, u.Reason)
		}
	}
	return strings.Join(all, "; ")
}

// TestScratch: of an image with a static program all that is the system's could go, but what a
// program may need whatever it is; of the same with a dynamic one nothing is said of scratch.
func TestScratch(t *testing.T) {
	l := debian()
	got, is := run(t, []string{"/app/static"}, installed(), nil, l)[Scratch]
	if !is {
		t.Fatal("no advice")
	}
	want := size(l, loader, "/usr/lib/libc.so.6", "/usr/lib/libz.so.1", "/usr/lib/libother.so.1", "/usr/bin/dash", "/usr/bin/gcc", "/usr/include/x.h", "/usr/share/doc/libc6/README", "/usr/bin/tini")
	if got.Bytes != want || got.Packages != 6 || got.Flaws == nil || *got.Flaws != (finding.Gone{Total: 6, Fixable: 1, Worst: finding.Low}) || got.Step != "FROM scratch, then  COPY --from=BUILD /app/static /app/static" {
		t.Errorf("%+v, want %d bytes", got, want)
	}
	// A program that only starts another is passed over.
	if _, is := run(t, []string{"tini", "-g", "--", "/app/static"}, installed(), nil, l)[Scratch]; !is {
		t.Error("no advice behind tini")
	}
	by := run(t, []string{"/app/dynamic"}, installed(), nil, l)
	if _, is := by[Scratch]; is {
		t.Errorf("a dynamic program: %+v", by)
	}
	// What a volume or the work folder names stays.
	kept := run(t, []string{"/app/static"}, installed(), func(i *Image) { i.Config.Config.WorkingDir = "/usr/include" }, l)[Scratch]
	if kept.Bytes != want-size(l, "/usr/include/x.h") {
		t.Errorf("with a work folder %d bytes, want %d", kept.Bytes, want-size(l, "/usr/include/x.h"))
	}
	hostile := maps.Clone(l)
	hostile["/app/a; reboot"] = l["/app/static"]
	if odd := run(t, []string{"/app/a; reboot"}, installed(), nil, hostile)[Scratch]; strings.Contains(odd.Step, "reboot") || odd.Step == "" {
		t.Errorf("a name that is a command is in %q", odd.Step)
	}
}

// TestDistroless: what a dynamic program is started with stays, with the packages of it; what
// else is the system's could go. With a library missing, no lists of files or a shell before
// the program nothing is said, and why.
func TestDistroless(t *testing.T) {
	l := debian()
	list, untold := both(t, []string{"/app/dynamic"}, installed(), nil, l)
	at := slices.IndexFunc(list, func(a finding.Advice) bool { return a.Kind == Distroless })
	if at < 0 {
		t.Fatalf("%+v %+v", list, untold)
	}
	got := list[at]
	want := size(l, "/usr/lib/libother.so.1", "/usr/bin/dash", "/usr/bin/gcc", "/usr/include/x.h", "/usr/bin/tini")
	if got.Bytes != want || got.Packages != 4 || got.Flaws.Total != 4 || got.Flaws.Fixable != 1 || got.Step != "FROM gcr.io/distroless/base-debian12, then  COPY --from=BUILD /app/dynamic /app/dynamic and the 1 library that it needs" {
		t.Errorf("%+v, want %d bytes", got, want)
	}
	cpp := maps.Clone(l)
	cpp["/usr/lib/libstdc++.so.6"], cpp["/app/dynamic"] = library("libstdc++.so.6", "libc.so.6"), dynamic("libstdc++.so.6")
	if got := run(t, []string{"/app/dynamic"}, installed(), nil, cpp)[Distroless]; got.Step != "FROM gcr.io/distroless/cc-debian12, then  COPY --from=BUILD /app/dynamic /app/dynamic" {
		t.Errorf("%q", got.Step)
	}
	if got := run(t, []string{"/app/dynamic"}, installed(), func(i *Image) { i.OS = sbom.OS{ID: "alpine", VersionID: "3.20"} }, l)[Distroless]; !strings.HasPrefix(got.Step, "FROM scratch,") || !strings.HasSuffix(got.Step, "the 3 libraries that it needs") {
		t.Errorf("%q", got.Step)
	}
	if got := run(t, []string{"/app/dynamic"}, installed(), func(i *Image) { i.OS.VersionID = "13" }, l)[Distroless]; got.Step != "FROM gcr.io/distroless/base-debian13, then  COPY --from=BUILD /app/dynamic /app/dynamic" {
		t.Errorf("%q", got.Step) // which has libz
	}
	// A plugin that stays keeps its libraries.
	plugin := maps.Clone(l)
	plugin["/app/plugin.so"] = library("plugin.so", "libother.so.1")
	if got := run(t, []string{"/app/dynamic"}, installed(), nil, plugin)[Distroless]; got.Bytes != want-size(l, "/usr/lib/libother.so.1") || got.Packages != 3 {
		t.Errorf("with a plugin: %+v", got)
	}
	lacking := maps.Clone(l)
	delete(lacking, "/usr/lib/libz.so.1")
	for name, tc := range map[string]struct {
		entrypoint []string
		installed  map[string][]string
		layer      imagetest.Layer
		want       string
	}{
		"a library is missing": {[]string{"/app/dynamic"}, installed(), lacking, "libz.so.1, which /app/dynamic needs"},
		"no lists":             {[]string{"/app/dynamic"}, nil, l, "the database of packages lists no files"},
		"a script":             {[]string{"/app/start.sh"}, installed(), l, "the entrypoint is a shell script, /app/start.sh"},
		"a shell":              {[]string{"sh", "-c", "/app/dynamic"}, installed(), l, "the entrypoint is run by a shell, /usr/bin/dash"},
		"nothing":              {nil, installed(), l, "its configuration names no program"},
		"what is not there":    {[]string{"nowhere"}, installed(), l, "nowhere, which it runs, is not there"},
		"what is no program":   {[]string{"/app/data"}, installed(), l, "/app/data, which it runs, is neither a program of ELF nor a script"},
		"only one that starts": {[]string{"tini", "--"}, installed(), l, "its configuration names no program"},
	} {
		list, untold := both(t, tc.entrypoint, tc.installed, nil, tc.layer)
		if why := reasons(untold, Distroless); !strings.Contains(why, tc.want) || slices.ContainsFunc(list, func(a finding.Advice) bool { return a.Kind == Distroless || a.Kind == Scratch }) {
			t.Errorf("%s: %q", name, why)
		}
	}
	list, untold = both(t, []string{"/app/dynamic"}, installed(), func(i *Image) { i.Files.Shells = nil }, l)
	if why := reasons(untold, Distroless); why != "" || slices.ContainsFunc(list, func(a finding.Advice) bool { return a.Kind == Distroless }) {
		t.Errorf("without a shell: %+v %q", list, why)
	}
	if _, untold = both(t, []string{"/app/dynamic"}, installed(), func(i *Image) { i.Config = nil }, l); !strings.Contains(reasons(untold, Scratch), "no configuration") {
		t.Errorf("without a configuration: %+v", untold)
	}
}

// TestInterpreted: a script of an interpreter keeps that, its packages and its modules'
// libraries; one of an interpreter that no image is known for is not told.
func TestInterpreted(t *testing.T) {
	l := debian()
	delete(l, "/app/dynamic") // which would keep libz
	l["/usr/bin/python3.11"], l["/usr/bin/python3"] = dynamic("libc.so.6"), "link:python3.11"
	l["/usr/lib/python3.11/os.py"], l["/usr/lib/python3.11/_z.so"] = fill(larger), library("_z.so", "libother.so.1")
	l["/usr/bin/perl"] = dynamic("libc.so.6")
	l["/app/main"], l["/app/old"] = "exec:#!/usr/bin/env -S python3 -u\n", "exec:#!/usr/bin/perl\n"
	l["/usr/bin/env"] = dynamic("libc.so.6")
	with := installed()
	with["libpython3.11"] = []string{"/usr/lib/python3.11/os.py", "/usr/lib/python3.11/_z.so"}
	with["python3.11"] = []string{"/usr/bin/python3.11"}
	got := run(t, []string{"/app/main"}, with, nil, l)[Distroless]
	want := size(l, "/usr/bin/dash", "/usr/bin/gcc", "/usr/include/x.h", "/usr/bin/tini", "/usr/lib/libz.so.1", "/usr/bin/perl", "/usr/bin/env")
	if got.Bytes != want || !strings.HasPrefix(got.Step, "FROM gcr.io/distroless/python3-debian12") || got.Packages != 4 {
		t.Errorf("%+v, want %d bytes", got, want)
	}
	if direct := run(t, []string{"python3", "/app/main"}, with, nil, l)[Distroless]; direct.Bytes != want {
		t.Errorf("%+v", direct)
	}
	if _, untold := both(t, []string{"/app/old"}, with, nil, l); reasons(untold, Distroless) != "the entrypoint is a script of perl" {
		t.Errorf("%+v", untold)
	}
}

// TestStages: what is for building could go with its flaws, but not what the program runs with,
// and nothing is told of an image that is there to build, or whose lists are missing.
func TestStages(t *testing.T) {
	l := debian()
	got := run(t, []string{"/app/start.sh"}, installed(), nil, l)[Stages]
	if got.Bytes != size(l, "/usr/bin/gcc", "/usr/include/x.h") || got.Packages != 2 || got.Flaws.Total != 2 || !strings.Contains(got.Why, "gcc-12 and x-dev") {
		t.Errorf("%+v", got)
	}
	// A flaw of several packages goes only with all of them.
	shared := func(i *Image) {
		i.Flaws = []Flaw{{PURLs: []string{i.Packages[0].PURL(), i.Packages[1].PURL()}, Severity: finding.High}, {PURLs: []string{i.Packages[1].PURL()}, Severity: finding.Critical}}
	}
	if got := run(t, []string{"/app/static"}, installed(), shared, l)[Stages]; got.Flaws.Total != 1 || got.Flaws.Worst != finding.Critical {
		t.Errorf("%+v of %+v", got.Flaws, got)
	}
	without := installed()
	delete(without, "gcc-12")
	delete(without, "x-dev")
	if got, is := run(t, []string{"/app/static"}, without, nil, l)[Stages]; is {
		t.Errorf("without them: %+v", got)
	}
	list, untold := both(t, []string{"gcc"}, installed(), nil, imagetest.Layer{"/usr/bin/gcc": dynamic(), loader: library("ld")})
	if slices.ContainsFunc(list, func(a finding.Advice) bool { return a.Kind == Stages }) || !strings.Contains(reasons(untold, Stages), "it is for building") && !strings.Contains(reasons(untold, Stages), "is for building") {
		t.Errorf("%+v %+v", list, untold)
	}
	bare := func(i *Image) {
		i.Packages = append(i.Packages, sbom.Package{Type: sbom.Deb, Name: "make", Version: "1"})
	}
	if _, untold := both(t, []string{"/app/static"}, installed(), bare, l); !strings.Contains(reasons(untold, Stages), "lists no files of make") {
		t.Errorf("%+v", untold)
	}
	l["/usr/local/go/bin/go"] = fill(larger)
	if got := run(t, []string{"/app/static"}, without, func(i *Image) { i.Files.Compilers = []string{"/usr/local/go/bin/go"} }, l)[Stages]; got.Bytes != size(l, "/usr/local/go/bin/go") {
		t.Errorf("a toolchain: %+v", got)
	}
}

// TestIsForBuilding: packages by their names.
func TestIsForBuilding(t *testing.T) {
	for _, name := range strings.Fields("gcc gcc-12 g++-12 cpp cpp-12 gcc-c++ libc6-dev zlib-devel linux-headers make cmake binutils binutils-x86-64-linux-gnu golang-1.22-go clang-14 build-essential rustc musl-dev libgcc-12-dev pkgconf dpkg-dev") {
		if !isForBuilding(name) {
			t.Errorf("%s is not", name)
		}
	}
	for _, name := range strings.Fields("gcc-12-base libgcc-s1 libstdc++6 libc6 zlib1g makedev gostsum golangci devscripts libllvm14 cargo-culture linux-image") {
		if isForBuilding(name) {
			t.Errorf("%s is", name)
		}
	}
}

// TestLeftovers: bytes that nothing needs, each by itself; little is worth no line, and what
// saves most comes first.
func TestLeftovers(t *testing.T) {
	l := imagetest.Layer{"/x": "x"}
	files := facts.Contents{Caches: []facts.Bytes{{Path: "/var/lib/apt/lists", Bytes: 20 << 20}, {Path: "/root/.cache", Bytes: 1 << 20}}, Documentation: 5 << 20, Wasted: 30 << 20,
		Duplicates: []facts.Duplicate{{Paths: []string{"/a", "/b"}, Bytes: 1 << 20, Saved: 1 << 20}, {Paths: []string{"/c", "/d", "/e"}, Bytes: 1 << 20, Saved: 2 << 20}}}
	list, untold := both(t, nil, nil, func(i *Image) { i.Files = &files }, l)
	got := map[string]int64{}
	var order []string
	for _, a := range list {
		got[a.Kind] = a.Bytes
		order = append(order, a.Kind)
		if a.Title == "" || a.Why == "" || a.Step == "" {
			t.Errorf("%+v", a)
		}
	}
	if diff := cmp.Diff(map[string]int64{Caches: 21 << 20, Documentation: 5 << 20, Duplicates: 3 << 20, Vain: 30 << 20}, got); diff != "" || !slices.Equal(order, []string{Vain, Caches, Documentation, Duplicates}) || reasons(untold, Duplicates) != "" {
		t.Errorf("%v %s %+v", order, diff, untold)
	}
	little := facts.Contents{Caches: []facts.Bytes{{Path: "/var/lib/apt/lists", Bytes: 20}}, Documentation: 5, Wasted: 7, Unseen: []workload.Unseen{{Path: "duplicates", Reason: "x"}}}
	if list, untold = both(t, nil, nil, func(i *Image) { i.Files = &little }, l); len(list) != 0 || reasons(untold, Duplicates) == "" {
		t.Errorf("%+v %+v", list, untold)
	}
}

// TestBase: of the flaws that have a fix those of the base image are counted, with a bill of
// materials alone too; where nobody asked for flaws nothing is said of them.
func TestBase(t *testing.T) {
	i := Image{Judged: true, Flaws: []Flaw{{Base: true, Fixable: true, Severity: finding.High}, {Base: true, Severity: finding.Critical}, {Fixable: true, Severity: finding.Low}}}
	list, untold := Of(i)
	if len(list) != 1 || list[0].Kind != Base || list[0].Title != "1 of 2 flaws with a fix, on a newer base image" || *list[0].Flaws != (finding.Gone{Total: 1, Fixable: 1, Worst: finding.High}) || len(untold) != 0 {
		t.Errorf("%+v %+v", list, untold)
	}
	i.Flaws = i.Flaws[1:]
	if list, _ = Of(i); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	got := run(t, []string{"/app/static"}, installed(), func(i *Image) { i.Judged, i.Flaws = false, nil }, debian())[Scratch]
	if data, err := json.Marshal(got); err != nil || got.Flaws != nil || got.Bytes == 0 || strings.Contains(string(data), "flaws") {
		t.Errorf("%s %v", data, err)
	}
}
