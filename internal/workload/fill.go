package workload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/redact"
)

// EnvValueNames are the environment variables whose values are kept: they tune
// a language's runtime, and limits are judged by them.
var EnvValueNames = []string{"GOGC", "GOMAXPROCS", "GOMEMLIMIT", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "NODE_OPTIONS", "UV_THREADPOOL_SIZE"}

// builder fills one Spec from the two configurations that a create request and
// an inspect answer share.
type builder struct {
	spec   *Spec
	cfg    *Config
	host   *HostConfig
	around *Surroundings
	// live is true for an inspect answer: the engine has then merged the
	// image's configuration and its own defaults in.
	live bool
}

// fill is the whole of what both bodies have in common, in the Spec's order.
func (b *builder) fill() error {
	b.image()
	b.process()
	b.environment()
	b.capabilities()
	b.security()
	b.namespaces()
	if err := b.mounts(); err != nil {
		return err
	}
	b.devices()
	if err := b.ports(); err != nil {
		return err
	}
	b.network()
	b.resources()
	b.lifecycle()
	return nil
}

func (b *builder) image() {
	s := b.spec
	s.Image = parseReference(b.cfg.Image)
	s.Image.Tags, s.Image.Digests = []string{}, []string{}
	img := b.around.Image
	if img == nil {
		s.hide(reasonImage, "image.id", "image.tags", "image.digests", "image.created", "image.present")
		if isHex(s.Image.Ref) && len(s.Image.Ref) < 64 {
			s.hide("it may be the beginning of an image's id", "image.name", "image.tag")
		}
		return
	}
	s.Image.ID, s.Image.Present = img.ID, true
	for _, t := range img.Tags {
		s.Image.Tags = append(s.Image.Tags, canonicalReference(t))
	}
	for _, d := range img.Digests {
		s.Image.Digests = append(s.Image.Digests, canonicalReference(d))
	}
	s.Image.Tags, s.Image.Digests = sortedUnique(s.Image.Tags), sortedUnique(s.Image.Digests)
	// What is no name of the image may be the beginning of its id, which the
	// engine looks for after names.
	if named := s.Image.Name + ":" + s.Image.Tag; s.Image.Ref != "" && strings.HasPrefix(img.ID, "sha256:"+s.Image.Ref) && !slices.Contains(s.Image.Tags, named) {
		s.Image.Name, s.Image.Tag = "", ""
	}
	created, err := parseTime(img.Created)
	if err != nil {
		s.hide("the image does not say it", "image.created")
	}
	s.Image.Created = created
}

// fromImage is true when a setting that was left empty is the image's to
// decide and nobody knows what the image says.
func (b *builder) fromImage() bool { return !b.live && b.around.Image == nil }

func (b *builder) process() {
	s, user := b.spec, b.cfg.User
	if user == "" && b.around.Image != nil && !b.live {
		user = b.around.Image.User
	}
	s.User, s.Group = canonicalUser(user)
	if user == "" && b.fromImage() {
		s.User, s.Group = "", ""
		s.hide(reasonImage, "user", "group")
	}
	s.GroupAdd = make([]string, 0, len(b.host.GroupAdd))
	for _, g := range b.host.GroupAdd {
		s.GroupAdd = append(s.GroupAdd, canonicalID(g))
	}
	s.GroupAdd = sortedUnique(s.GroupAdd)

	entry, cmd := []string(b.cfg.Entrypoint), []string(b.cfg.Cmd)
	if img := b.around.Image; img != nil && !b.live && len(entry) == 0 {
		entry = img.Entrypoint
		if len(cmd) == 0 {
			cmd = img.Cmd
		}
	}
	cleared := len(entry) == 1 && entry[0] == "" // --entrypoint "": the image's is not used
	if cleared {
		entry = nil
	}
	if words := append(slices.Clone(entry), cmd...); len(words) > 0 {
		s.Executable = words[0]
	}
	if len(entry) == 0 && !cleared && b.fromImage() {
		s.Executable = ""
		s.hide(reasonImage, "executable")
	}
	s.Hostname, s.Domainname = b.cfg.Hostname, b.cfg.Domainname
	s.Tty, s.OpenStdin, s.StopSignal, s.StopTimeoutSeconds = b.cfg.Tty, b.cfg.OpenStdin, b.cfg.StopSignal, -1
	if b.cfg.StopTimeout != nil {
		s.StopTimeoutSeconds = *b.cfg.StopTimeout
	}
	if s.StopSignal == "" {
		s.StopSignal = "SIGTERM"
		if img := b.around.Image; img != nil && img.StopSignal != "" {
			s.StopSignal = img.StopSignal
		} else if b.fromImage() {
			s.StopSignal = ""
			s.hide(reasonImage, "stop_signal")
		}
	}
}

