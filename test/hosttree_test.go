package test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
	"github.com/plimsoll/plimsoll/test/lab"
)

// hostTreeDir has base.yaml, a host on which all is in order, and files of rows,
// each of which changes one thing on it.
const hostTreeDir = "testdata/hosttree"

// hostFile is a file of the tree, by its path; that of a folder ends in a slash.
// In a path and a text, ENGINE stands for the id of the engine's process, /DATA for its
// data root, and KERNEL for the kernel that runs.
type hostFile struct {
	Text string `yaml:"text"`
	// Replace, in a row, are a part of the text and what takes its place.
	Replace []string `yaml:"replace"`
	// Link makes it a link to there, and Kind a socket, a pipe or a device.
	Link string `yaml:"link"`
	Kind string `yaml:"kind"`
	Mode string `yaml:"mode"`
	// Owner is user:group as numbers; root's where it is not given.
	Owner string `yaml:"owner"`
	// ACL are entries beyond the mode: "user:1000:rw-".
	ACL []string `yaml:"acl"`
}

// hostRow is one change, and what comes of it.
type hostRow struct {
	Name string `yaml:"name"`
	// Change has fields that are other than in the base, by path; null takes the
	// file away, with what is below it.
	Change map[string]yaml.Node `yaml:"change"`
	// Want are all rules about files and the host whose status is another than for
	// the base, with that status: the gravest where there are several.
	Want map[string]string `yaml:"want"`
}

// hostTree is the base.
type hostTree struct {
	Files map[string]hostFile `yaml:"files"`
	// Want are the rules that do not pass, with their status. A rule of the host that
	// the tree decides nothing about is "any".
	Want map[string]string `yaml:"want"`
}

func readHostTree(t *testing.T) (base hostTree, rows []hostRow) {
	t.Helper()
	readYAML(t, filepath.Join(hostTreeDir, "base.yaml"), &base)
	names, err := filepath.Glob(filepath.Join(hostTreeDir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if filepath.Base(name) != "base.yaml" {
			var more []hostRow
			readYAML(t, name, &more)
			rows = append(rows, more...)
		}
	}
	return base, rows
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// changed is the base with a row's changes.
func (r *hostRow) changed(base map[string]hostFile) (map[string]hostFile, error) {
	files := maps.Clone(base)
	for p, change := range r.Change {
		if change.Tag == "!!null" {
			if _, there := files[p]; !there {
				return nil, fmt.Errorf("there is no %s to take away", p)
			}
			maps.DeleteFunc(files, func(q string, _ hostFile) bool { return q == p || strings.HasSuffix(p, "/") && strings.HasPrefix(q, p) })
			continue
		}
		f := files[p]
		if err := change.Decode(&f); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if len(f.Replace) == 2 {
			if !strings.Contains(f.Text, f.Replace[0]) {
				return nil, fmt.Errorf("%s has no %q", p, f.Replace[0])
			}
			f.Text = strings.Replace(f.Text, f.Replace[0], f.Replace[1], 1)
		}
		files[p] = f
	}
	return files, nil
}

// writeHostTree makes a folder with the files, with what names stand for.
func writeHostTree(t *testing.T, files map[string]hostFile, names *strings.Replacer) string {
	t.Helper()
	root, err := os.MkdirTemp("/dev/shm", "plimsoll-host-tree-") // a disk takes ten times as long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Sorted(maps.Keys(files)) { // a folder comes before what is in it
		f := files[p]
		at := filepath.Join(root, names.Replace(p))
		f.Text = names.Replace(f.Text)
		if err := f.write(at, strings.HasSuffix(p, "/")); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
	}
	return root
}

func (f *hostFile) write(at string, folder bool) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	var err error
	mode := uint64(0o644)
	switch {
	case folder:
		mode = 0o755
		err = os.MkdirAll(at, 0o755)
	case f.Link != "":
		err = os.Symlink(f.Link, at)
	case f.Kind == "socket":
		err = unix.Mknod(at, unix.S_IFSOCK, 0)
	case f.Kind == "pipe":
		err = unix.Mknod(at, unix.S_IFIFO, 0)
	case f.Kind == "device":
		err = unix.Mknod(at, unix.S_IFCHR, int(unix.Mkdev(1, 3)))
	case f.Kind != "":
		err = fmt.Errorf("%s is no kind", f.Kind)
	default:
		err = os.WriteFile(at, []byte(f.Text), 0o644)
	}
	if err != nil {
		return err
	}
	uid, gid := 0, 0
	if f.Owner != "" {
		if _, err := fmt.Sscanf(f.Owner, "%d:%d", &uid, &gid); err != nil {
			return err
		}
	}
	if err := os.Lchown(at, uid, gid); err != nil || f.Link != "" {
		return err
	}
	if f.Mode != "" {
		if mode, err = strconv.ParseUint(f.Mode, 8, 12); err != nil {
			return err
		}
	}
	if err := unix.Chmod(at, uint32(mode)); err != nil || len(f.ACL) == 0 {
		return err
	}
	list, err := accessList(f.ACL, uint16(mode))
	if err != nil {
		return err
	}
	return unix.Setxattr(at, "system.posix_acl_access", list, 0)
}

