package collect

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// engineSaying is a fake whose /info and /version are changed; one container
// shows what the daemon's settings mean for it.
func engineSaying(t *testing.T, api string, change func(answer)) *facts.Facts {
	t.Helper()
	f := &fake{containers: []container{{id: idOf(1), name: "web"}}, answers: map[string][]byte{
		"/info":    altered(t, "info.json", change),
		"/version": altered(t, "version.json", func(a answer) { a["ApiVersion"] = api }),
	}}
	return f.start(t).collect(t)
}

func TestDaemonOfARecordedEngine(t *testing.T) {
	got := engineSaying(t, "1.41", func(answer) {}).Daemon
	if !strings.HasPrefix(got.DataRoot, "/var/lib/") {
		t.Errorf("got data root %q", got.DataRoot)
	}
	got.DataRoot = ""
	if config := got.Config; config.Hosts == nil || config.Origins == nil || len(config.Origins) > 0 {
		t.Errorf("a configuration that was not seen is %+v", config)
	}
	got.Config = facts.DaemonConfig{}
	want := facts.Daemon{
		Version: "20.10.24+dfsg1", APIVersion: "1.41", Seccomp: "default", DefaultRuntime: "runc",
		Runtimes:  []string{"io.containerd.runc.v2", "io.containerd.runtime.v1.linux", "runc"},
		LogDriver: "json-file", CgroupDriver: "cgroupfs", StorageDriver: "overlay2",
		MemoryLimit: true, SwapLimit: true, PidsLimit: true, CPUQuota: true, Warnings: []string{}, InsecureRegistries: []string{}, AuthorizationPlugins: []string{},
		Inventory: facts.Inventory{Images: 1, ImagesBytes: 1982270, Containers: 1, ContainersStopped: 1, ContainersUnchecked: []string{}, VolumesNamed: []string{"data"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("daemon (-want +got):\n%s", diff)
	}
}

// TestContainerdImages: an engine says by its storage driver that containerd has its images.
func TestContainerdImages(t *testing.T) {
	for name, c := range map[string]struct {
		status any
		want   bool
	}{
		"containerd's":   {[]any{[]any{"driver-type", "io.containerd.snapshotter.v1"}}, true},
		"the engine's":   {[]any{[]any{"Backing Filesystem", "extfs"}, []any{"Supports d_type", "true"}}, false},
		"of no status":   {[]any{}, false},
		"of another one": {[]any{[]any{"driver-type", "another"}, []any{"io.containerd.snapshotter.v1"}}, false},
	} {
		f := engineSaying(t, "1.41", func(a answer) { a["DriverStatus"] = c.status })
		if f.Daemon.ContainerdImages != c.want {
			t.Errorf("%s: %t", name, f.Daemon.ContainerdImages)
		}
	}
}

func TestSecurityOptions(t *testing.T) {
	type options = []any
	for name, test := range map[string]struct {
		api     string
		options any // nil is null
		want    facts.Daemon
		unseen  string // the one path that is unseen
	}{
		"as Debian has it":   {"1.41", options{"name=seccomp,profile=default"}, facts.Daemon{Seccomp: "default"}, "daemon.no_new_privileges"},
		"since 23.0":         {"1.42", options{"name=seccomp,profile=builtin"}, facts.Daemon{Seccomp: "default"}, "daemon.no_new_privileges"},
		"since 24.0":         {"1.43", options{"name=seccomp,profile=builtin"}, facts.Daemon{Seccomp: "default"}, ""},
		"newest":             {"1.56", options{"name=seccomp,profile=builtin"}, facts.Daemon{Seccomp: "default"}, ""},
		"a profile":          {"1.43", options{"name=seccomp,profile=/etc/docker/seccomp.json"}, facts.Daemon{Seccomp: "custom"}, ""},
		"no filter":          {"1.43", options{"name=seccomp,profile=unconfined"}, facts.Daemon{Seccomp: "unconfined"}, ""},
		"no seccomp at all":  {"1.43", nil, facts.Daemon{Seccomp: "unconfined"}, ""},
		"profile not named":  {"1.43", options{"name=seccomp"}, facts.Daemon{}, "daemon.seccomp"},
		"security modules":   {"1.43", options{"name=apparmor", "name=seccomp,profile=builtin", "name=selinux"}, facts.Daemon{Seccomp: "default", AppArmor: true, SELinux: true}, ""},
		"remapped":           {"1.43", options{"name=seccomp,profile=builtin", "name=userns"}, facts.Daemon{Seccomp: "default", UsernsRemap: true}, ""},
		"rootless":           {"1.43", options{"name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"}, facts.Daemon{Seccomp: "default", Rootless: true, PrivateCgroupns: true}, ""},
		"no new privileges":  {"1.43", options{"name=seccomp,profile=builtin", "name=no-new-privileges"}, facts.Daemon{Seccomp: "default", NoNewPrivileges: true}, ""},
		"said by an old one": {"1.41", options{"name=seccomp,profile=default", "name=no-new-privileges"}, facts.Daemon{Seccomp: "default", NoNewPrivileges: true}, ""},
		"an unknown option":  {"1.43", options{"name=seccomp,profile=builtin", "name=new", "", "odd"}, facts.Daemon{Seccomp: "default"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := engineSaying(t, test.api, func(a answer) { a["SecurityOptions"] = test.options })
			d := got.Daemon
			seen := facts.Daemon{Seccomp: d.Seccomp, AppArmor: d.AppArmor, SELinux: d.SELinux, UsernsRemap: d.UsernsRemap,
				Rootless: d.Rootless, NoNewPrivileges: d.NoNewPrivileges, PrivateCgroupns: d.PrivateCgroupns}
			if diff := cmp.Diff(test.want, seen); diff != "" {
				t.Errorf("daemon (-want +got):\n%s", diff)
			}
			var unseen []string
			for _, u := range got.Unseen {
				if strings.HasPrefix(u.Path, "daemon.") && u.Path != "daemon.config" && u.Path != "daemon.runs_as" {
					unseen = append(unseen, u.Path)
				}
			}
			if strings.Join(unseen, " ") != test.unseen {
				t.Errorf("unseen: %v, want %q", unseen, test.unseen)
			}
			// The container, which asks for nothing, gets the daemon's settings.
			web := spec(t, got, "web")
			if web.Seccomp != test.want.Seccomp || web.UsernsRemapped != (test.want.UsernsRemap || test.want.Rootless) || web.NoNewPrivileges != test.want.NoNewPrivileges {
				t.Errorf("container: seccomp %q, remapped %v, no new privileges %v", web.Seccomp, web.UsernsRemapped, web.NoNewPrivileges)
			}
			if (reasonFor(web.Unseen, "no_new_privileges") != "") != (test.unseen == "daemon.no_new_privileges") {
				t.Errorf("container's no_new_privileges is unseen: %q", reasonFor(web.Unseen, "no_new_privileges"))
			}
		})
	}
}

func TestWhatAnEngineDoesNotSayIsUnseen(t *testing.T) {
	for field, path := range map[string]string{
		"Name": "host.name", "OperatingSystem": "host.os", "KernelVersion": "host.kernel", "Architecture": "host.architecture",
		"NCPU": "host.cpus", "MemTotal": "host.memory_bytes", "CgroupVersion": "host.cgroup_version",
		"LiveRestoreEnabled": "daemon.live_restore", "DefaultRuntime": "daemon.default_runtime", "LoggingDriver": "daemon.log_driver",
		"CgroupDriver": "daemon.cgroup_driver", "Driver": "daemon.storage_driver", "DriverStatus": "daemon.containerd_images", "DockerRootDir": "daemon.data_root",
		"MemoryLimit": "daemon.memory_limit", "SwapLimit": "daemon.swap_limit", "PidsLimit": "daemon.pids_limit", "CpuCfsQuota": "daemon.cpu_quota",
		"ExperimentalBuild": "daemon.experimental", "Plugins": "daemon.authorization_plugins", "RegistryConfig": "daemon.insecure_registries",
		"Runtimes": "daemon.runtimes", "Warnings": "daemon.warnings", "Swarm": "swarm",
		"SecurityOptions": "daemon.rootless",
	} {
		got := engineSaying(t, "1.43", func(a answer) {
			if _, there := a[field]; !there {
				t.Errorf("%s is not in the recorded answer", field)
			}
			delete(a, field)
		})
		if r := reasonFor(got.Unseen, path); r != reasonSilent {
			t.Errorf("without %s, %s is unseen for %q", field, path, r)
		}
		if r := reasonFor(engineSaying(t, "1.43", func(answer) {}).Unseen, path); r != "" {
			t.Errorf("with %s, %s is unseen for %q", field, path, r)
		}
	}
}

func TestInfoThatCannotBeRead(t *testing.T) {
	got := engineSaying(t, "1.43", func(a answer) { a["NCPU"] = "two" })
	if r := reasonFor(got.Unseen, "host.name"); r != reasonUnreadable {
		t.Errorf("host.name is unseen for %q", r)
	}
}

func TestSwarmAndCgroups(t *testing.T) {
	for state, want := range map[string]bool{"": false, "inactive": false, "active": true, "locked": true, "pending": true} {
		got := engineSaying(t, "1.43", func(a answer) { a["Swarm"] = answer{"LocalNodeState": state} })
		if got.Swarm.Active != want {
			t.Errorf("node state %q: got %v", state, got.Swarm.Active)
		}
	}
	for _, test := range []struct {
		api    string
		said   any
		want   int64
		unseen bool
	}{
		{"1.41", "1", 1, false}, {"1.41", "2", 2, false}, {"1.40", nil, 1, false}, {"1.41", nil, 0, true}, {"1.41", "3", 0, true},
	} {
		got := engineSaying(t, test.api, func(a answer) {
			delete(a, "CgroupVersion")
			if test.said != nil {
				a["CgroupVersion"] = test.said
			}
		})
		if unseen := reasonFor(got.Unseen, "host.cgroup_version") != ""; got.Host.CgroupVersion != test.want || unseen != test.unseen {
			t.Errorf("API %s saying %v: got %d, unseen %v", test.api, test.said, got.Host.CgroupVersion, unseen)
		}
	}
}

func TestWindowsIsRefused(t *testing.T) {
	for os, refused := range map[string]bool{"windows": true, "linux": false, "": false} {
		f := (&fake{answers: map[string][]byte{"/info": altered(t, "info.json", func(a answer) { a["OSType"] = os })}}).start(t)
		_, err := Engine(context.Background(), f.config())
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "Windows") {
			t.Errorf("engine for %q: got %v", os, err)
		}
	}
}

func TestEnvironmentKey(t *testing.T) {
	f := (&fake{containers: []container{{id: idOf(1), name: "web"}}}).start(t)
	cfg := f.config()
	if r := reasonFor(spec(t, collect(t, cfg), "web").Unseen, "env_hashes"); r == "" {
		t.Error("hashes are seen without a key")
	}
	cfg.EnvKey = []byte("0123456789abcdef0123456789abcdef")
	web := spec(t, collect(t, cfg), "web")
	if r := reasonFor(web.Unseen, "env_hashes"); r != "" || len(web.EnvHashes["TOKEN"]) != 64 {
		t.Errorf("with a key: unseen for %q, hashes %v", r, web.EnvHashes)
	}
}

func TestSecretsStayOut(t *testing.T) {
	const secret = "hunter2"
	f := (&fake{
		containers: []container{{id: idOf(1), name: "web", change: func(a answer) {
			a["Config"].(answer)["Env"] = []string{"DB_PASSWORD=" + secret, "GOGC=50"}
			a["HostConfig"].(answer)["LogConfig"] = answer{"Type": "splunk", "Config": answer{"splunk-token": secret}}
		}}},
		answers: map[string][]byte{
			"/volumes": encode(t, answer{"Volumes": []answer{
				{"Name": "data", "Driver": "local", "Options": answer{"type": "cifs", "device": "//ana:" + secret + "@files/share", "o": "username=ana,password=" + secret + ",vers=3.0"}},
				{"Name": "cloud", "Driver": "plugin", "Options": answer{"secret_key": secret, "Token": secret, "size": "10"}}}}),
			"/networks": encode(t, []answer{{"Id": "n", "Name": "vpn", "Driver": "plugin", "Options": answer{"preshared-key": secret, "mtu": "1400"}}}),
		},
	}).start(t)
	cfg := f.config()
	cfg.EnvKey = []byte("0123456789abcdef0123456789abcdef")
	got := collect(t, cfg)
	doc, err := facts.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc), secret) {
		t.Errorf("the secret is in the facts:\n%s", doc)
	}
	for _, kept := range []string{`"DB_PASSWORD"`, `"50"`, "username=ana,password=***,vers=3.0", "//***@files/share", `"1400"`} {
		if !strings.Contains(string(doc), kept) {
			t.Errorf("%s is missing from the facts", kept)
		}
	}
}