// environment keeps names, hashes, and the values of a short allow list.
func (b *builder) environment() {
	s, env, labels := b.spec, b.cfg.Env, b.cfg.Labels
	if img := b.around.Image; img != nil && !b.live {
		env = append(slices.Clone(img.Env), env...)
		labels = maps.Clone(img.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, b.cfg.Labels)
	}
	empty := map[string]bool{}
	s.Env, s.EnvValues, s.EnvHashes = []string{}, map[string]string{}, map[string]string{}
	for _, e := range env {
		name, value, set := strings.Cut(e, "=")
		s.Env = append(s.Env, name)
		empty[name] = set && value == ""
		if !set {
			// A bare name asks the engine to unset the variable. The name stays:
			// who runs the line elsewhere may have a value for it.
			delete(s.EnvValues, name)
			delete(s.EnvHashes, name)
			continue
		}
		if slices.Contains(EnvValueNames, name) {
			s.EnvValues[name] = value
		}
		if b.around.EnvKey != nil {
			mac := hmac.New(sha256.New, b.around.EnvKey)
			mac.Write([]byte(value))
			s.EnvHashes[name] = hex.EncodeToString(mac.Sum(nil))
		}
	}
	s.Env = sortedUnique(s.Env)
	s.EnvEmpty = slices.DeleteFunc(slices.Clone(s.Env), func(name string) bool { return !empty[name] })
	if b.around.EnvKey == nil {
		s.hide(reasonNoKey, "env_hashes")
	}
	s.Labels = redact.Labels(labels)
	if b.fromImage() {
		s.hide(reasonImage, "env"+Open, "env_values"+Open, "labels"+Open)
		if b.around.EnvKey != nil {
			s.hide(reasonImage, "env_hashes"+Open)
		}
	}
}

func (b *builder) capabilities() {
	s := b.spec
	s.Privileged = b.host.Privileged
	s.CapAdd, s.CapDrop = canonicalCapabilities(b.host.CapAdd), canonicalCapabilities(b.host.CapDrop)
	s.Capabilities = boundingSet(s.Privileged, s.CapAdd, s.CapDrop)
	if b.host.Capabilities != nil && !s.Privileged {
		s.Capabilities = canonicalCapabilities(b.host.Capabilities)
	}
}

// security reads SecurityOpt. The engine takes "name=value" and, as it did
// first, "name:value" (daemon/daemon_unix.go of moby, parseSecurityOpt); of an
// option given twice the last one counts, but labels add up. An option that is
// not known here is listed with the unknown fields.
func (b *builder) security() {
	s, named := b.spec, map[string]string{}
	s.SELinuxLabels = []string{}
	for _, opt := range b.host.SecurityOpt {
		name, value, found := strings.Cut(opt, "=")
		if !found {
			name, value, found = strings.Cut(opt, ":")
		}
		switch name {
		case "no-new-privileges":
			on, err := strconv.ParseBool(value)
			if found && err != nil {
				s.UnknownFields = append(s.UnknownFields, "HostConfig.SecurityOpt."+name)
			}
			named[name] = strconv.FormatBool(on || !found)
		case "writable-cgroups":
			on, err := strconv.ParseBool(value)
			if err != nil {
				s.UnknownFields = append(s.UnknownFields, "HostConfig.SecurityOpt."+name)
			}
			named[name] = strconv.FormatBool(on)
		case "label":
			if value == "disable" {
				s.SELinuxDisabled = true
			} else {
				s.SELinuxLabels = append(s.SELinuxLabels, value)
			}
		case "disable": // as label=disable (moby's daemon/daemon_unix.go, parseSecurityOpt)
			s.SELinuxDisabled = true
		case "seccomp", "apparmor":
			named[name] = value
		default:
			s.UnknownFields = append(s.UnknownFields, "HostConfig.SecurityOpt."+name)
		}
	}
	// The engine adds label=disable by itself where the container is privileged or
	// shares the host's processes or IPC (moby's daemon/create.go,
	// generateSecurityOpt); an inspect answer does not tell who asked.
	if b.host.Privileged || b.host.PidMode == "host" || b.host.IpcMode == "host" {
		s.SELinuxDisabled = false
	}
	s.SELinuxLabels = sortedUnique(s.SELinuxLabels)
	b.noNewPrivileges(named["no-new-privileges"])
	b.seccomp(named["seccomp"])
	b.apparmor(named["apparmor"])
	b.systemPaths()
	b.writableCgroups(named["writable-cgroups"])
}

// writableCgroups: Docker 28.5.2 lets what is asked for count before
// --privileged. An engine that remaps users mounts control groups writable for
// all, which gives nothing to a root that is none on the host, and everything to
// one that --userns host leaves as it is (moby's daemon/oci_linux.go).
func (b *builder) writableCgroups(asked string) {
	s, d := b.spec, b.around.Daemon
	switch {
	case asked != "":
		s.WritableCgroups = asked == "true"
	case s.Privileged:
		s.WritableCgroups = true
	case b.host.UsernsMode == "host" && d == nil:
		s.hide(reasonDaemon, "writable_cgroups")
	case b.host.UsernsMode == "host":
		s.WritableCgroups = d.UsernsRemap
	}
}