// accessList is the kernel's form of a list (linux/posix_acl_xattr.h) that gives
// more than the mode does.
func accessList(entries []string, mode uint16) ([]byte, error) {
	type entry struct {
		Tag, Permissions uint16
		ID               uint32
	}
	const none = 0xffffffff
	list := []entry{{1, mode >> 6 & 7, none}, {4, mode >> 3 & 7, none}, {0x20, mode & 7, none}}
	mask := mode >> 3 & 7
	for _, text := range entries {
		fields := strings.Split(text, ":")
		tag := map[string]uint16{"user": 2, "group": 8}[fields[0]]
		if len(fields) != 3 || tag == 0 || len(fields[2]) != 3 {
			return nil, fmt.Errorf("%q is no entry of an access list", text)
		}
		id, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			return nil, err
		}
		permissions := uint16(0)
		for i, bit := range []uint16{4, 2, 1} {
			if fields[2][i] != '-' {
				permissions |= bit
			}
		}
		mask |= permissions
		list = append(list, entry{tag, permissions, uint32(id)})
	}
	list = append(list, entry{0x10, mask, none})
	slices.SortStableFunc(list, func(a, b entry) int { return int(a.Tag) - int(b.Tag) })
	out := binary.LittleEndian.AppendUint32(nil, 2)
	return binary.Append(out, binary.LittleEndian, list)
}

