package gate

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// What a container is given beyond what rules can tell from its Spec: programs of the host
// that act for it, and what only their options tell.

// Classes of no endpoint: what a policy allows in containers.
const (
	// logging are log drivers by which the engine connects to where the client says.
	logging api.Class = "logging"
	// seccomp are filters of system calls that let more through than the engine's own.
	seccomp api.Class = "seccomp"
	// labels are those of SELinux that a client chooses: with none, or with those of another
	// container or of no confinement, it reaches files that are not its own.
	labels api.Class = "labels"
	// apparmor are profiles that were not the engine's own: what they forbid, and whether the
	// kernel is to do more than note it, is for root alone to see.
	apparmor api.Class = "apparmor"
)

// given objects to what is in the HostConfig of a container that is asked for, or was made:
// then the engine has filled in some by itself.
func (p *Policy) given(h *workload.HostConfig, who *identity, f *facts.Facts, at stage) *decision {
	d := &decision{}
	defaultLog := "" // of which the options are the engine's
	if at == made {
		defaultLog = f.Daemon.LogDriver
	}
	if what := logTo(h.LogConfig, defaultLog); what != "" && !p.allows(string(logging), who) {
		d.object(what, guarded[logging])
	}
	for _, option := range h.SecurityOpt {
		name, value, found := strings.Cut(option, "=")
		if !found {
			name, value, _ = strings.Cut(option, ":")
		}
		if (name == "label" || name == "disable") && !(at == made && addsLabels(h)) && !p.allows(string(labels), who) {
			d.object("the SELinux label would be the client's own, by "+quoted(option), guarded[labels])
		}
		if name == "apparmor" && !slices.Contains(ownProfiles, value) && (f.Daemon.AppArmor || unseen(f, "daemon.apparmor")) && !p.allows(string(apparmor), who) {
			d.object("it can't be told what the AppArmor profile "+quoted(value)+" forbids", guarded[apparmor])
		}
		// What a privileged container names is not applied by all engines, and the rule
		// about those objects anyway.
		if name != "seccomp" || value == "unconfined" || value == "builtin" {
			continue
		}
		if what := filterTo(value); what != "" && !p.allows(string(seccomp), who) {
			d.object(what, guarded[seccomp])
		}
	}
	return d
}

// ownProfiles are what says nothing of another profile: the engine's own by its name, and
// none, which is for a rule (moby's profiles/apparmor).
var ownProfiles = []string{"", "docker-default", "unconfined"}

// addsLabels says whether the engine adds labels by itself (moby's daemon/create.go,
// generateSecurityOpt).
func addsLabels(h *workload.HostConfig) bool {
	return h.Privileged || h.PidMode == "host" || h.IpcMode == "host" || strings.HasPrefix(h.IpcMode, "container:")
}

// plainLogs are the log drivers that write on this host, and to where it says.
var plainLogs = []string{"", "json-file", "local", "journald", "none", "syslog"}

// plainLogOptions are options of log drivers that do not say where to.
var plainLogOptions = []string{"max-size", "max-file", "max-buffer-size", "mode", "compress", "labels", "labels-regex", "env", "env-regex", "tag",
	"syslog-facility", "syslog-format", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"}

// logTo says what a log driver does that the engine's own would not.
func logTo(c workload.LogConfig, defaultLog string) string {
	if defaultLog != "" && c.Type == defaultLog {
		return ""
	}
	for _, option := range slices.Sorted(maps.Keys(c.Config)) {
		if !slices.Contains(plainLogOptions, option) {
			return "the engine would log to where the option " + quoted(option) + " says"
		}
	}
	if !slices.Contains(plainLogs, c.Type) {
		return "the engine would send the log elsewhere, by the driver " + quoted(c.Type)
	}
	return ""
}

// newVolumes objects to volumes that a container would have made for it: by a driver that
// is a program of its own, or with options that say more than a rule can tell. Those that
// there are count as who made them made them.
func (p *Policy) newVolumes(h *workload.HostConfig, there map[string]workload.Volume, who *identity) *decision {
	d := &decision{}
	if p.allows(string(api.Volumes), who) {
		return d
	}
	check := func(name, driver string, options map[string]string) {
		if _, old := there[name]; old && name != "" {
			return
		}
		if what := volumeFrom(driver, options); what != "" {
			d.object(what, guarded[api.Volumes])
		}
	}
	if h.VolumeDriver != "" {
		for _, bind := range h.Binds {
			if name, _, _ := strings.Cut(bind, ":"); !strings.HasPrefix(name, "/") {
				check(name, h.VolumeDriver, nil)
			}
		}
		check("", h.VolumeDriver, nil) // of volumes without a name
	}
	for _, m := range h.Mounts {
		if o := m.VolumeOptions; o != nil && o.DriverConfig != nil {
			check(m.Source, o.DriverConfig.Name, o.DriverConfig.Options)
		}
	}
	return d
}

// plainVolumes are the types of file systems by which a volume of the local driver shows
// nothing of this host that its other options do not tell: folders, memory and files of
// other hosts.
var plainVolumes = []string{"", "none", "bind", "tmpfs", "nfs", "nfs4", "cifs", "smb3", "overlay"}

// volumeFrom says what a new volume is that no rule judges.
func volumeFrom(driver string, options map[string]string) string {
	if driver != "" && driver != "local" {
		return "the volume driver " + quoted(driver) + " is a program with power over this host"
	}
	if kind := options["type"]; !slices.Contains(plainVolumes, kind) {
		return "a volume of type " + quoted(kind) + " may show anything of this host"
	}
	return ""
}

// protects objects to mounts of the gate's own files.
func (g *Gate) protects(s *workload.Spec) *decision {
	d := &decision{}
	for _, m := range s.Mounts {
		for _, p := range append(slices.Clone(m.HostPaths), m.Resolved...) {
			if slices.ContainsFunc(g.c.Own, func(own string) bool { return holds(p, own) || holds(own, p) }) {
				d.object("the gate's own files are inside at "+m.Target, "mount the one folder that is needed")
				break
			}
		}
	}
	return d
}

// holds says whether a folder is p, or has it in it.
func holds(folder, p string) bool {
	folder, p = path.Clean(folder), path.Clean(p)
	return folder == p || folder == "/" || strings.HasPrefix(p, folder+"/")
}

// quoted is a text of the client's in a message.
func quoted(text string) string { return fmt.Sprintf("%.60q", text) }
