package workload

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A host with its usual mounts, and with binds that give places a second path.
const boundTable = `1 0 254:1 / / rw - ext4 /dev/vda1 rw
2 1 0:22 / /run rw - tmpfs tmpfs rw
3 1 254:2 / /srv rw - xfs /dev/vda2 rw
4 3 0:22 / /srv/rundir rw - tmpfs tmpfs rw
5 3 0:22 /docker.sock /srv/deep/er/sock rw - tmpfs tmpfs rw
6 3 254:1 / /srv/root rw - ext4 /dev/vda1 rw
7 3 254:1 /etc /srv/settings rw - ext4 /dev/vda1 rw
8 1 254:2 /homes /home rw - xfs /dev/vda2 rw
9 2 0:4 net:[4026532] /run/netns/x rw - nsfs nsfs rw
10 1 254:3 / /data rw - ext4 /dev/vda3 rw
11 10 0:30 / /data/hidden rw - tmpfs tmpfs rw
12 10 254:1 /etc /data/hidden rw - ext4 /dev/vda1 rw
14 1 254:3 /shop /var/lib/docker/volumes/comp/_data rw - ext4 /dev/vda3 rw
16 14 254:1 /etc /var/lib/docker/volumes/comp/_data/below rw - ext4 /dev/vda1 rw
15 3 0:40 / /srv/chroot/proc rw - proc proc rw
13 1 254:3 /gone//deleted /data/old rw - ext4 /dev/vda3 rw
`

func TestMountTableAlso(t *testing.T) {
	table, err := ReadMountTable([]byte(boundTable))
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string][]string{
		"/srv/rundir":          {"/run", "/srv/deep/er/sock"},
		"/srv/rundir/docker":   {"/run/docker"},
		"/srv/deep":            {"/run/docker.sock", "/srv/rundir/docker.sock"},
		"/srv/deep/er/sock":    {"/run/docker.sock", "/srv/rundir/docker.sock"},
		"/srv/root":            {"/", "/data/hidden", "/srv/settings"},
		"/srv/root/run":        {},       // the folder that /run is mounted over, and not /run
		"/srv/root/opt":        {"/opt"}, // the same files
		"/srv/settings/ssh":    {"/data/hidden/ssh", "/etc/ssh", "/srv/root/etc/ssh"},
		"/srv/homes":           {"/home"},
		"/srv/homes/ada":       {"/home/ada"},
		"/srv":                 {"/", "/data/hidden", "/etc", "/home", "/proc", "/run", "/run/docker.sock"},
		"/data":                {"/etc", "/srv/root/etc", "/srv/settings"},
		"/data/shop":           {}, // a volume shows it too
		"/srv/chroot":          {"/proc"},
		"/srv/chroot/proc/sys": {"/proc/sys"},
		"/var/lib/docker":      {"/data/hidden", "/data/shop", "/etc", "/srv/root/etc", "/srv/root/var/lib/docker", "/srv/settings"},
		"/etc":                 {"/data/hidden", "/srv/root/etc", "/srv/settings"}, // and no volume that shows it below
		"/usr/share/zoneinfo":  {"/srv/root/usr/share/zoneinfo"},
		"/run/netns":           {"/srv/rundir/netns"},
		"/":                    {},
	} {
		if diff := cmp.Diff(want, append([]string{}, table.Also(p)...)); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
	if _, err := ReadMountTable([]byte("1 0 254:1 / /\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v for a short line", err)
	}
	if none, err := ReadMountTable(nil); err != nil || len(none.Also("/srv")) > 0 {
		t.Errorf("no mounts: %v", err)
	}
}

// What else a mount shows is never below it.
func FuzzMountTable(f *testing.F) {
	f.Add([]byte(boundTable), "/srv/deep")
	f.Add([]byte(boundTable), "/srv/root/run")
	f.Fuzz(func(t *testing.T, data []byte, p string) {
		table, err := ReadMountTable(data)
		if err != nil || path.Clean("/"+p) != p {
			return
		}
		for _, other := range table.Also(p) {
			if within(other, p) {
				t.Errorf("%q shows %q, which is below", p, other)
			}
		}
	})
}