func TestNetworksAndVolumes(t *testing.T) {
	f := (&fake{answers: map[string][]byte{
		"/networks": encode(t, []answer{
			{"Id": "5", "Name": "walled", "Driver": "bridge", "Scope": "local", "Options": answer{iccOption: "false"}, "Internal": true},
			{"Id": "4", "Name": "odd", "Driver": "bridge", "Options": answer{iccOption: "maybe"}},
			{"Id": "3", "Name": "none", "Driver": "null"},
			{"Id": "2", "Name": "lan", "Driver": "macvlan", "Options": answer{iccOption: "false"}},
			{"Id": "1", "Name": "app", "Driver": "bridge"},
			{"Id": "0", "Name": "app", "Driver": "bridge", "Options": answer{iccOption: "true"}},
			{"Id": 7},
		}),
		"/volumes": encode(t, answer{"Volumes": []answer{{"Name": "b", "Driver": "local", "Mountpoint": "/v/b", "Scope": "local", "Options": nil}, {"Name": "a", "Options": answer{}}, {"Name": 1, "Options": nil}, {"Name": "c"}, {"Options": nil}}}),
	}}).start(t)
	got := f.collect(t)
	var networks []string
	for _, n := range got.Networks {
		networks = append(networks, n.ID+n.Name)
		if want := n.Name != "walled" && n.Name != "none"; n.ICC != want {
			t.Errorf("network %s: containers reach one another: %v", n.Name, n.ICC)
		}
		if n.Internal != (n.Name == "walled") {
			t.Errorf("network %s is internal: %v", n.Name, n.Internal)
		}
	}
	if diff := cmp.Diff([]string{"0app", "1app", "2lan", "3none", "4odd", "5walled"}, networks); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	want := []facts.Volume{{Name: "a", Options: map[string]string{}},
		{Name: "b", Driver: "local", Mountpoint: "/v/b", Scope: "local", Options: map[string]string{}}}
	if diff := cmp.Diff(want, got.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	for _, path := range []string{"networks" + workload.Open, "volumes" + workload.Open} {
		if reasonFor(got.Unseen, path) != reasonUnreadable {
			t.Errorf("%s is unseen for %q", path, reasonFor(got.Unseen, path))
		}
	}
}
