package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// escapeOctal is what the kernel does to a path in mountinfo.
func escapeOctal(s string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(s)
}

// mountLine writes an entry as the kernel does.
func mountLine(m mountEntry) string {
	f := []string{itoa(m.id), itoa(m.parent), m.device, escapeOctal(m.root), escapeOctal(m.target), string(m.options)}
	f = append(f, m.tags...)
	return strings.Join(append(f, "-", escapeOctal(m.fstype), escapeOctal(m.source), string(m.super)), " ")
}

func TestUnescapeOctal(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/a": "/a", `/a\040b`: "/a b", `\134040`: `\040`, `\`: `\`, `\04`: `\04`, `\400`: `\400`, `\377`: "\xff", `\089`: `\089`,
		`\012\011`: "\n\t",
	} {
		if got := unescapeOctal(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	got, err := parseMountinfo([]byte("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n\n" +
		"37 36 0:5 / /x ro -  - \n"))
	if err == nil {
		t.Errorf("a line with an empty type was taken: %+v", got)
	}
	got, err = parseMountinfo([]byte("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []mountEntry{{id: 36, parent: 35, device: "98:0", root: "/mnt1", target: "/mnt 2", options: "rw,noatime",
		tags: []string{"shared:1", "master:2"}, fstype: "ext3", source: "/dev/root", super: "rw,errors=continue"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountEntry{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContainerID(t *testing.T) {
	hex := strings.Repeat("0f", 32)
	for in, want := range map[string]string{
		"/docker/" + hex: hex, "/system.slice/docker-" + hex + ".scope": hex, "/kubepods/burstable/pod1/" + hex: hex,
		"/a/cri-containerd-" + hex + ".scope": hex, "/machine.slice/libpod-" + hex + ".scope/container": hex,
		"/docker/" + hex[1:]: "", "/docker/" + hex + "0": "", "/docker/" + strings.ToUpper(hex): "", "/": "", "": "",
	} {
		if got := containerID(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string][3]string{
		"/docker/" + hex:               {"/docker/" + hex, hex, "true"},
		"/docker/" + hex + "/init":     {"/docker/" + hex, hex, "true"},
		"/docker/" + hex + "/x/" + hex: {"/docker/" + hex + "/x/" + hex, hex, "true"},
		"/":                            {"/", "", "true"},
		"/init.scope":                  {"", "", "false"},
		"/..":                          {"", "", "false"},
	} {
		own, id, known := containerCgroup(in)
		if got := [3]string{own, id, strconv.FormatBool(known)}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"max": "0 true", "-1": "0 true", "0": "0 true", "12": "12 true", "9223372036854771712": "0 true", "9223372036854710272": "0 true",
		"9223372036854775807": "0 true", "9223372036854775808": "0 false", "": "0 false", "1k": "0 false", "-2": "0 false",
		"9223372036854644736": "9223372036854644736 true",
	} {
		n, ok := limitNumber(in)
		if !ok {
			n = 0
		}
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("limit %q: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"64k": "65536 true", "0k": "0 true", "64": "0 false", "k": "0 false", "": "0 false", "9223372036854775807k": "0 false"} {
		n, ok := size(in)
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("size %q: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"-17": "-17 true", "300": "300 true", "--1": "0 false", "": "0 false", "-": "0 false"} {
		n, ok := signed(in)
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("signed %q: %s, want %s", in, got, want)
		}
	}
}

func TestRootOutside(t *testing.T) {
	for in, want := range map[string]string{
		"         0          0 4294967295\n": "0 true", "0 100000 65536\n": "100000 true", "1 100001 65535\n0 1000 1\n": "1000 true",
		"1 5 10\n": "0 false", "": "0 false", "0 x 1\n": "0 false",
	} {
		n, ok := rootOutside([]byte(in))
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// TestDeviceWalk finds a device that the walk may not use as well as the
// ordinary ones. It needs root to make devices.
func TestDeviceWalk(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("devices can be made by root only: run the tests as root")
		}
		t.Skip("devices can be made by root only")
	}
	root := t.TempDir()
	mkdir(t, filepath.Join(root, "dev/deep/er"))
	mkdir(t, filepath.Join(root, "dev/pts"))
	for name, number := range map[string][2]uint32{"null": {1, 3}, "mem": {1, 1}, "deep/er/fuse": {10, 229}, "pts/0": {136, 0}} {
		if err := unix.Mknod(filepath.Join(root, "dev", name), unix.S_IFCHR|0o600, int(unix.Mkdev(number[0], number[1]))); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(filepath.Join(root, "dev/disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	v := insider{files: insideFiles{r}}
	nodes, complete := v.extraDevices()
	slices.SortFunc(nodes, func(a, b deviceNode) int { return strings.Compare(a.path, b.path) })
	want := []deviceNode{{"/dev/deep/er/fuse", "c", 10, 229, true}, {"/dev/disk", "b", 8, 0, true}, {"/dev/mem", "c", 1, 1, true}}
	if diff := cmp.Diff(want, nodes, cmp.AllowUnexported(deviceNode{})); diff != "" || !complete {
		t.Errorf("complete %t (-want +got):\n%s", complete, diff)
	}
	mkdir(t, filepath.Join(root, "dev/1/2/3/4/5/6"))
	if _, complete := v.extraDevices(); complete {
		t.Error("a folder too deep was looked at")
	}
}

// FuzzMountinfo: a table that is read is the same when it is written again, and
// has an entry a line.
func FuzzMountinfo(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n"))
	f.Add([]byte("1 0 0:1 / / rw - rootfs none rw\n2 1 0:2 /a\\134b /\xff ro x:1 - fuse.a\\040b  a b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseMountinfo(data)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, m := range all {
			again.WriteString(mountLine(m) + "\n")
		}
		second, err := parseMountinfo([]byte(again.String()))
		if err != nil {
			t.Fatalf("%q, written again as %q: %v", data, again.String(), err)
		}
		if diff := cmp.Diff(all, second, cmp.AllowUnexported(mountEntry{})); diff != "" {
			t.Fatalf("%q, written again as %q (-first +second):\n%s", data, again.String(), diff)
		}
		lines := slices.DeleteFunc(strings.Split(string(data), "\n"), func(l string) bool { return l == "" })
		if len(lines) != len(all) {
			t.Fatalf("%d entries of %d lines", len(all), len(lines))
		}
	})
}

// FuzzStatus: what is read says the same when it is written again, and lines
// that come later change nothing.
func FuzzStatus(f *testing.F) {
	f.Add([]byte("Name:\tsh\nPPid:\t1\nUid:\t0\t1\t0\t0\nGid:\t0\t2\t0\t0\nGroups:\t3 4 \nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n"))
	f.Add([]byte("Name:\ta: b\nUid:\t0\t0\nGid:\t0\t0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseStatus(data)
		if err != nil {
			return
		}
		text := fmt.Sprintf("Name:\t%s\nUid:\t0\t%d\nGid:\t0\t%d\n", p.name, p.uid, p.gid)
		if p.ppid >= 0 {
			text += fmt.Sprintf("PPid:\t%d\n", p.ppid)
		}
		if p.seccomp >= 0 {
			text += fmt.Sprintf("Seccomp:\t%d\n", p.seccomp)
		}
		if p.noNewPriv >= 0 {
			text += fmt.Sprintf("NoNewPrivs:\t%d\n", p.noNewPriv)
		}
		if p.capabilitiesSeen {
			text += fmt.Sprintf("CapBnd:\t%016x\nCapEff:\t%016x\n", p.bounding, p.effective)
		}
		text += "Groups:"
		for _, g := range p.groups {
			text += " " + itoa(g)
		}
		text += "\nUid:\t7\t7\nName:\tother\nGroups:\t99\n"
		again, err := parseStatus([]byte(text))
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%q is %+v, written again as %q %+v, %v", data, p, text, again, err)
		}
	})
}

// FuzzStat: the number and the time are found whatever the process calls itself.
func FuzzStat(f *testing.F) {
	f.Add(int64(17), "sh", int64(3000))
	f.Add(int64(1), "a) S 0 (b) 1 2", int64(0))
	f.Fuzz(func(t *testing.T, pid int64, name string, start int64) {
		if pid < 0 || start < 0 {
			return
		}
		line := fmt.Sprintf("%d (%s) S %s%d 1 2\n", pid, name, strings.Repeat("5 ", 18), start)
		p, s, err := parseStat([]byte(line))
		if err != nil || p != pid || s != start {
			t.Fatalf("%q: %d, %d, %v", line, p, s, err)
		}
	})
}

// FuzzCgroup: every line that is read is found under each of its controllers,
// and the container's own cgroup is a part of the path.
func FuzzCgroup(f *testing.F) {
	f.Add([]byte("9:name=systemd:/a\n4:cpu,cpuacct:/docker/x:y\n0::/\n"))
	f.Add([]byte("0::/system.slice/docker-" + strings.Repeat("0f", 32) + ".scope/a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		paths, err := parseCgroup(data)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, c := range slices.Sorted(mapsKeys(paths)) {
			p := paths[c]
			again.WriteString("1:" + c + ":" + p + "\n")
			own, id, known := containerCgroup(p)
			if known && !within(p, own) || !known && (own != "" || id != "") || id != "" && !strings.Contains(own, id) {
				t.Fatalf("%q: own %q, id %q, known %t", p, own, id, known)
			}
		}
		second, err := parseCgroup([]byte(again.String()))
		if err != nil || !reflect.DeepEqual(paths, second) {
			t.Fatalf("%q is %v, written again as %q %v, %v", data, paths, again.String(), second, err)
		}
	})
}

// FuzzRates: what is allowed of devices is more than nothing, and no more lines
// than there were.
func FuzzRates(f *testing.F) {
	f.Add([]byte("254:0 1048576\n8:0 5\n"), false)
	f.Add([]byte("8:0 rbps=1048576 wbps=max riops=max wiops=max\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, v2 bool) {
		rates, ok := parseRates(data, "rbps", v2)
		if !ok {
			return
		}
		if lines := strings.Count(string(data), "\n") + 1; len(rates) > lines {
			t.Fatalf("%d rates of %d lines", len(rates), lines)
		}
		for _, r := range rates {
			if r.Value <= 0 || !strings.Contains(string(data), itoa(r.Value)) {
				t.Fatalf("%q: a rate of %d", data, r.Value)
			}
		}
	})
}

// FuzzFromInside: whatever the table of mounts says, each unseen path is a field
// that there is, so that nothing is hidden by a misspelling, and a mount of
// which the kind is unseen hides what it might expose.
func FuzzFromInside(f *testing.F) {
	for _, line := range []string{"700 600 8:1 /a /x rw - ext4 /dev/sda1 rw", "700 600 0:6 / /dev rw - devtmpfs devtmpfs rw",
		"700 600 8:1 /d/volumes/db/_data /data/y rw shared:1 - ext4 /dev/sda1 ro", "700 600 0:1 / /dev/shm rw - tmpfs tmpfs rw"} {
		f.Add(line)
	}
	root := layOut(f, "version2", nil)
	name := filepath.Join(root, "proc/1/mountinfo")
	base, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		if err := os.WriteFile(name, append(slices.Clone(base), lines+"\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := FromInside(Inside{Root: root})
		if err != nil {
			return
		}
		got := toSeen(t, s)
		for _, u := range s.Unseen {
			if !resolves(got.spec, strings.TrimSuffix(u.Path, Open)) {
				t.Fatalf("%q: no field %s", lines, u.Path)
			}
		}
		for i, m := range s.Mounts {
			at := fmt.Sprintf("mounts[%d].", i)
			if m.Type == "" && !(got.hidden(at+"type") && got.hidden(at+"source") && (got.hidden(at+"exposes") || got.open(at+"exposes"))) {
				t.Fatalf("%q: %+v is said to be known", lines, m)
			}
		}
	})
}

// resolves is true when a path of an unseen list leads to a value.
func resolves(tree map[string]any, path string) bool {
	var at any = tree
	for _, name := range strings.Split(strings.ReplaceAll(path, "[", ".["), ".") {
		switch x := at.(type) {
		case map[string]any:
			value, there := x[name]
			if !there {
				return false
			}
			at = value
		case []any:
			i, err := strconv.Atoi(strings.Trim(name, "[]"))
			if name == "[*]" {
				return true
			}
			if err != nil || i >= len(x) {
				return false
			}
			at = x[i]
		default:
			return false
		}
	}
	return true
}