// TestHostTree: one owner, mode, access list, line or file changes on a host, and
// just the rules that are about it notice, by what the real collector sees of it.
func TestHostTree(t *testing.T) {
	e := lab.Shared(t)
	base, rows := readHostTree(t)
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Compile(); err != nil {
		t.Fatal(err)
	}
	client := askedOnce(t, clientOf(t, e))
	said, err := e.Docker("info", "--format", "{{.DockerRootDir}} {{.KernelVersion}}")
	if err != nil {
		t.Fatal(err)
	}
	data, kernel, _ := strings.Cut(strings.TrimSpace(said), " ")
	names := strings.NewReplacer("ENGINE", strconv.Itoa(e.Pid), "/DATA", data, "KERNEL", kernel)
	before := statusesOf(judgeHostTree(t, set, client, writeHostTree(t, base.Files, names)))
	seen := map[string]map[string]bool{}
	note := func(statuses map[string]string) {
		for name, status := range statuses {
			if seen[name] == nil {
				seen[name] = map[string]bool{}
			}
			seen[name][status] = true
		}
	}
	note(before)
	for name, got := range before {
		want := base.Want[name]
		if want == "" {
			want = "pass"
		}
		if want != "any" && got != want {
			t.Errorf("the base: %s is %s, want %s", name, got, want)
		}
	}
	for name := range base.Want {
		if _, there := before[name]; !there {
			t.Errorf("the base names %s, and no rule about the host or a file has that name", name)
		}
	}
	for i := range rows {
		r := &rows[i]
		t.Run(r.Name, func(t *testing.T) {
			files, err := r.changed(base.Files)
			if err != nil {
				t.Fatal(err)
			}
			root := writeHostTree(t, files, names)
			found := judgeHostTree(t, set, client, root)
			after := statusesOf(found)
			note(after)
			for name, got := range after {
				want, named := r.Want[name]
				if !named {
					want = before[name]
				}
				if got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
			for name, want := range r.Want {
				if _, there := after[name]; !there || before[name] == want {
					t.Errorf("%s does not become %s by this: it is %s before", name, want, before[name])
				}
			}
			mended := mendHostTree(t, root, found)
			if len(mended) == 0 {
				return
			}
			again := statusesOf(judgeHostTree(t, set, client, root))
			for _, name := range mended {
				if again[name] == "fail" {
					t.Errorf("%s still fails after its own remedy", name)
				}
			}
			// And so does what audit --fix prints, on a tree that is as it was.
			root = writeHostTree(t, files, names)
			if mended = fixHostTree(t, root, judgeHostTree(t, set, client, root)); len(mended) == 0 {
				return
			}
			again = statusesOf(judgeHostTree(t, set, client, root))
			for _, name := range mended {
				if again[name] == "fail" {
					t.Errorf("%s still fails after its own fix", name)
				}
			}
		})
	}
	for _, r := range set.Rules() {
		if r.Subject != "host" && r.Subject != "file" || base.Want[r.Name] == "any" {
			continue
		}
		need := []string{"pass", "fail"}
		switch {
		case r.Manual != "" && r.Each.Text != "":
			need = []string{"manual", "pass"} // none of whom it asks about
		case r.Manual != "":
			need = []string{"manual", "not_applicable"}
		}
		for _, status := range need {
			if !seen[r.Name][status] {
				t.Errorf("%s is never %s: no row changes what it looks at", r.Name, status)
			}
		}
	}
}

// sameAnswers is an engine that need not say again what takes it longest.
type sameAnswers struct {
	*engine.Client
	version, info json.RawMessage
}

func (s *sameAnswers) Version(context.Context) (json.RawMessage, error) { return s.version, nil }
func (s *sameAnswers) Info(context.Context) (json.RawMessage, error)    { return s.info, nil }

func askedOnce(t *testing.T, client *engine.Client) *sameAnswers {
	t.Helper()
	version, err := client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &sameAnswers{client, version, info}
}

// judgeHostTree judges the tree at root by all rules.
func judgeHostTree(t *testing.T, set *rule.Set, client collect.Client, root string) []finding.Finding {
	t.Helper()
	f, err := collect.Engine(context.Background(), collect.Config{Client: client, Now: func() time.Time { return hostTreeTime }, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	found, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// statusesOf are the gravest status of each rule about the host and its files.
func statusesOf(found []finding.Finding) map[string]string {
	gravest := []string{"not_applicable", "pass", "manual", "unknown", "fail"}
	statuses := map[string]string{}
	for i := range found {
		f := &found[i]
		if f.Subject.Kind != "host" && f.Subject.Kind != "file" {
			continue
		}
		status := f.Status.String()
		if before, there := statuses[f.Rule]; !there || slices.Index(gravest, status) > slices.Index(gravest, before) {
			statuses[f.Rule] = status
		}
	}
	return statuses
}

// mendHostTree does to the tree what remedies say, as far as that is a command about
// a file and needs no name of the tree's own, and gives the rules of those.
func mendHostTree(t *testing.T, root string, found []finding.Finding) (mended []string) {
	t.Helper()
	for i := range found {
		f := &found[i]
		if f.Subject.Kind != "file" || f.Status != finding.Fail || f.Rule == "docker-socket-group" {
			continue
		}
		command, _, _ := strings.Cut(f.Remedy.Shell, "\n")
		if strings.HasPrefix(command, "setfacl ") { // which is not everywhere
			if strings.Contains(f.Message, "the user ") {
				continue
			}
			_, command, _ = strings.Cut(command, "; ")
		}
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(command, " /", " "+root+"/")).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", f.Rule, command, err, out)
		}
		mended = append(mended, f.Rule)
	}
	return mended
}

var hostTreeTime = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// TestBrokenConfiguration: a daemon.json that was broken since the engine started ends
// nothing, and what cannot be told by it says so.
func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, map[string]any{"icc": false})
	client := clientOf(t, e)
	before := factsOf(t, client)
	if before.Daemon.Config.ICC || before.Daemon.Config.File == "" {
		t.Fatalf("the configuration is %+v", before.Daemon.Config)
	}
	if err := os.WriteFile(before.Daemon.Config.File, []byte("{\n\"icc\": false,,\n}"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := ourRules(t).Judge(factsOf(t, client))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for i := range found {
		if f := &found[i]; f.Status == finding.Unknown {
			reasons[f.Rule] = f.Reason
		}
	}
	for _, name := range []string{"configuration-refused", "default-bridge-open", "tls-key-mode"} {
		if !strings.Contains(reasons[name], before.Daemon.Config.File+" line 2") {
			t.Errorf("%s is unknown for %q", name, reasons[name])
		}
	}
}
