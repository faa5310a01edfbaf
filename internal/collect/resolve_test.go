package collect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/engine"
)

// linkTree makes a folder of folders, files and links; a value that starts
// with "->" is a link, "/" a folder.
func linkTree(t testing.TB, entries map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, what := range entries {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case what == "/":
			err = os.MkdirAll(at, 0o755)
		case strings.HasPrefix(what, "->"):
			err = os.Symlink(what[2:], at)
		default:
			err = os.WriteFile(at, []byte(what), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var links = map[string]string{
	"run/docker.sock": "a socket", "var/run": "->/run", "var/lib/x": "/", "up": "->../../../../run", "rel": "->var/lib",
	"chain": "->rel/../run/./docker.sock", "loop": "->loop", "a": "->b", "b": "->a", "dangling": "->/no/../nowhere/x", "self": "->.",
	"deep/er/back": "->../../var/run", "rootlink": "->/", "slashes": "->//run//", "out": "->/etc/passwd",
}

func openLinks(t testing.TB) *tree {
	t.Helper()
	tr, err := openTree(linkTree(t, links))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	return tr
}

func TestResolve(t *testing.T) {
	tr := openLinks(t)
	for _, test := range []struct {
		path, want string
		exists     bool
	}{
		{"/", "/", true},
		{"/run/docker.sock", "/run/docker.sock", true},
		{"/var/run/docker.sock", "/run/docker.sock", true},
		{"//var//run/./docker.sock", "/run/docker.sock", true},
		{"/chain", "/run/docker.sock", true},
		{"/deep/er/back/docker.sock", "/run/docker.sock", true},
		{"/up", "/run", true}, // the root's parent is the root
		{"/../../../run", "/run", true},
		{"/rel/x/../../run", "/run", true}, // .. of where the link leads
		{"/self/self/run", "/run", true},
		{"/rootlink/rootlink/run", "/run", true},
		{"/slashes/docker.sock", "/run/docker.sock", true},
		{"/srv/new/folder", "/srv/new/folder", false},
		{"/var/run/new", "/run/new", false},
		{"/var/run/new/../docker.sock", "/run/docker.sock", true},
		{"/dangling", "/nowhere/x", false},
		{"/out", "/etc/passwd", false}, // this machine has one, the tree does not
	} {
		got, there, err := tr.follow(test.path, nil)
		exists := there != nil
		if err != nil || got != test.want || exists != test.exists || tr.exists(test.path) != test.exists {
			t.Errorf("%s: got %s, exists %v, %v; want %s, %v", test.path, got, exists, err, test.want, test.exists)
		}
	}
	for path, want := range map[string]error{
		"/loop": unix.ELOOP, "/a/x": unix.ELOOP, "/run/docker.sock/x": unix.ENOTDIR,
		"/" + strings.Repeat("n", 300): unix.ENAMETOOLONG,
	} {
		if got, err := tr.resolve(path); !errors.Is(err, want) {
			t.Errorf("%s: got %q, %v; want %v", path, got, err, want)
		}
	}
}

func TestRecognize(t *testing.T) {
	root := linkTree(t, links)
	if err := os.Link(filepath.Join(root, "run/docker.sock"), filepath.Join(root, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "h/i"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(root, "hard"), filepath.Join(root, "h/i/hard")); err != nil {
		t.Fatal(err)
	}
	tr, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	const socket = "/var/run/docker.sock"
	for _, known := range []bool{false, true} {
		want := map[string][]string{"/hard": {"/hard"}, "/chain": {"/run/docker.sock"}, "/run": {"/run"}, "/h": {"/h"}, "/h/i": {"/h/i"}, "/gone": {"/gone"}, "/deep": {"/deep"}}
		if known {
			tr.recognize(socket)
			for _, path := range []string{"/hard", "/chain", "/run", "/h", "/h/i"} {
				want[path] = append(want[path], socket)
			}
		}
		for path, want := range want {
			got, err := tr.resolve(path)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", path, err, diff)
			}
		}
	}
	tr.recognize("/gone") // recognizes nothing, and not nothing as something
	if got, err := tr.resolve("/hard"); err != nil || !slices.Equal(got, []string{"/hard"}) {
		t.Errorf("got %s, %v", got, err)
	}
}

// A folder with more in it than is looked at is not said to hold no link.
func TestTooManyFiles(t *testing.T) {
	root := linkTree(t, map[string]string{"many/x": "", "few/x": "", "socket": ""})
	if err := os.Link(filepath.Join(root, "socket"), filepath.Join(root, "second")); err != nil {
		t.Fatal(err)
	}
	for i := range maxFiles + 1 {
		if err := os.Symlink("/", filepath.Join(root, "many", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	tr.recognize("/socket")
	if _, err := tr.resolve("/many"); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("got %v", err)
	}
	if got, err := tr.resolve("/few"); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNodes(t *testing.T) {
	root := linkTree(t, map[string]string{"dev/link": "->/dev/disk", "dev/file": ""})
	for path, numbers := range map[string][2]uint32{"dev/disk": {254, 7}, "dev/below/disk": {8, 0}, "dev/null": {1, 3}} {
		kind := uint32(unix.S_IFBLK)
		if numbers[0] == 1 {
			kind = unix.S_IFCHR
		}
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mknod(at, kind|0o600, int(unix.Mkdev(numbers[0], numbers[1]))); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.close)
	for path, want := range map[string][]string{
		"/dev": {"b 254:7", "b 8:0", "c 1:3"}, "/dev/link": {"b 254:7"}, "/dev/null": {"c 1:3"}, "/dev/file": nil,
	} {
		got, err := tr.nodes(path)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", path, err, diff)
		}
	}
	if _, err := tr.nodes("/gone"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("where nothing is: %v", err)
	}
}

func TestResolveOfADeepPath(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth+10)
	root := linkTree(t, map[string]string{deep: "/"})
	tr, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	if _, err := tr.resolve("/" + deep); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("got %v, want a refusal", err)
	}
	if got, err := tr.resolve("/d/d/d"); err != nil || !slices.Equal(got, []string{"/d/d/d"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestResolveClosesWhatItOpens(t *testing.T) {
	tr := openLinks(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	for range 100 {
		tr.resolve("/deep/er/back/docker.sock")
		tr.resolve("/loop")
		tr.exists("/nowhere")
	}
	if after := count(); after > before+5 {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
}

// The kernel's own resolution inside a root (openat2(2), RESOLVE_IN_ROOT) is
// the second opinion for every path that exists.
func kernelResolve(root, path string) (string, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	full, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", err
	}
	inside, found := strings.CutPrefix(full, root)
	if !found {
		return "", fmt.Errorf("%s is outside of %s", full, root)
	}
	if inside == "" {
		return "/", nil
	}
	return inside, nil
}

func FuzzResolveAgreesWithTheKernel(f *testing.F) {
	root, err := filepath.EvalSymlinks(linkTree(f, links))
	if err != nil {
		f.Fatal(err)
	}
	tr, err := openTree(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(tr.close)
	for name := range links {
		f.Add("/" + name)
		f.Add("/self/" + name + "/../rel//x/.")
	}
	f.Fuzz(func(t *testing.T, path string) {
		if strings.ContainsRune(path, 0) || len(path) > 2000 {
			return
		}
		got, there, err := tr.follow(path, nil)
		exists := there != nil
		want, kernelErr := kernelResolve(root, "/"+path)
		switch {
		case kernelErr == nil && (err != nil || got != want || !exists):
			t.Fatalf("%q: got %q, exists %v, %v; the kernel says %q", path, got, exists, err, want)
		case err == nil && filepath.Clean(got) != got:
			t.Fatalf("%q: got %q, which is not clean", path, got)
		case err == nil && exists && kernelErr != nil && !lax(path, kernelErr):
			t.Fatalf("%q: got %q; the kernel says %v", path, got, kernelErr)
		}
	})
}

// lax is true where the kernel refuses a path that the resolver takes: one
// that passes through a file or something missing and comes back by "..", or
// ends in a slash behind a file.
func lax(path string, err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) && (strings.Contains(path, "..") || strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/."))
}

func TestOpenTreeNeedsAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "x"} {
		if tr, err := openTree(path); err == nil {
			tr.close()
			t.Errorf("%s: opened", path)
		}
	}
}

// A fake engine's listener is this test, which is not an engine: its files are
// not taken for the engine's unless its name and, for systemd, its containers
// say so.
func TestWhoseFilesTheEngineSees(t *testing.T) {
	f := (&fake{containers: []container{{id: idOf(1), name: "web"}}}).start(t)
	data := "/var/lib/engine"
	for name, test := range map[string]struct {
		pid    int
		comm   string
		files  map[string]string
		peer   error
		reason string
	}{
		"the engine":           {77, "dockerd\n", nil, nil, ""},
		"without mounts":       {77, "dockerd\n", nil, nil, "what is mounted where the engine runs could not be read"},
		"a forwarder":          {77, "socat\n", nil, nil, "what listens on the engine's socket is not the engine"},
		"systemd for it":       {1, "systemd\n", map[string]string{data + "/containers/" + idOf(1): "/"}, nil, ""},
		"systemd for another":  {1, "systemd\n", map[string]string{data + "/containers/" + idOf(2): "/"}, nil, "what listens on the engine's socket is not the engine"},
		"a user's systemd":     {77, "systemd\n", map[string]string{data + "/containers/" + idOf(1): "/"}, nil, "what listens on the engine's socket is not the engine"},
		"invisible":            {0, "", nil, nil, "the engine's process is not on this machine, or hidden"},
		"not a socket":         {0, "", nil, errors.New("tcp"), "the engine's process is not on this machine, or hidden"},
		"a process of another": {78, "", nil, nil, "the engine's process may not be looked at by this user"},
	} {
		root := procRoot(t, fakeProc{pid: test.pid, comm: test.comm})
		files := linkTree(t, test.files)
		if test.comm != "" {
			proc := filepath.Join(root, "proc", fmt.Sprint(test.pid))
			if err := os.Symlink(files, filepath.Join(proc, "root")); err != nil {
				t.Fatal(err)
			}
			if name != "without mounts" {
				if err := os.WriteFile(filepath.Join(proc, "mountinfo"), []byte("1 0 254:1 / / rw - ext4 /dev/vda1 rw\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		cfg := f.config()
		cfg.Root = root
		cfg.Client = listener{f.client, test.pid, test.peer}
		c := collector{Config: cfg, facts: collect(t, f.config())}
		c.facts.Daemon.DataRoot = data
		pid := c.peer(context.Background()).PID
		tr, reason := c.openEngineRoot(pid, c.mountsOf(pid), []listedContainer{{id: idOf(1)}})
		if reason != test.reason || (tr != nil) != (test.reason == "") {
			t.Errorf("%s: got %v for %q, want %q", name, tr, reason, test.reason)
		}
		if tr != nil {
			tr.close()
		}
	}
}

// listener is a client whose peer is said to be another process.
type listener struct {
	Client
	pid int
	err error
}

func (l listener) Peer(context.Context) (engine.Peer, error) { return engine.Peer{PID: l.pid}, l.err }
