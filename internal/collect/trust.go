package collect

import (
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// The variables that docker's client knows (docker/cli's cmd/docker and
// cli/trust), and where it keeps keys.
const (
	trustVariable = "DOCKER_CONTENT_TRUST"
	trustServer   = "DOCKER_CONTENT_TRUST_SERVER"
	trustFolder   = ".docker/trust"
)

const (
	// maxTrustUses bounds how many uses are kept.
	maxTrustUses = 1024
	// maxTrustProcesses bounds the processes whose environment is looked at; each takes
	// some 15 µs.
	maxTrustProcesses = 4096
	// maxHomes bounds the folders of users that are looked at.
	maxHomes = 1024
)

// contentTrust is what was found of Content Trust. whole is why nothing of the
// machine was looked at, and rest why there may be more.
type contentTrust struct {
	uses        []facts.ContentTrustUse
	whole, rest string
}

func (t *contentTrust) add(use facts.ContentTrustUse) {
	if len(t.uses) == maxTrustUses {
		t.rest = "there are more than are kept"
		return
	}
	t.uses = append(t.uses, use)
}

// more notes why there may be more uses.
func (t *contentTrust) more(err error, denied string) {
	if errors.Is(err, fs.ErrPermission) {
		t.rest = denied
	} else if err != nil && t.rest == "" {
		t.rest = "a file could not be read: " + err.Error()
	}
}

const trustDenied = "some of the places may not be looked at by this user: run plimsoll as root, and in a container with --cap-add sys_ptrace"

// findContentTrust looks for every use of Content Trust: in the environment of
// processes, of which daemon is the engine, in the files that shells, logins and
// systemd read, in users' folders, and in the files of continuous integration that
// the caller names.
func (c *collector) findContentTrust(daemon int) contentTrust {
	var t contentTrust
	if c.host == nil {
		t.whole = c.noHost
	} else {
		t.processes(filepath.Join(c.Root, "proc"), daemon)
		t.system(c.host)
		for _, home := range homes(c.host) {
			t.home(c.host, home)
		}
	}
	if len(c.CI) > 0 {
		t.searchCI(filepath.Join(c.Root, "/"), c.CI)
	}
	slices.SortStableFunc(t.uses, func(a, b facts.ContentTrustUse) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	t.uses = slices.Compact(t.uses)
	return t
}

// trustFacts makes facts of what was found.
func (c *collector) trustFacts(t contentTrust) {
	c.facts.Host.ContentTrust = append([]facts.ContentTrustUse{}, t.uses...)
	switch {
	case t.whole != "" && len(t.uses) == 0 && len(c.CI) == 0:
		c.unseen("host.content_trust", t.whole)
	case t.whole != "" || t.rest != "":
		c.unseen("host.content_trust"+workload.Open, cmp.Or(t.whole, t.rest))
	}
}

// processes looks at the environment that each process was started with, but for the
// first, whose children have what it hands down, and this one. Of those that are
// called the same, belong to the same user and have the same, one is kept.
func (t *contentTrust) processes(proc string, daemon int) {
	dir, err := os.Open(proc)
	if err != nil {
		t.more(err, trustDenied)
		return
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	t.more(err, trustDenied)
	threads := kernelThreads(int(dir.Fd()))
	own, _ := os.Readlink(filepath.Join(proc, "self"))
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 1 && !threads[name] && name != own {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	if len(pids) > maxTrustProcesses {
		pids, t.rest = pids[:maxTrustProcesses], "there are more processes than are looked at"
	}
	known := map[facts.ContentTrustUse]bool{}
	var buf []byte
	for _, pid := range pids {
		name := strconv.Itoa(pid)
		content, err := readBounded(int(dir.Fd()), name+"/environ", buf)
		if err != nil {
			if errors.Is(err, fs.ErrPermission) { // others have ended
				t.rest = trustDenied
			}
			continue
		}
		buf = content[:cap(content)]
		setting, server, found := trustIn(content)
		if !found {
			continue
		}
		use := facts.ContentTrustUse{Kind: "process", Setting: setting, Server: server}
		if pid == daemon {
			use.Kind = "daemon"
		}
		var at unix.Stat_t
		if unix.Fstatat(int(dir.Fd()), name, &at, unix.AT_SYMLINK_NOFOLLOW) == nil {
			use.UID = strconv.FormatUint(uint64(at.Uid), 10)
		}
		if use.Name, err = readName(filepath.Join(proc, name)); err != nil || known[use] {
			continue
		}
		known[use] = true
		t.add(use)
	}
}

// trustIn reads an environment as /proc has it: NAME=value, each with a NUL behind.
func trustIn(environ []byte) (setting, server string, found bool) {
	if !strings.Contains(string(environ), trustVariable) {
		return "", "", false
	}
	for variable := range strings.SplitSeq(string(environ), "\x00") {
		switch name, value, _ := strings.Cut(variable, "="); name {
		case trustVariable:
			setting, found = settingOf(value), found || value != ""
		case trustServer:
			server, found = hostOf(value), found || value != ""
		}
	}
	return setting, server, found
}

// settingOf is what docker's client makes of a value: what is not false is true,
// and nothing is nothing (docker/cli's cmd/docker/docker.go). The value of a
// variable is not known here.
func settingOf(value string) string {
	on, err := strconv.ParseBool(value)
	switch {
	case value == "" || strings.HasPrefix(value, "$"):
		return ""
	case on || err != nil:
		return "on"
	}
	return "off"
}

// hostOf is the host of a server's address, and no password in it.
func hostOf(value string) string {
	address := value
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "?"
	}
	return u.Host
}

// How files set the two: by assignment, as in shells, unit files, YAML, make and
// Groovy, by the commands of csh and fish, and as a pair of name and value. And how
// commands use Content Trust.
var (
	trustAssigned = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(DOCKER_CONTENT_TRUST(?:_SERVER)?)["']?\s*(?:[:?+]?=|:|,)\s*["']?([^\s"';,)}\]]+)`)
	})
	// trustDefault is a value where there is no other.
	trustDefault = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\$\{(DOCKER_CONTENT_TRUST(?:_SERVER)?):?[-=]["']?([^\s"'}]+)`)
	})
	trustSaid = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[;&|({]|\bthen|\bdo|\belse|[:-]\s)\s*(?:echo|printf)\b(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^;&|>"'])*`)
	})
	trustSet = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bset(?:env)?\s+(?:-\w+\s+)*(DOCKER_CONTENT_TRUST(?:_SERVER)?)\s+["']?([^\s"';,)}]+)`)
	})
	trustNamed = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bname:\s*["']?(DOCKER_CONTENT_TRUST(?:_SERVER)?)["']?\s*$`)
	})
	trustValued  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*value:\s*["']?([^\s"']+)`) })
	trustCommand = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bdocker\s+trust\s+(?:sign|signer|key|revoke|inspect)\b|--disable-content-trust=false\b`)
	})
)

// deeds is a line without what is only said by it: a remark at its end, and what
// it prints, unless that goes into a file or a program.
func deeds(line string) string {
	var open byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && open != '\'':
			i++
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case c == open:
			open = 0
		case open == 0 && i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') && (c == '#' || strings.HasPrefix(line[i:], "// ")):
			line = line[:i]
		}
	}
	var out strings.Builder
	last := 0
	for _, at := range trustSaid().FindAllStringIndex(line, -1) {
		rest := line[at[1]:]
		if strings.HasPrefix(rest, ">") && !strings.HasPrefix(rest, ">&") || strings.HasPrefix(rest, "|") && !strings.HasPrefix(rest, "||") {
			continue
		}
		out.WriteString(line[last:at[0]] + " ")
		last = at[1]
	}
	return out.String() + line[last:]
}

// together puts the uses from a position on together, which are those of one file or
// one unit: where they name one server, the settings are about that.
func (t *contentTrust) together(from int) {
	own := t.uses[from:]
	server, set := "", false
	for _, u := range own {
		if u.Server != "" && server != "" && u.Server != server {
			return // nobody knows which goes with which
		}
		server, set = cmp.Or(server, u.Server), set || u.Setting != ""
	}
	if server == "" || !set {
		return
	}
	own = slices.DeleteFunc(own, func(u facts.ContentTrustUse) bool { return u.Setting == "" })
	for i := range own {
		own[i].Server = server
	}
	t.uses = t.uses[:from+len(own)]
}

// scan looks through the lines of a file.
func (t *contentTrust) scan(kind, file string, data []byte) {
	text := string(data)
	if !strings.Contains(text, trustVariable) && !strings.Contains(text, "trust") {
		return
	}
	named := ""
	number := int64(0)
	defer t.together(len(t.uses))
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimSpace(line)
		if bare == "" || bare[0] == '#' || bare[0] == ';' || strings.HasPrefix(bare, "//") {
			continue
		}
		set := func(name, value string) {
			use := facts.ContentTrustUse{Kind: kind, Path: textOf(file), Line: number}
			if name == trustServer && strings.HasPrefix(value, "$") {
				return
			} else if name == trustServer {
				use.Server = hostOf(value)
			} else if use.Setting = settingOf(value); use.Setting == "" {
				return
			}
			t.add(use)
		}
		line = deeds(strings.TrimRight(line, "\r\n"))
		bare = strings.TrimSpace(line)
		for _, pattern := range []func() *regexp.Regexp{trustAssigned, trustSet, trustDefault} {
			for _, at := range pattern().FindAllStringSubmatchIndex(line, -1) {
				before, value := line[:at[2]], line[at[4]:at[5]]
				read := strings.HasSuffix(before, "$") || strings.HasSuffix(before, "${") // not set
				if at[0] == at[2] && read || value[0] == '=' {
					continue
				}
				set(line[at[2]:at[3]], value)
			}
		}
		if value := trustValued().FindStringSubmatch(line); named != "" && value != nil {
			set(named, value[1])
		}
		named = ""
		if found := trustNamed().FindStringSubmatch(bare); found != nil {
			named = found[1]
		}
		if trustCommand().MatchString(line) {
			t.add(facts.ContentTrustUse{Kind: kind, Path: textOf(file), Line: number, Setting: "on"})
		}
	}
}

// file scans a file of the tree, where it is.
func (t *contentTrust) file(host *tree, kind, name string) []byte {
	data, err := host.read(name)
	t.more(err, trustDenied)
	t.scan(kind, name, data)
	return data
}

// folder scans the files of a folder whose names end so.
func (t *contentTrust) folder(host *tree, kind, name string, endings ...string) {
	names, err := host.list(name)
	t.more(err, trustDenied)
	for _, n := range names {
		if slices.Contains(endings, path.Ext(n)) {
			t.file(host, kind, path.Join(name, n))
		}
	}
}

// system looks at what every shell, login and unit reads.
func (t *contentTrust) system(host *tree) {
	for _, name := range []string{"/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc", "/etc/zsh/zshenv", "/etc/zsh/zshrc", "/etc/zsh/zprofile", "/etc/csh.cshrc", "/etc/default/docker"} {
		t.file(host, "profile", name)
	}
	t.folder(host, "profile", "/etc/profile.d", ".sh", ".csh")
	t.folder(host, "profile", "/etc/environment.d", ".conf")
	t.file(host, "unit", "/etc/systemd/system.conf")
	t.folder(host, "unit", "/etc/systemd/system.conf.d", ".conf")
	for _, folder := range unitFolders {
		t.units(host, folder, !strings.Contains(folder, "/lib/") || strings.HasPrefix(folder, "/usr/local/"))
	}
}

// deploying are parts of the names of services that start images. Of the units that
// packages bring no others are looked at, since there are hundreds.
var deploying = []string{"docker", "container", "buildkit", "runner", "jenkins", "agent"}

// units looks at services and what is dropped in for them, with the files that they
// take their environment from.
func (t *contentTrust) units(host *tree, folder string, all bool) {
	names, err := host.list(folder)
	t.more(err, trustDenied)
	for _, name := range names {
		if !all && !slices.ContainsFunc(deploying, func(part string) bool { return strings.Contains(name, part) }) {
			continue
		}
		at := path.Join(folder, name)
		switch {
		case strings.HasSuffix(name, ".service"):
			t.unit(host, at)
		case strings.HasSuffix(name, ".service.d"):
			drops, err := host.list(at)
			t.more(err, trustDenied)
			for _, drop := range drops {
				if path.Ext(drop) == ".conf" {
					t.unit(host, path.Join(at, drop))
				}
			}
		}
	}
}

func (t *contentTrust) unit(host *tree, name string) {
	defer t.together(len(t.uses))
	for line := range strings.Lines(string(t.file(host, "unit", name))) {
		if file, found := strings.CutPrefix(strings.TrimSpace(line), "EnvironmentFile="); found {
			if file = strings.TrimPrefix(strings.Trim(file, `"`), "-"); path.IsAbs(file) && !strings.ContainsAny(file, "*?[%") {
				t.file(host, "unit", path.Clean(file))
			}
		}
	}
}

