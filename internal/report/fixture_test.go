package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

var started = time.Date(2026, 11, 24, 20, 38, 51, 0, time.UTC)

// rule is what findings of one rule have in common.
type rule struct {
	name, title, section, kind string
	severity                   finding.Severity
	why                        string
	refs                       string // id in CIS 1.8, "" is none
}

func (r rule) finding(status finding.Status, subject string) finding.Finding {
	f := finding.Finding{
		About:  &finding.About{Rule: r.name, Title: r.title, Severity: r.severity, Why: r.why, Section: r.section},
		Detail: &finding.Detail{Message: r.title, Remedy: &finding.Remedy{}}, Status: status, Subject: &finding.Subject{Kind: r.kind, ID: "id-" + subject, Name: subject},
	}
	if r.refs != "" {
		f.Refs = map[string][]string{"cis-1.8": {r.refs}, "cis-1.6": {"9." + r.refs}}
	}
	return f
}

var (
	memory = rule{"memory-unlimited", "memory is unlimited", "Containers", "container", finding.Medium,
		"One process that leaks can take the memory of the whole host, and the kernel then ends\nprocesses of others.\n\nThe limit holds for all processes of the container together.", "5.11"}
	pids       = rule{"pids-unlimited", "any number of processes may be started", "Containers", "container", finding.Medium, "", "5.29"}
	socket     = rule{"engine-socket-mounted", "the engine's socket is inside", "Containers", "container", finding.Critical, "", "5.32"}
	privileged = rule{"privileged", "every privilege of the host is granted", "Containers", "container", finding.High, "", "5.5"}
	pidHost    = rule{"host-processes", "every process of the host is visible", "Containers", "container", finding.High, "", "5.16"}
	ports      = rule{"ports-everywhere", "ports are open on every interface", "Containers", "container", finding.Medium, "", "5.14"}
	digest     = rule{"image-digest", "images are named by a tag only", "Containers", "container", finding.Low, "", ""}
	health     = rule{"health-unknown", "nobody can tell whether they are healthy", "Containers", "container", finding.Low, "", "5.27"}
	liveness   = rule{"live-restore-off", "containers stop when the daemon restarts", "Daemon", "daemon", finding.Low, "", "2.16"}
	daemonFile = rule{"daemon-file-writable", "can be written by others than root", "Files", "file", finding.High, "", "3.18"}
	auditRule  = rule{"dockerd-not-audited", "the kernel does not audit dockerd", "Host", "host", finding.Medium, "", "1.1.3"}
	group1     = rule{"docker-group", "users can become root through the group docker", "Host", "host", finding.Medium, "", "1.1.2"}
)

// passing makes n findings that pass, of as many rules.
func passing(n int, section, kind, subject string, status finding.Status) []finding.Finding {
	var all []finding.Finding
	for i := range n {
		r := rule{fmt.Sprintf("%s-%s-%02d", kind, status, i), "something is amiss", section, kind, []finding.Severity{finding.Medium, finding.Low, finding.Info}[i%3], "", ""}
		all = append(all, r.finding(status, subject))
	}
	return all
}

