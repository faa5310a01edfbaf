// Package contents makes facts of what the files of an image are: who may write to them,
// what they run as, what is left that a container does not need, and what of the layers is
// vain.
//
// [Collector.Wants] picks the few files that have to be read, [Collector.File] reads one
// ([Told]), and [Of] makes the facts of all that is there in the end (facts.Contents). What a
// file tells depends on that file alone, so that it can be kept by layer.
package contents

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/linking"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Told is what a file of accounts says.
type Told struct {
	Path string
	// Layer is the number of the layer that the file is in.
	Layer int `json:"-"`
	// Empty are accounts whose password is empty, Roots those beside root with uid 0.
	Empty, Roots []string `json:",omitempty"`
	// Unread is why it could not be read, "" if it could.
	Unread string `json:",omitempty"`
}

// most is how many bytes a file of accounts may have.
const most = 8 << 20

// Wants says whether an entry is a file of accounts (passwd(5), shadow(5)).
func Wants(e *image.Entry) bool {
	return e.Kind == image.Plain && e.Mode.IsRegular() && (e.Path == "/etc/passwd" || e.Path == "/etc/shadow")
}

// File reads an entry that is wanted; nil is one that tells nothing. The error is that of
// its body.
func File(e *image.Entry) (*Told, error) {
	t := &Told{Path: e.Path, Layer: e.Layer}
	if e.Size > most {
		t.Unread = "it is too long"
		return t, nil
	}
	lines := bufio.NewScanner(e.Body)
	lines.Buffer(nil, most)
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		if len(f) < 2 || f[0] == "" || strings.HasPrefix(f[0], "#") {
			continue
		}
		if f[1] == "" {
			t.Empty = append(t.Empty, clean(f[0]))
		}
		if e.Path == "/etc/passwd" && len(f) > 2 && strings.TrimLeft(f[2], "0") == "" && f[2] != "" && f[0] != "root" {
			t.Roots = append(t.Roots, clean(f[0]))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if t.Empty == nil && t.Roots == nil {
		return nil, nil
	}
	return t, nil
}

// clean is a name as facts have it.
func clean(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// list gathers paths, up to a bound.
type list struct {
	paths []string
	more  bool
}

func (l *list) add(p string) {
	if len(l.paths) == facts.MaxPaths {
		l.more = true
		return
	}
	l.paths = append(l.paths, clean(p))
}

// Seen is what was seen of an image beside what its view has.
type Seen struct {
	// Layers are the entries of each layer.
	Layers [][]image.Entry
	Told   []Told
	// Sums are of contents, by their numbers (image.File); nil where none was made.
	Sums map[int]uint64
	// Tree is what its programs need.
	Tree *linking.Tree
}

// Of makes the facts.
func Of(v *image.View, seen Seen, os sbom.OS) facts.Contents {
	layers, told := seen.Layers, seen.Told
	c := facts.Contents{Duplicates: []facts.Duplicate{}, Unlinked: []facts.Bytes{}, Layers: []facts.LayerBytes{}, Distribution: name(os), Capable: []facts.CapableFile{}, EmptyPasswords: []string{}, Roots: []string{}, Caches: []facts.Bytes{}, Efficiency: 1}
	hide := func(path, reason string) {
		c.Unseen = append(c.Unseen, workload.Unseen{Path: path, Reason: reason})
	}
	if ends, known := supported(os); known {
		c.SupportEnds = ends
	} else {
		hide("support_ends", "it is not known until when its distribution is mended")
	}
	lists := map[string]*list{}
	for _, what := range []string{"world_writable", "devices", "shells", "compilers", "package_managers", "network_tools", "host_keys", "authorized_keys", "repositories"} {
		lists[what] = &list{paths: []string{}}
	}
	cached := map[string]int64{}
	for f := range v.All() {
		for _, what := range of(&f) {
			lists[what].add(f.Path)
		}
		if !f.Mode.IsRegular() {
			continue
		}
		if f.Mode.Perm()&0o111 != 0 {
			c.Executables++
		}
		if dir := cacheOf(f.Path); dir != "" {
			cached[dir] += f.Size
		}
		if isDocumentation(f.Path) {
			c.Documentation += f.Size
		}
	}
	for dir, bytes := range cached {
		c.Caches = append(c.Caches, facts.Bytes{Path: dir, Bytes: bytes})
	}
	slices.SortFunc(c.Caches, func(a, b facts.Bytes) int { return strings.Compare(a.Path, b.Path) })
	for n := range layers {
		for i := range layers[n] {
			e := &layers[n][i]
			names := granted(e.Xattrs["security.capability"])
			if at, there := v.Stat(e.Path); there && at.Layer == n && len(names) > 0 && len(c.Capable) < facts.MaxPaths {
				c.Capable = append(c.Capable, facts.CapableFile{Path: clean(e.Path), Capabilities: names})
			}
		}
	}
	slices.SortFunc(c.Capable, func(a, b facts.CapableFile) int { return strings.Compare(a.Path, b.Path) })
	for _, t := range told {
		at, there := v.Stat(t.Path)
		if !there || at.Layer != t.Layer {
			continue
		}
		if t.Unread != "" {
			hide("empty_passwords", t.Path+": "+t.Unread)
			hide("roots", t.Path+": "+t.Unread)
		}
		c.EmptyPasswords, c.Roots = append(c.EmptyPasswords, t.Empty...), append(c.Roots, t.Roots...)
	}
	slices.Sort(c.EmptyPasswords)
	c.EmptyPasswords = slices.Compact(c.EmptyPasswords)
	slices.Sort(c.Roots)
	if seen.Sums == nil {
		hide("duplicates", "the files of a folder are not read as a whole")
	} else if c.Duplicates = duplicates(v, seen.Sums); len(c.Duplicates) > facts.MaxPaths {
		c.Duplicates = c.Duplicates[:facts.MaxPaths]
		hide("duplicates"+workload.Open, "there are more than are kept")
	}
	for _, f := range seen.Tree.Unlinked() {
		if len(c.Unlinked) == facts.MaxPaths {
			hide("unlinked"+workload.Open, "there are more than are kept")
			break
		}
		c.Unlinked = append(c.Unlinked, facts.Bytes{Path: clean(f.Path), Bytes: f.Size})
	}
	for _, use := range v.Layers {
		c.Layers = append(c.Layers, facts.LayerBytes{Bytes: use.Bytes, Overwritten: use.Overwritten, Deleted: use.Deleted})
		c.Size += use.Bytes
		c.Wasted += use.Overwritten + use.Deleted
	}
	if c.Size > 0 {
		c.Efficiency = 1 - float64(c.Wasted)/float64(c.Size)
	}
	for what, into := range map[string]*[]string{"world_writable": &c.WorldWritable, "devices": &c.Devices, "shells": &c.Shells, "compilers": &c.Compilers, "package_managers": &c.PackageManagers,
		"network_tools": &c.NetworkTools, "host_keys": &c.HostKeys, "authorized_keys": &c.AuthorizedKeys, "repositories": &c.Repositories} {
		*into = lists[what].paths
		if lists[what].more {
			hide(what+workload.Open, "there are more than are kept")
		}
	}
	slices.SortFunc(c.Unseen, func(a, b workload.Unseen) int { return strings.Compare(a.Path, b.Path) })
	return c
}

// duplicates are the files that are equal, by size and sum, those that waste most first. Hard
// links are one file.
func duplicates(v *image.View, sums map[int]uint64) []facts.Duplicate {
	type key struct {
		size int64
		sum  uint64
	}
	first := map[key]image.File{}
	more := map[key][]image.File{}
	counted := map[int]bool{}
	for f := range v.All() {
		sum, is := sums[f.Content]
		if !is || !f.Mode.IsRegular() || counted[f.Content] {
			continue
		}
		counted[f.Content] = true
		k := key{f.Size, sum}
		if _, twice := first[k]; twice {
			more[k] = append(more[k], f)
		} else {
			first[k] = f
		}
	}
	list := []facts.Duplicate{}
	for k, files := range more {
		d := facts.Duplicate{Paths: []string{clean(first[k].Path)}, Bytes: k.size, Saved: k.size * int64(len(files))}
		for _, f := range files {
			if len(d.Paths) < facts.MaxPaths {
				d.Paths = append(d.Paths, clean(f.Path))
			}
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b facts.Duplicate) int {
		return cmp.Or(cmp.Compare(b.Saved, a.Saved), strings.Compare(a.Paths[0], b.Paths[0]))
	})
	return list
}

// of are the lists that a path belongs to.
func of(f *image.File) []string {
	var in []string
	base := path.Base(f.Path)
	switch {
	case f.Mode&fs.ModeSymlink != 0:
		return nil // what it leads to counts
	case f.Mode&fs.ModeDevice != 0:
		if !strings.HasPrefix(f.Path, "/dev/") || !ordinaryDevice[base] {
			in = append(in, "devices")
		}
		return in
	case f.Mode.Perm()&0o002 != 0 && (!f.Mode.IsDir() || f.Mode&fs.ModeSticky == 0) && !strings.HasPrefix(f.Path, "/dev/"):
		in = append(in, "world_writable")
	}
	if f.Mode.IsDir() {
		if base == ".git" || base == ".hg" || base == ".svn" {
			in = append(in, "repositories")
		}
		return in
	}
	if f.Mode.IsRegular() && f.Mode.Perm()&0o111 != 0 {
		if what := programs[base]; what != "" && inPath(path.Dir(f.Path)) {
			in = append(in, what)
		}
	}
	switch {
	case strings.HasPrefix(f.Path, "/etc/ssh/ssh_host_") && strings.HasSuffix(base, "_key"):
		in = append(in, "host_keys")
	case base == "authorized_keys" && path.Base(path.Dir(f.Path)) == ".ssh" && f.Size > 0:
		in = append(in, "authorized_keys")
	}
	return in
}

// ordinaryDevice are those that engines make anyhow (the OCI runtime specification,
// config-linux.md, Default Devices).
var ordinaryDevice = map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true, "console": true, "ptmx": true}

// programs are what programs are, by their names.
var programs = func() map[string]string {
	all := map[string]string{}
	for what, names := range map[string]string{
		"shells":           "sh bash dash ash zsh ksh mksh fish tcsh csh busybox",
		"compilers":        "gcc g++ cc c++ clang clang++ tcc rustc go javac ghc as ld ld.bfd ld.gold ld.lld make cmake",
		"package_managers": "apt apt-get aptitude dpkg apk rpm yum dnf microdnf zypper pacman pip pip3 npm yarn pnpm gem composer cargo",
		"network_tools":    "curl wget nc ncat netcat nc.openbsd nc.traditional socat telnet ssh scp ftp tftp nmap tcpdump",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = what
		}
	}
	return all
}()