func (b *builder) noNewPrivileges(asked string) {
	s, d := b.spec, b.around.Daemon
	switch {
	case asked != "":
		s.NoNewPrivileges = asked == "true"
	case d != nil && d.NoNewPrivilegesSeen:
		s.NoNewPrivileges = d.NoNewPrivileges
	default:
		s.hide(reasonDaemon, "no_new_privileges")
	}
}

// seccomp: a privileged container has no filter unless it names one.
func (b *builder) seccomp(asked string) {
	s, d := b.spec, b.around.Daemon
	switch {
	case s.Privileged && asked != "" && asked != "unconfined": // ignored before Docker 23.0 (moby's daemon/seccomp_linux.go)
		s.hide("the engine's version decides whether a privileged container has a filter", "seccomp")
	case asked == "unconfined":
		s.Seccomp = "unconfined"
	case asked == "builtin":
		s.Seccomp = "default"
	case asked != "":
		s.Seccomp = "custom"
	case s.Privileged:
		s.Seccomp = "unconfined"
	case d != nil && d.Seccomp != "":
		s.Seccomp = d.Seccomp
	default:
		s.hide(reasonDaemon, "seccomp")
	}
}

// apparmor: a privileged container is unconfined unless it names a profile.
func (b *builder) apparmor(asked string) {
	s := b.spec
	s.AppArmorAsked = asked != ""
	switch {
	case asked != "":
		s.AppArmor = asked
	case s.Privileged:
		s.AppArmor = "unconfined"
	default:
		s.AppArmor = "docker-default"
	}
}

// baseMaskedPaths and baseReadonlyPaths are in the lists of every engine from
// API 1.40 on; newer engines mask more (moby's daemon/pkg/oci/defaults.go).
var (
	baseMaskedPaths = []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware"}
	baseReadonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// systemPaths: the client turns systempaths=unconfined into two empty lists; a
// privileged container has none whatever the lists say.
func (b *builder) systemPaths() {
	s, masked, readonly := b.spec, b.host.MaskedPaths, b.host.ReadonlyPaths
	s.MaskedPaths, s.ReadonlyPaths = []string{}, []string{}
	if s.Privileged {
		s.SystemPaths = "unconfined"
		return
	}
	if masked != nil {
		s.MaskedPaths = cleanPaths(*masked)
	} else {
		s.hide("the engine's version decides it", "masked_paths")
	}
	if readonly != nil {
		s.ReadonlyPaths = cleanPaths(*readonly)
	} else {
		s.hide("the engine's version decides it", "readonly_paths")
	}
	gone := masked != nil && len(without(baseMaskedPaths, s.MaskedPaths)) > 0 ||
		readonly != nil && len(without(baseReadonlyPaths, s.ReadonlyPaths)) > 0
	switch {
	case masked != nil && readonly != nil && len(s.MaskedPaths)+len(s.ReadonlyPaths) == 0:
		s.SystemPaths = "unconfined"
	case gone:
		s.SystemPaths = "custom"
	default:
		s.SystemPaths = "default"
	}
}

func cleanPaths(paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, p := range paths {
		out = append(out, cleanPath(p))
	}
	return sortedUnique(out)
}

func (b *builder) namespaces() {
	s, h := b.spec, b.host
	s.Namespaces = Namespaces{
		PID:     sharedWith(h.PidMode, "private"),
		UTS:     sharedWith(h.UTSMode, "private"),
		IPC:     h.IpcMode,
		Network: sharedWith(h.NetworkMode, "bridge"),
		Cgroup:  h.CgroupnsMode,
		User:    "default",
	}
	if s.Namespaces.Network == "default" {
		s.Namespaces.Network = "bridge"
	}
	if h.UsernsMode == "host" {
		s.Namespaces.User = "host"
	}
	d := b.around.Daemon
	if s.Namespaces.IPC == "" {
		s.hide(reasonDaemon, "namespaces.ipc") // default-ipc-mode, which /info does not tell
	}
	switch {
	case s.Namespaces.Cgroup != "":
	case d != nil && d.PrivateCgroupns && (!h.Privileged || d.CgroupVersion == 2):
		s.Namespaces.Cgroup = "private"
	case d != nil:
		s.Namespaces.Cgroup = "host"
	default:
		s.hide(reasonDaemon, "namespaces.cgroup")
	}
	switch {
	case d != nil:
		s.UsernsRemapped = d.Rootless || d.UsernsRemap && s.Namespaces.User != "host"
	default:
		s.hide(reasonDaemon, "userns_remapped")
	}
}

// sharedWith is the mode as the API has it, or what an empty one means.
func sharedWith(mode, empty string) string {
	if mode == "" {
		return empty
	}
	return mode
}