// small is a host with three containers and three failures.
func small() finding.Report {
	file := daemonFile.finding(finding.Fail, "/etc/docker/daemon.json")
	file.Message = "can be written by the group docker"
	file.Remedy.Shell = "chmod 0644 /etc/docker/daemon.json"
	web := memory.finding(finding.Fail, "web")
	web.Remedy = &finding.Remedy{Run: "add --memory 512m", Update: "docker update --memory 512m --memory-swap 512m web"}
	live := liveness.finding(finding.Fail, "daemon")
	live.Remedy.Daemon = "in /etc/docker/daemon.json add  \"live-restore\": true\nthen  systemctl reload docker"
	audited := auditRule.finding(finding.Unknown, "harbour-2")
	audited.Title = "the kernel audits dockerd"
	audited.Reason = "run plimsoll as root: the audit rules could not be read"
	mei := group1.finding(finding.Manual, "harbour-2")
	mei.Message = "mei can become root through the group docker"
	mei.Evidence = map[string]any{"user": "mei"}
	mei.Remedy.Shell = ""
	mei.Remedy.Run = "check that she should, then waive it: plimsoll rules show docker-group"
	r := finding.Report{
		Tool: finding.Tool{Name: "plimsoll", Version: "1.0"}, Started: started,
		Target: finding.Target{Name: "harbour-2", EngineVersion: "29.1.0", APIVersion: "1.52", OS: "Debian 12", Containers: 3},
		Findings: slices.Concat(
			[]finding.Finding{file, web, live, audited, mei},
			[]finding.Finding{memory.finding(finding.Pass, "db"), memory.finding(finding.Pass, "proxy")},
			passing(23, "Files", "file", "/etc/docker/daemon.json", finding.Pass),
			passing(31, "Containers", "container", "db", finding.Pass),
			passing(31, "Containers", "container", "proxy", finding.Pass),
			passing(31, "Containers", "container", "web", finding.Pass),
			passing(18, "Daemon", "daemon", "daemon", finding.Pass),
			passing(18, "Host", "host", "harbour-2", finding.Pass),
			passing(20, "Images", "image", "nginx", finding.Pass),
			passing(6, "Networks", "network", "bridge", finding.Pass),
			passing(5, "Volumes", "volume", "data", finding.Pass),
			passing(9, "Swarm", "swarm", "swarm", finding.NotApplicable),
		),
	}
	r.Finish(finding.DefaultMark)
	return r
}

// fleet is a host with fifty containers.
func fleet() finding.Report {
	names := []string{"web", "db", "search", "metrics", "ci-runner-1", "ci-runner-2", "backup", "proxy", "adminer", "legacy-cron", "mail"}
	for i := len(names); i < 50; i++ {
		names = append(names, fmt.Sprintf("job-%02d", i))
	}
	var all []finding.Finding
	add := func(r rule, fails func(i int, name string) bool, remedy func(name string) finding.Remedy) {
		for i, name := range names {
			if !fails(i, name) {
				all = append(all, r.finding(finding.Pass, name))
				continue
			}
			f := r.finding(finding.Fail, name)
			mend := remedy(name)
			f.Remedy = &mend
			if r.name == ports.name {
				f.Element = map[string]string{"adminer": "8080", "metrics": "9323", "proxy": "443"}[name]
			}
			if r.name == ports.name && name == "proxy" {
				f.Status = finding.Waived
				f.Waiver = &finding.Waiver{Owner: "ana", Expires: "2026-11-27", Reason: "it is the front door"}
			}
			all = append(all, f)
		}
	}
	among := func(wanted ...string) func(int, string) bool {
		return func(_ int, name string) bool { return slices.Contains(wanted, name) }
	}
	add(memory, func(i int, _ string) bool { return i < 34 }, func(name string) finding.Remedy {
		return finding.Remedy{Run: "add --memory 1g", Update: "docker update --memory 1g --memory-swap 1g " + name}
	})
	add(pids, func(i int, _ string) bool { return i >= 3 && i < 31 }, func(name string) finding.Remedy {
		return finding.Remedy{Update: "docker update --pids-limit 128 " + name}
	})
	add(socket, among("metrics"), func(string) finding.Remedy {
		return finding.Remedy{Run: "leave out -v /var/run/docker.sock:/var/run/docker.sock"}
	})
	add(privileged, among("ci-runner-1", "ci-runner-2"), func(string) finding.Remedy {
		return finding.Remedy{Run: "leave out --privileged; build with a rootless BuildKit"}
	})
	add(pidHost, among("metrics"), func(string) finding.Remedy { return finding.Remedy{Run: "leave out --pid host"} })
	add(ports, among("adminer", "metrics", "proxy"), func(name string) finding.Remedy {
		return finding.Remedy{Run: "-p 127.0.0.1:8080:8080"}
	})
	add(digest, func(i int, _ string) bool { return i >= 15 && i < 37 }, func(string) finding.Remedy {
		return finding.Remedy{Run: "name the digest that runs"}
	})
	add(health, func(i int, _ string) bool { return i >= 9 && i < 15 }, func(string) finding.Remedy {
		return finding.Remedy{Run: "add --health-cmd, or a HEALTHCHECK to the image"}
	})
	live := liveness.finding(finding.Fail, "daemon")
	live.Remedy.Daemon = "in /etc/docker/daemon.json add  \"live-restore\": true\nthen  systemctl reload docker"
	all = append(all, live)
	for _, name := range names {
		all = append(all, passing(26, "Containers", "container", name, finding.Pass)...)
	}
	all = slices.Concat(all,
		passing(18, "Daemon", "daemon", "daemon", finding.Pass),
		passing(24, "Files", "file", "/etc/docker/daemon.json", finding.Pass),
		passing(20, "Host", "host", "harbour-1", finding.Pass),
		passing(60, "Images", "image", "nginx", finding.Pass),
		passing(20, "Networks", "network", "bridge", finding.Pass),
		passing(13, "Volumes", "volume", "data", finding.Pass),
		passing(26, "Swarm", "swarm", "swarm", finding.NotApplicable),
	)
	r := finding.Report{
		Started: started,
		Target:  finding.Target{Name: "harbour-1", EngineVersion: "29.1.0", OS: "Debian 12", Containers: 50},
		Reach: []finding.Reach{
			{Subject: "backup", Text: "the data of db (shared volume)"},
			{Subject: "ci-runner-1", Text: "root on the host (every privilege)"},
			{Subject: "ci-runner-2", Text: "root on the host (every privilege)"},
			{Subject: "metrics", Text: "root on the host (engine socket), every process of it"},
		},
		Findings: all,
	}
	r.Finish(finding.DefaultMark)
	return r
}

