package gate

import (
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// TestProfiles: labels and profiles that a client chooses are objected to where they may
// matter, and those that an engine adds are not.
func TestProfiles(t *testing.T) {
	applies := facts.Daemon{AppArmor: true}
	dark := []workload.Unseen{{Path: "daemon.apparmor", Reason: "the engine does not say"}}
	for _, c := range []struct {
		option string
		host   workload.HostConfig
		daemon facts.Daemon
		unseen []workload.Unseen
		at     stage
		allow  string
		want   string
	}{
		{option: "apparmor=web", daemon: applies, want: "AppArmor profile"},
		{option: "apparmor:web", daemon: applies, want: "AppArmor profile", at: made},
		{option: "apparmor=web", unseen: dark, want: "AppArmor profile"},
		{option: "apparmor=web"}, // no engine applies it: there is a rule
		{option: "apparmor=web", daemon: applies, allow: "apparmor"},
		{option: "apparmor=docker-default", daemon: applies},
		{option: "apparmor=unconfined", daemon: applies}, // there is a rule
		{option: "no-new-privileges", daemon: applies},

		{option: "label=disable", want: "SELinux label"},
		{option: "disable", want: "SELinux label"},
		{option: "label:type:spc_t", want: "SELinux label", at: made},
		{option: "label=disable", allow: "labels"},
		{option: "label=disable", host: workload.HostConfig{PidMode: "host"}, want: "SELinux label"},
		{option: "label=disable", host: workload.HostConfig{PidMode: "host"}, at: made},
		{option: "label=level:s0:c1", host: workload.HostConfig{IpcMode: "container:0123"}, at: made},
	} {
		p := &Policy{}
		if c.allow != "" {
			p.Allow = []*allow{{Classes: []string{c.allow}}}
		}
		c.host.SecurityOpt = []string{c.option}
		d := p.given(&c.host, &identity{}, &facts.Facts{Daemon: c.daemon, Unseen: c.unseen}, c.at)
		switch {
		case c.want == "" && d.refused():
			t.Errorf("%s (%+v): %s", c.option, c, d.message())
		case c.want != "" && (!strings.Contains(d.message(), c.want) || !strings.Contains(d.message(), "have the class")):
			t.Errorf("%s: want %q, got %q", c.option, c.want, d.message())
		}
	}
}
