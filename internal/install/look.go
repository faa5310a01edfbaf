package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/accounts"
	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/posixacl"
)

// Plan is what an install would do on a host.
type Plan struct {
	// Notes are what whoever installs should know.
	Notes  []string
	record *Record
	files  []file
	steps  []step
	undo   func(context.Context) error
}

// step is one thing to do. It may be done again.
type step struct {
	says string
	do   func(context.Context) error
}

// byHand is for hosts where this cannot be done.
const byHand = "The gate can stand here all the same, as  plimsoll gate --listen unix:///PATH  started by what starts\nservices here: docs/gate.md, \"By hand\""

// Look looks at the host and says what an install would do. Nothing is changed. The error,
// a *Failure, is why it can't be done here.
func (h *Host) Look(ctx context.Context) (*Plan, error) {
	if h.UID != 0 {
		return nil, notRoot("gate install")
	}
	// sd_booted(3)
	if info, err := os.Lstat(h.at("/run/systemd/system")); err != nil || !info.IsDir() {
		return nil, &Failure{Message: "this host is not run by systemd", Hint: byHand}
	}
	if !plainPath(h.State) || !strings.HasPrefix(h.State, "/var/lib/") {
		return nil, &Failure{Message: "the gate's unit can't keep its trail in " + h.State, Hint: "Leave out --state, or name a folder below /var/lib"}
	}
	if !plainPath(h.Policy) {
		return nil, &Failure{Message: fmt.Sprintf("the policy's path %q is not absolute, or of characters that a unit can't name as they are", h.Policy), Hint: "Leave out --policy, or name a plainer path"}
	}
	if err := h.trusted(); err != nil {
		return nil, err
	}
	p := &Plan{}
	earlier, err := h.ReadRecord()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	now, err := h.dockers(ctx, p, earlier != nil)
	if err != nil {
		return nil, err
	}
	if earlier == nil {
		if earlier, err = h.atFirst(now); err != nil {
			return nil, err
		}
	} else if earlier.Done {
		p.Notes = append(p.Notes, "the gate is installed already: what is there is checked, and made good")
		if earlier.Policy != h.Policy {
			p.Notes = append(p.Notes, earlier.Policy+" does not count any more, and stays")
			earlier.PolicyMade = ""
		}
	}
	if earlier.Mode&0o006 != 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s has the mode %04o: everybody on this host may use the engine, and still may", now, earlier.Mode))
	}
	earlier.Policy, earlier.Time = h.Policy, h.Now().UTC()
	p.record = earlier
	if err := h.plan(p); err != nil {
		return nil, err
	}
	if !earlier.Done {
		p.undo = func(ctx context.Context) error { return h.putBack(ctx, earlier) }
		return p, nil
	}
	p.undo, err = h.asInstalled(p, *earlier)
	return p, err
}

// atFirst is the record of a host that has no gate.
func (h *Host) atFirst(socket string) (*Record, error) {
	var st unix.Stat_t
	if err := unix.Lstat(h.at(socket), &st); err != nil {
		return nil, &Failure{Message: "docker.socket's " + socket + " can't be looked at", Hint: "systemctl restart docker.socket docker", Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, &Failure{Message: socket + " is no socket", Hint: "systemctl restart docker.socket docker  makes it one. Or clients are sent elsewhere here: stand the gate by hand"}
	}
	fd, err := unix.Open(h.at(socket), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &Failure{Message: socket + " can't be looked at", Err: err}
	}
	defer unix.Close(fd)
	// The gate's socket is made anew at each boot, by a unit that can give it a user, a
	// group and a mode.
	if list, err := posixacl.Of(fd); err != nil || len(list) > 0 {
		return nil, &Failure{Message: socket + " has an access control list, which the gate's socket would not have", Hint: "Put those users into the socket's group, and  setfacl -b " + socket, Err: err}
	}
	if pid, err := listener(h.at(socket)); err != nil || pid != 1 {
		return nil, &Failure{Message: fmt.Sprintf("it is process %d, not systemd, that listens on %s", pid, socket), Hint: "systemctl restart docker.socket docker  makes the socket anew; look first what took its place", Err: err}
	}
	return &Record{Schema: recordSchema, Socket: socket, UID: st.Uid, GID: st.Gid, Mode: st.Mode & 0o777}, nil
}

// properties asks systemd for properties of a unit; one that is there several times has
// as many values.
func (h *Host) properties(ctx context.Context, unit string, names ...string) (map[string][]string, error) {
	out, err := h.run(ctx, "systemctl", "show", unit, "--property="+strings.Join(names, ","))
	if err != nil {
		return nil, &Failure{Message: "systemd can't be asked about " + unit, Err: err}
	}
	values := map[string][]string{}
	for line := range strings.Lines(out) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && value != "" {
			values[name] = append(values[name], value)
		}
	}
	return values, nil
}

