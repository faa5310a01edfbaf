//go:build soak

package trail

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// guestModules are what Debian's kernel needs to see a disk of qemu, in their order.
var guestModules = []string{"virtio/virtio_ring.ko", "virtio/virtio.ko", "virtio/virtio_pci_legacy_dev.ko", "virtio/virtio_pci_modern_dev.ko", "virtio/virtio_pci.ko", "block/virtio_blk.ko"}

// guestInit is the only program of the guest but the appender.
const guestInit = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for m in /modules/*; do /bin/busybox insmod $m; done
/bin/busybox mount -t ext4 /dev/vda /disk || /bin/busybox poweroff -f
echo the guest appends
` + appendEnv + `=/disk/trail /append.test
echo the appender ended
/bin/busybox poweroff -f
`

// need finds something of the machine that the test cannot do without.
func need(t *testing.T, pattern, debian string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no %s: it is of the package %s; run make soak", pattern, debian)
	}
	return found[len(found)-1]
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// guest makes the kernel and the first file system of a guest that appends.
func guest(t *testing.T) (kernel, initrd string) {
	t.Helper()
	const debian = "linux-image-cloud-amd64"
	const doc = "/usr/share/doc/" + debian // all that the package itself has
	root, _, err := lab.Program(debian, doc)
	if err != nil {
		t.Fatal(err)
	}
	root = strings.TrimSuffix(root, doc)
	kernel = need(t, root+"/boot/vmlinuz-*cloud-amd64", debian)
	dir := filepath.Join(t.TempDir(), "guest")
	for _, sub := range []string{"bin", "dev", "proc", "disk", "modules"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyTo := func(from, to string) {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyTo(need(t, "/bin/busybox", "busybox-static"), "bin/busybox")
	// The guest has no C library.
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "append.test"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the appender: %v\n%s", err, out)
	}
	for i, m := range guestModules {
		copyTo(need(t, root+"/lib/modules/*-cloud-amd64/kernel/drivers/"+m, debian), fmt.Sprintf("modules/%d.ko", i))
	}
	if err := os.WriteFile(filepath.Join(dir, "init"), []byte(guestInit), 0o755); err != nil {
		t.Fatal(err)
	}
	initrd = filepath.Join(t.TempDir(), "initrd")
	run(t, dir, "/bin/busybox", "sh", "-c", "find . | /bin/busybox cpio -o -H newc > "+initrd)
	return kernel, initrd
}

// answered is a whole line: the power may be cut within one.
var answered = regexp.MustCompile(`^([0-9]+) ([0-9]+-[0-9]+)\r?\n$`)

// TestPowerCut: a machine whose power is cut while 64 goroutines append loses nothing
// that was acknowledged. What its kernel had not written is gone with it.
func TestPowerCut(t *testing.T) {
	qemu := need(t, "/usr/bin/qemu-system-x86_64", "qemu-system-x86")
	kernel, initrd := guest(t)
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	run(t, dir, "truncate", "-s", "512M", disk)
	run(t, dir, "mkfs.ext4", "-q", "-F", disk)
	acknowledged := map[int64]string{}
	for round := range 20 {
		cmd := exec.CommandContext(t.Context(), qemu, "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
			"-drive", "file="+disk+",if=virtio,format=raw", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=1 random.trust_cpu=on")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := 50 + rand.IntN(1500)
		var said bytes.Buffer
		lines, n := bufio.NewReader(out), 0
		for {
			line, err := lines.ReadBytes('\n')
			m := answered.FindSubmatch(line)
			if m == nil {
				said.Write(line)
			}
			if err != nil {
				break
			}
			if m == nil {
				continue
			}
			var seq int64
			fmt.Sscan(string(m[1]), &seq)
			if other, twice := acknowledged[seq]; twice {
				t.Fatalf("event %d is %s and %s", seq, other, m[2])
			}
			acknowledged[seq] = string(m[2])
			if n++; n == after {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if n < after {
			t.Fatalf("round %d: only %d events:\n%s", round, n, said.String())
		}
		// The next round begins with the disk as it is; a copy is looked at.
		seen := filepath.Join(dir, fmt.Sprintf("seen-%d", round))
		if err := os.Mkdir(seen, 0o700); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "cp", "--sparse=always", disk, "copy")
		// Exit code 1 says that it mended something: the journal, at least.
		fsck := exec.Command("e2fsck", "-fy", filepath.Join(dir, "copy"))
		if out, err := fsck.CombinedOutput(); fsck.ProcessState.ExitCode() > 1 {
			t.Fatalf("e2fsck: %v\n%s", err, out)
		}
		run(t, dir, "debugfs", "-R", "rdump /trail "+seen, "copy")
		held(t, fmt.Sprintf("power cut %d, after %d events", round, n), filepath.Join(seen, "trail"), acknowledged)
		if t.Failed() {
			return
		}
		os.RemoveAll(seen)
	}
	t.Logf("%d events were acknowledged", len(acknowledged))
}
