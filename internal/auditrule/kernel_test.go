package auditrule

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/netlink"
)

// recorded is the answer of a kernel of version 6.18 that auditctl 3.0.9 had given
// three rules: a watch, one for a folder, and one that keeps from recording.
func recorded(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/list.bin")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ruleData are the bodies of the messages.
func ruleData(t testing.TB, data []byte) [][]byte {
	t.Helper()
	var out [][]byte
	if done, err := netlink.Messages(data, listRules, func(body []byte) (bool, error) {
		out = append(out, body)
		return false, nil
	}); !done || err != nil {
		t.Fatalf("done %t, %v", done, err)
	}
	return out
}

func TestReadRule(t *testing.T) {
	var got []Rule
	for _, data := range ruleData(t, recorded(t)) {
		r, err := readRule(data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	const dir = "/tmp/plimsoll-audit"
	want := []Rule{
		{List: "exit", Path: dir + "/file", Permissions: "wa", Text: "-a always,exit -F path=" + dir + "/file -F perm=wa -F key=engine"},
		{List: "exit", Path: dir + "/folder", Tree: true, Permissions: Every, Conditions: []string{"-F auid>=1000"},
			Text: "-a always,exit -F dir=" + dir + "/folder -F perm=rwxa -F key=engine -F auid>=1000"},
		{List: "exit", Never: true, Path: dir + "/file", Permissions: Every, Conditions: []string{"-S some system calls"},
			Text: "-a never,exit -F arch=b64 -F path=" + dir + "/file -S some system calls"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadStatus(t *testing.T) {
	status := make([]byte, 4)
	for _, word := range []uint32{2, 1, 77} {
		status = binary.NativeEndian.AppendUint32(status, word)
	}
	if got, err := readStatus(status); err != nil || got != (Status{Enabled: 2, Daemon: true}) {
		t.Errorf("the status is %+v, %v", got, err)
	}
	if _, err := readStatus(status[:15]); err == nil {
		t.Error("half a status is taken")
	}
}

// TestKernel asks the kernel that the test runs on, where it permits that. A rule
// that is added comes back as it was meant, and is taken away again.
func TestKernel(t *testing.T) {
	before, status, err := Kernel()
	if err != nil {
		if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, ErrNoAudit) {
			t.Fatal(err)
		}
		t.Logf("this kernel does not permit it, so only recorded answers were read: %v", err)
		return
	}
	t.Logf("%d rules, %+v", len(before.Rules), status)
	if status.Enabled == 2 {
		t.Log("the kernel's rules are locked, so none was added")
		return
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	data := slices.Clone(ruleData(t, recorded(t))[0])
	data = binary.NativeEndian.AppendUint32(data[:ruleBytes-4], uint32(len(file)+len("engine")))
	data = append(data, file+"engine"...)
	const values = 3 + 2*maxFields
	binary.NativeEndian.PutUint32(data[4*values:], uint32(len(file)))
	const add, remove = 1011, 1012
	if err := tell(add, data); err != nil {
		t.Fatalf("adding a rule: %v", err)
	}
	t.Cleanup(func() {
		if err := tell(remove, data); err != nil {
			t.Errorf("taking the rule away: %v", err)
		}
		if after, _, err := Kernel(); err != nil || slices.ContainsFunc(after.Rules, func(r Rule) bool { return r.Path == file }) {
			t.Errorf("the rule is still there: %+v, %v", after, err)
		}
	})
	after, _, err := Kernel()
	if err != nil {
		t.Fatal(err)
	}
	if got, by := after.Recorded(file, false); got != "wa" || len(by) == 0 {
		t.Errorf("%q by %q", got, by)
	}
	if got, _ := before.Recorded(file, false); got != "" {
		t.Errorf("before it was %q", got)
	}
}

// tell gives the kernel a rule.
func tell(kind uint16, rule []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(rule)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	m = append(binary.NativeEndian.AppendUint64(m, 1), rule...)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	_, err = netlink.Messages(buf[:n], kind, func([]byte) (bool, error) { return false, nil })
	return err
}

// FuzzReadRule: a rule that demands nothing else reads the same from its own text,
// by the reader of files.
func FuzzReadRule(f *testing.F) {
	for _, data := range ruleData(f, recorded(f)) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := readRule(data)
		if err != nil || len(r.Conditions) > 0 || strings.ContainsAny(r.Text, "'\"\\\r\n\x00") || strings.Contains(r.Path, " ") || r.Path == "" || filepath.Clean(r.Path) != r.Path {
			return
		}
		again, err := Parse([]Source{{"f", []byte(r.Text)}})
		if err != nil {
			return // what the kernel would not have
		}
		if len(again.Rules) != 1 {
			t.Fatalf("%q makes %+v", r.Text, again)
		}
		if got := again.Rules[0]; !got.covers(&r) || got.Tree != r.Tree {
			t.Errorf("%q: %+v, and read from the text %+v", r.Text, r, got)
		}
	})
}