func first(values []string) string { return append(values, "")[0] }

// handedHint is for engines that make their socket themselves: the gate would be removed
// with it, for such an engine takes its path away when it ends.
const handedHint = `Let systemd make the socket, at a time when the engine may restart (which stops containers, but for live-restore):
take unix://… out of "hosts" in /etc/docker/daemon.json and out of the unit's command line, which is to have  -H fd://
systemctl enable docker.socket && systemctl stop docker && systemctl start docker.socket docker
Or stand the gate by hand: docs/gate.md, "By hand"`

// dockers checks that the engine is one that gets its socket from systemd, and gives the
// path that clients know.
func (h *Host) dockers(ctx context.Context, p *Plan, again bool) (string, error) {
	service, err := h.properties(ctx, dockerService, "LoadState", "ActiveState", "MainPID")
	if err != nil {
		return "", err
	}
	if first(service["LoadState"]) != "loaded" {
		return "", &Failure{Message: "there is no docker.service here", Hint: "An engine that runs for one user, or from a snap, has no such unit. " + byHand}
	}
	if state := first(service["ActiveState"]); state != "active" {
		return "", &Failure{Message: "the engine is " + state, Hint: "systemctl start docker"}
	}
	pid, err := strconv.Atoi(first(service["MainPID"]))
	if err != nil {
		return "", &Failure{Message: "systemd does not say which process the engine is", Err: err}
	}
	hosts, err := h.hosts(pid)
	if err != nil {
		return "", &Failure{Message: "the engine's configuration can't be read", Err: err}
	}
	handed := false
	for _, host := range hosts {
		if strings.HasPrefix(host, "fd:") {
			handed = true
			continue
		}
		p.Notes = append(p.Notes, "the engine listens at "+host+" too: what comes in there does not pass the gate")
	}
	socket, err := h.properties(ctx, dockerSocket, "LoadState", "ActiveState", "Listen")
	if err != nil {
		return "", err
	}
	if !handed || first(socket["LoadState"]) != "loaded" || first(socket["ActiveState"]) != "active" {
		return "", &Failure{Message: "the engine makes its socket itself, without docker.socket", Hint: handedHint}
	}
	listens := socket["Listen"]
	if first(listens) == EngineSocket+" (Stream)" && len(listens) == 1 {
		if again {
			return EngineSocket, nil
		}
		return "", &Failure{Message: "docker.socket is moved already, and " + h.recordPath() + " is not there to say from where", Hint: "Take the gate away by hand, as docs/gate.md says, and install it again"}
	}
	path, stream := strings.CutSuffix(first(listens), " (Stream)")
	if len(listens) != 1 || !stream || !plainPath(path) {
		return "", &Failure{Message: "docker.socket listens at " + strings.Join(listens, " and "), Hint: "The gate stands before one socket of files. Take the others out: systemctl edit docker.socket"}
	}
	return path, nil
}