// blind is a run line judged where neither engine nor image can be seen.
func blind() finding.Report {
	var all []finding.Finding
	add := func(r rule, subject, reason string) {
		f := r.finding(finding.Unknown, subject)
		f.Reason = reason
		all = append(all, f)
	}
	const unresolved = "not observed: mounts[0].resolved, the host's files were not looked at"
	for _, r := range []rule{socket, privileged, pidHost, digest} {
		add(r, "web", unresolved)
	}
	for _, r := range []rule{pids, health} {
		add(r, "web", "not observed: image, no engine was asked")
		add(r, "db", "not observed: image, no engine was asked")
	}
	add(memory, "web", "not observed: image, no engine was asked")
	add(ports, "web", "")
	all = append(all, passing(4, "Containers", "container", "web", finding.Pass)...)
	r := finding.Report{Started: started, Target: finding.Target{Name: "docker run nginx"}, Findings: all}
	r.Finish(0)
	return r
}

// terminal and pipe are what a table is written for.
func terminal(width int, color bool) term.Config {
	return term.Config{Terminal: true, Columns: width, Color: color, UTF8: true}
}

func pipe() term.Config { return term.Config{UTF8: true} }

func table(t testing.TB, c term.Config, r finding.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	c.Writer = &b
	if err := Table(term.New(c), r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// since is the fleet beside a report of a week before, which knew all but one socket
// and some limits.
func since() finding.Report {
	r := fleet()
	b := &finding.Baseline{File: "base.json", Started: started.AddDate(0, 0, -7), Gone: []finding.Past{{Rule: memory.name, Title: memory.title, Severity: memory.severity, Subject: finding.Subject{Kind: "container", Name: "old"}}}}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Status != finding.Fail {
			continue
		}
		f.Known = f.Rule != socket.name && !(f.Rule == memory.name && strings.HasPrefix(f.Subject.Name, "job-2"))
		if f.Known {
			b.Known++
		} else {
			b.New++
		}
	}
	for _, one := range []struct {
		rule
		subject, element, message string
	}{{ports, "mail", "25", "port 25 is open on every interface"}, {pids, "web", "", pids.title}, {pids, "db", "", pids.title}, {pids, "search", "", pids.title}, {pids, "job-47", "", pids.title}} {
		b.Mended = append(b.Mended, finding.Past{Rule: one.name, Title: one.title, Severity: one.severity, Message: one.message, Element: one.element,
			Subject: finding.Subject{Kind: one.kind, ID: "of a week before", Name: one.subject}})
	}
	r.Baseline = b
	return r
}