// homes are the folders of users, by /etc/passwd, and those in /home, whose users
// another machine may know.
func homes(host *tree) []string {
	data, _ := host.read("/etc/passwd")
	found := []string{"/root"}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(line, ":"); len(fields) > 5 && path.IsAbs(fields[5]) && fields[5] != "/" {
			found = append(found, path.Clean(fields[5]))
		}
	}
	names, _ := host.list("/home")
	for _, name := range names {
		found = append(found, path.Join("/home", name))
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(len(found), maxHomes)]
}

// home looks into a user's folder: what is there is seen without following a link,
// and read with it.
func (t *contentTrust) home(host *tree, home string) {
	folder, err := host.open(home, unix.S_IFDIR, "it is no folder")
	if folder == nil {
		if errors.Is(err, fs.ErrPermission) {
			t.rest = trustDenied
		}
		return
	}
	defer folder.Close()
	has := func(name string) bool {
		var at unix.Stat_t
		err := unix.Fstatat(int(folder.Fd()), name, &at, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, fs.ErrPermission) {
			t.rest = trustDenied
		}
		return err == nil
	}
	for _, name := range []string{".bashrc", ".profile", ".bash_profile", ".bash_login", ".zshrc", ".zshenv", ".zprofile", ".cshrc", ".pam_environment"} {
		if has(name) {
			t.file(host, "profile", path.Join(home, name))
		}
	}
	if has(".config") {
		t.file(host, "profile", path.Join(home, ".config/fish/config.fish"))
		t.folder(host, "profile", path.Join(home, ".config/environment.d"), ".conf")
		t.units(host, path.Join(home, ".config/systemd/user"), true)
	}
	if has(trustFolder) {
		t.keys(host, path.Join(home, trustFolder))
	}
}

// keys counts what a folder of docker's client holds (notary's trustmanager and its
// client): private/ID.key, and tuf/NAME/metadata for a repository, whose name begins
// with that of the registry.
func (t *contentTrust) keys(host *tree, folder string) {
	use := facts.ContentTrustUse{Kind: "folder", Path: folder}
	names, err := host.list(path.Join(folder, "private"))
	t.more(err, trustDenied)
	for _, name := range names {
		if path.Ext(name) == ".key" {
			use.Keys++
		}
	}
	registries, err := host.list(path.Join(folder, "tuf"))
	t.more(err, trustDenied)
	left := maxFiles
	var count func(at string, depth int)
	count = func(at string, depth int) {
		names, err := host.list(at)
		if left -= len(names) + 1; err != nil || depth == 0 || left < 0 {
			return
		}
		for _, name := range names {
			if name == "metadata" {
				use.Repositories++
			} else if name != "changelist" {
				count(path.Join(at, name), depth-1)
			}
		}
	}
	for _, registry := range registries {
		count(path.Join(folder, "tuf", registry), 8)
	}
	if len(registries) > 0 && !slices.Contains(registries, "docker.io") {
		use.Server = textOf(registries[0])
	}
	t.add(use)
}