// hosts are where the engine of process pid listens.
func (h *Host) hosts(pid int) ([]string, error) {
	line, err := os.ReadFile(h.at(fmt.Sprintf("/proc/%d/cmdline", pid)))
	if err != nil {
		return nil, err
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	flags, err := dockerd.ParseCommandLine(words, "")
	if err != nil {
		return nil, err
	}
	name := dockerd.Merge(flags, nil).Text("config-file")
	data, err := os.ReadFile(h.at(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var settings []dockerd.Setting
	if err == nil {
		if settings, err = dockerd.ParseFile(name, data); err != nil {
			return nil, err
		}
	}
	return dockerd.Merge(flags, settings).List("hosts"), nil
}

var plain = regexp.MustCompile(`^/[A-Za-z0-9/._+@-]+$`)

// plainPath says that a path means the same to units, sysusers.d(5) and a shell without
// quotes.
func plainPath(path string) bool { return plain.MatchString(path) && filepath.Clean(path) == path }

// trusted checks that nobody but root can change the program: it is going to stand before
// what is as good as root.
func (h *Host) trusted() error {
	if len(h.Program) == 0 {
		return errors.New("looking at the gate's program: none is given")
	}
	hint := "Put it where only root writes, such as:  install -o root -m 755 " + h.Program[0] + " /usr/local/sbin/  and run it from there"
	path, err := filepath.EvalSymlinks(h.Program[0])
	if err != nil {
		return &Failure{Message: "the gate's program can't be found", Err: err}
	}
	if !plainPath(path) {
		return &Failure{Message: fmt.Sprintf("the path of the gate's program, %q, has characters that a unit can't name as they are", path), Hint: hint}
	}
	for p := path; ; p = filepath.Dir(p) {
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil {
			return &Failure{Message: "the gate's program can't be looked at", Err: err}
		}
		if st.Uid != 0 || st.Mode&0o022 != 0 {
			return &Failure{Message: p + " can be changed by others than root, and with it the gate's program", Hint: "chown root " + p + " && chmod go-w " + p + "\n" + hint}
		}
		if p == path && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0) {
			return &Failure{Message: p + " is no program"}
		}
		if p == "/" {
			h.Program = append([]string{path}, h.Program[1:]...)
			return nil
		}
	}
}

// book has the accounts of the host's files.
func (h *Host) book() *accounts.Book {
	passwd, _ := os.ReadFile(h.at("/etc/passwd"))
	group, _ := os.ReadFile(h.at("/etc/group"))
	return accounts.Read(passwd, group)
}

// names are the user and group of a record as a unit names them.
func (h *Host) names(r *Record) (user, group string) {
	book := h.book()
	user, group = strconv.Itoa(int(r.UID)), strconv.Itoa(int(r.GID))
	if u, found := book.User(r.UID); found && unitName.MatchString(u.Name) {
		user = u.Name
	}
	if g, found := book.Group(r.GID); found && unitName.MatchString(g.Name) {
		group = g.Name
	}
	return user, group
}

// unitName are names of users that systemd takes in any mode (its valid_user_group_name).
var unitName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

// plan lists what is to be done.
func (h *Host) plan(p *Plan) error {
	r := p.record
	user, group := h.names(r)
	p.files = []file{
		{path: usersFile, text: usersText},
		{path: folderFile, text: folderText},
		{path: units + Socket, text: socketText(r.Socket, user, group, r.Mode)},
		{path: units + Service, text: serviceText(h.Program, h.State, h.Policy)},
		{path: dropIn, text: dropInText},
		{path: units + "sockets.target.wants/" + Socket, target: units + Socket},
		{path: units + dockerService + ".wants/" + Service, target: units + Service},
	}
	add := func(says string, do func(context.Context) error) { p.steps = append(p.steps, step{says, do}) }
	add("write down what there is, in "+h.recordPath(), func(context.Context) error { return h.begin(r) })
	for _, f := range p.files[:2] {
		add("write "+f.path, func(context.Context) error { return h.writeFile(r, f) })
	}
	add("make the user "+User+" and the folder "+EngineFolder, func(ctx context.Context) error { return h.makeUser(ctx, r) })
	data, err := os.ReadFile(h.at(h.Policy))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.files = append(p.files, file{path: h.Policy, text: PolicyText})
		add("write "+h.Policy+", which only observes", func(context.Context) error { return h.writePolicy(r) })
	case err != nil:
		return &Failure{Message: "the policy can't be read", Err: err}
	case r.PolicyMade != digest(data):
		p.Notes = append(p.Notes, h.Policy+" is there: the gate is ruled by it as it is")
	}
	add("check the policy", func(ctx context.Context) error {
		words := append(slices.Clone(h.Program), "--check", "--policy", h.Policy)
		_, err := h.run(ctx, words[0], words[1:]...)
		return err
	})
	for _, f := range p.files[2:7] {
		add("write "+f.path, func(context.Context) error { return h.writeFile(r, f) })
	}
	add("give the engine's socket the name "+EngineSocket+" beside "+r.Socket, func(ctx context.Context) error { return h.linkEngine(ctx, r) })
	add("systemctl daemon-reload", func(ctx context.Context) error { return h.reload(ctx, r) })
	add("systemctl start "+Socket+", which takes "+r.Socket, func(ctx context.Context) error { return h.takePlace(ctx, r) })
	add("give the engine's socket to root and the group "+User, func(context.Context) error { return h.giveEngine(r) })
	add("systemctl start "+Service, h.start)
	add("try requests through the gate", func(ctx context.Context) error { return h.try(ctx, r) })
	add("write down that it is done", func(context.Context) error {
		r.Done = true
		return h.keep(r)
	})
	return nil
}