// inPath is true for folders that programs are started from.
func inPath(dir string) bool {
	base := path.Base(dir)
	return base == "bin" || base == "sbin"
}

// caches are folders of package managers whose content nothing needs.
var caches = []string{"/var/lib/apt/lists", "/var/cache/apt", "/var/cache/apk", "/var/cache/yum", "/var/cache/dnf", "/var/cache/zypp", "/root/.cache", "/root/.npm", "/usr/local/share/.cache", "/root/.m2/repository",
	"/root/.gradle/caches", "/root/go/pkg/mod/cache", "/root/.cargo/registry", "/var/cache/debconf", "/var/cache/ldconfig"}

func cacheOf(p string) string {
	for _, dir := range caches {
		if strings.HasPrefix(p, dir) && len(p) > len(dir) && p[len(dir)] == '/' {
			return dir
		}
	}
	return ""
}

func isDocumentation(p string) bool {
	for _, dir := range []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/gtk-doc/", "/usr/local/share/man/", "/usr/local/share/doc/"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}

// granted are the capabilities of a file's attribute (linux/capability.h, struct
// vfs_cap_data): a magic with the revision, then two words of permitted and inheritable
// sets, little endian.
func granted(attribute string) []string {
	data := []byte(attribute)
	if len(data) < 12 {
		return nil
	}
	set := uint64(binary.LittleEndian.Uint32(data[4:]))
	if revision := binary.LittleEndian.Uint32(data) >> 24; revision >= 2 && len(data) >= 20 {
		set |= uint64(binary.LittleEndian.Uint32(data[12:])) << 32
	}
	var names []string
	for n, name := range capabilities {
		if set>>n&1 != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// capabilities are their names by number (linux/capability.h).
var capabilities = strings.Fields("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER " +
	"SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG " +
	"WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE")

// name is a distribution in two words.
func name(os sbom.OS) string {
	short, _, _ := strings.Cut(os.Name, " (")
	short = strings.Replace(short, " GNU/Linux", "", 1)
	if short == "" {
		short = strings.TrimSpace(os.ID + " " + os.VersionID)
	}
	return clean(short)
}
