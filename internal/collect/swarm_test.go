package collect

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// managing is a fake of the recorded engine as it managed a swarm.
func managing(t testing.TB, change func(swarm answer)) *fake {
	t.Helper()
	info := altered(t, "info.json", func(a answer) {
		var swarm answer
		if err := json.Unmarshal(recorded(t, "swarm.json"), &swarm); err != nil {
			t.Fatal(err)
		}
		change(swarm)
		a["Swarm"] = swarm
	})
	return &fake{answers: map[string][]byte{"/info": info, "/nodes": recorded(t, "nodes.json"), "/services": recorded(t, "services.json"),
		"/networks": recorded(t, "networks-swarm.json")}}
}

func asRecorded(answer) {}

func date(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestSwarmOfARecordedManager(t *testing.T) {
	f := managing(t, asRecorded).start(t)
	got := f.collect(t)
	const id = "hr83igc9gn9rocgrrm7jqpupk"
	want := facts.Swarm{
		Active: true, Manager: true, ID: "r0e0m2fiaxupctubd6jl2k84s", Created: date(t, "2026-11-27T13:17:19.186294827Z"), Updated: date(t, "2026-11-27T13:17:19.702936057Z"),
		Managers: 1, ReachableManagers: 1, NodeCertificateSeconds: 90 * 86400, CACreated: date(t, "2026-11-27T13:12:00Z"), CAExpires: date(t, "2046-11-22T13:12:00Z"),
		AddressPools: []string{"10.0.0.0/8"}, DataPathPort: 4789,
		Nodes: []facts.SwarmNode{{ID: id, Name: "vm", Role: "manager", Availability: "active", State: "ready", EngineVersion: "20.10.24+dfsg1", ManagerAddress: "127.0.0.1:2377"}},
		Services: []facts.SwarmService{
			{ID: "53a0a565efxtyb6kexj07j9bl", Name: "global", Image: "bb:1", Env: []string{}, EnvEmpty: []string{}, Secrets: []string{}, Configs: []string{}, Ports: []facts.SwarmServicePort{}},
			{ID: "aw4gb5gsvprknlu91pqu2lazh", Name: "web", Image: "bb:1", Env: []string{"DB_PASSWORD", "MODE"}, EnvEmpty: []string{}, Secrets: []string{"db_password"}, Configs: []string{},
				Ports: []facts.SwarmServicePort{{Mode: "ingress", Protocol: "tcp", ContainerPort: 80, HostPort: 8080}, {Mode: "host", Protocol: "udp", ContainerPort: 9000, HostPort: 9000}}},
		},
	}
	if diff := cmp.Diff(want, got.Swarm); diff != "" {
		t.Errorf("swarm (-want +got):\n%s", diff)
	}
	encrypted := map[string]bool{}
	for _, n := range got.Networks {
		if n.Driver == "overlay" {
			_, encrypted[n.Name] = n.Options["encrypted"]
		}
	}
	if diff := cmp.Diff(map[string]bool{"ingress": false, "plain": false, "enc": true}, encrypted); diff != "" {
		t.Errorf("encrypted networks (-want +got):\n%s", diff)
	}
	asked := f.requests()
	if slices.Contains(asked, "/swarm") || len(asked) > 9 {
		t.Errorf("asked for %q", asked)
	}
	data, err := facts.Encode(got)
	if err != nil || strings.Contains(string(data), "hunter2") {
		t.Errorf("the value of a variable is in the facts (%v)", err)
	}
}

// Without a swarm nothing more is asked, and nothing is unseen.
func TestNoSwarm(t *testing.T) {
	f := (&fake{}).start(t)
	got := f.collect(t)
	want := facts.Swarm{AddressPools: []string{}, Nodes: []facts.SwarmNode{}, Services: []facts.SwarmService{}}
	if diff := cmp.Diff(want, got.Swarm); diff != "" {
		t.Errorf("swarm (-want +got):\n%s", diff)
	}
	for _, u := range got.Unseen {
		if strings.HasPrefix(u.Path, "swarm") {
			t.Errorf("%s is unseen: %s", u.Path, u.Reason)
		}
	}
	if asked := f.requests(); slices.Contains(asked, "/nodes") || slices.Contains(asked, "/services") {
		t.Errorf("asked for %q", asked)
	}
}

// unseenOfSwarm are the facts of the swarm that were not seen, with their reasons.
func unseenOfSwarm(f *facts.Facts) map[string]string {
	all := map[string]string{}
	for _, u := range f.Unseen {
		if rest, of := strings.CutPrefix(u.Path, "swarm."); of {
			all[rest] = u.Reason
		}
	}
	return all
}

func TestWorkerKnowsLittle(t *testing.T) {
	f := managing(t, func(swarm answer) {
		for _, key := range []string{"Cluster", "Managers", "Nodes"} {
			delete(swarm, key)
		}
		swarm["ControlAvailable"] = false
	}).start(t)
	got := f.collect(t)
	if !got.Swarm.Active || got.Swarm.Manager {
		t.Errorf("a worker: %+v", got.Swarm)
	}
	want := map[string]string{}
	for _, p := range []string{"id", "created", "updated", "managers", "reachable_managers", "autolock", "node_certificate_seconds", "ca_created", "ca_expires",
		"address_pools", "data_path_port", "nodes", "services"} {
		want[p] = notManaged
	}
	for _, p := range nodeAddresses {
		want[strings.TrimPrefix(p, "swarm.")] = "the host's files were not looked at"
	}
	if diff := cmp.Diff(want, unseenOfSwarm(got)); diff != "" {
		t.Errorf("unseen (-want +got):\n%s", diff)
	}
	if asked := f.requests(); slices.Contains(asked, "/nodes") || slices.Contains(asked, "/services") {
		t.Errorf("asked for %q", asked)
	}
}

// What a manager does not say is unseen, each fact alone.
func TestManagerSaysLess(t *testing.T) {
	within := func(keys ...string) func(answer) {
		return func(at answer) {
			for _, key := range keys[:len(keys)-1] {
				at = at[key].(answer)
			}
			if _, there := at[keys[len(keys)-1]]; !there {
				t.Errorf("%v is not in the recorded answer", keys)
			}
			delete(at, keys[len(keys)-1])
		}
	}
	root := func(text string) func(answer) {
		return func(swarm answer) { swarm["Cluster"].(answer)["TLSInfo"].(answer)["TrustRoot"] = text }
	}
	const damaged = "the certificate that nodes trust cannot be read"
	for name, test := range map[string]struct {
		change func(answer)
		unseen string
		reason string
	}{
		"id":           {within("Cluster", "ID"), "id", reasonSilent},
		"created":      {within("Cluster", "CreatedAt"), "created", reasonSilent},
		"updated":      {within("Cluster", "UpdatedAt"), "updated", reasonSilent},
		"managers":     {within("Managers"), "managers", reasonSilent},
		"autolock":     {within("Cluster", "Spec", "EncryptionConfig", "AutoLockManagers"), "autolock", reasonSilent},
		"expiry":       {within("Cluster", "Spec", "CAConfig", "NodeCertExpiry"), "node_certificate_seconds", reasonSilent},
		"pools":        {within("Cluster", "DefaultAddrPool"), "address_pools", reasonSilent},
		"port":         {within("Cluster", "DataPathPort"), "data_path_port", reasonSilent},
		"certificate":  {within("Cluster", "TLSInfo"), "ca_created ca_expires", reasonSilent},
		"no PEM":       {root("x"), "ca_created ca_expires", damaged},
		"no DER":       {root("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "ca_created ca_expires", damaged},
		"nothing less": {asRecorded, "", ""},
	} {
		got := unseenOfSwarm(managing(t, test.change).start(t).collect(t))
		for _, p := range nodeAddresses {
			delete(got, strings.TrimPrefix(p, "swarm."))
		}
		want := map[string]string{}
		for _, p := range strings.Fields(test.unseen) {
			want[p] = test.reason
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: unseen (-want +got):\n%s", name, diff)
		}
	}
}

// Of several certificates the first dates count.
func TestCertificatesOfAUser(t *testing.T) {
	var one string
	managing(t, func(swarm answer) { one = swarm["Cluster"].(answer)["TLSInfo"].(answer)["TrustRoot"].(string) })
	const older = `-----BEGIN CERTIFICATE-----
MIIBVzCB/aADAgECAgEBMAoGCCqGSM49BAMCMBMxETAPBgNVBAMTCHN3YXJtLWNh
MB4XDTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowEzERMA8GA1UEAxMIc3dh
cm0tY2EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATUN56hU0yEZ8AfCUzdVztu
0QzCGEmdil5+tyNm6IzdMU41L4iCppNIRHu92Hf80c7KO39xsVxPNdX8w9SHC/4H
o0IwQDAOBgNVHQ8BAf8EBAMCAQYwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU
inhRkt7Y1W/yKtRbjB55miGZshYwCgYIKoZIzj0EAwIDSQAwRgIhAPbf3XKKyAqO
Jr6UsVmh46rzFUUCc40VqiKZJG5x8zCdAiEAmEGEfoOf8Y22f47NHYVk/g7j/qsz
2zVmLUlOKA8pdu0=
-----END CERTIFICATE-----
`
	for _, text := range []string{older + one, one + older} {
		created, expires, ok := datesOf(text)
		if !ok || created.Year() != 2020 || expires.Year() != 2040 {
			t.Errorf("got %v to %v, %v", created, expires, ok)
		}
	}
}

func TestNodesAndServicesRefused(t *testing.T) {
	for path, want := range map[string]map[string]string{
		"/nodes":    {"nodes": reasonRefused, "reachable_managers": reasonRefused},
		"/services": {"services": reasonRefused},
		"/x":        {},
	} {
		f := managing(t, asRecorded)
		f.before = refusing(http.StatusForbidden, path)
		got := unseenOfSwarm(f.start(t).collect(t))
		for _, p := range nodeAddresses {
			delete(got, strings.TrimPrefix(p, "swarm."))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("without %s: unseen (-want +got):\n%s", path, diff)
		}
	}
}

// One that cannot be read leaves the others, and the list open.
func TestDamagedNodeAndService(t *testing.T) {
	f := managing(t, asRecorded)
	f.answers["/nodes"] = []byte(`[{"ID":"a","Description":{"Hostname":"b"},"ManagerStatus":{"Reachability":"unreachable"}},{"ID":7}]`)
	f.answers["/services"] = []byte(`[{"ID":"a","Spec":{"Name":"b","TaskTemplate":{"ContainerSpec":{"Env":["A=b"]}}}},{"ID":"c"}]`)
	got := f.start(t).collect(t)
	if len(got.Swarm.Nodes) != 1 || got.Swarm.ReachableManagers != 0 || len(got.Swarm.Services) != 1 || got.Swarm.Services[0].Env[0] != "A" {
		t.Errorf("got %+v", got.Swarm)
	}
	for _, p := range []string{"swarm.nodes[...]", "swarm.services[...]", "swarm.reachable_managers"} {
		if r := reasonFor(got.Unseen, p); r != reasonUnreadable {
			t.Errorf("%s is unseen for %q", p, r)
		}
	}
}

// The node's own file is read where the host's files are, and nowhere else.
func TestAddressesOfANode(t *testing.T) {
	const whole = `{"LocalAddr":"127.0.0.1","RemoteAddr":"","ListenAddr":"10.0.0.1:2377","AdvertiseAddr":"10.0.0.2:2377","DataPathAddr":"10.9.0.1","DefaultAddressPool":null}`
	for name, test := range map[string]struct {
		text   string // "" is no file
		want   string
		reason string // after the file's name
	}{
		"as the engine writes it": {whole, "10.0.0.1 10.0.0.2 10.9.0.1", ""},
		"a worker":                {`{"LocalAddr":"10.0.0.3","ListenAddr":"[::]:2377","AdvertiseAddr":"","DataPathAddr":"fd00::1"}`, ":: 10.0.0.3 fd00::1", ""},
		"no file":                 {"", "", " is not there"},
		"no JSON":                 {"{", "", " is not as the engine writes it"},
		"no address":              {`{"ListenAddr":"x"}`, "", " is not as the engine writes it"},
		"too long":                {strings.Repeat(" ", maxConfigurationBytes+1), "", " cannot be read: it has more than 1048576 bytes"},
	} {
		root := t.TempDir()
		f := managing(t, asRecorded).start(t)
		data := f.collect(t).Daemon.DataRoot
		file := filepath.Join(data, "swarm/docker-state.json")
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if test.text != "" {
			if err := os.WriteFile(filepath.Join(root, file), []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg := f.config()
		cfg.Root = root
		got := collect(t, cfg)
		if test.reason == "" {
			if s := got.Swarm; !slices.Equal([]string{s.ListenAddress, s.AdvertiseAddress, s.DataPathAddress}, strings.Fields(test.want)) {
				t.Errorf("%s: got %+v", name, s)
			}
		}
		for _, p := range nodeAddresses {
			want := ""
			if test.reason != "" {
				want = file + test.reason
			}
			if r := reasonFor(got.Unseen, p); r != want {
				t.Errorf("%s: %s is unseen for %q, want %q", name, p, r, want)
			}
		}
	}
}

// TestNodeInTrouble: a node that is locked, and a manager without a leader, are not
// taken for workers.
func TestNodeInTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		change func(swarm answer)
		reason string
	}{
		"locked": {func(swarm answer) {
			swarm["LocalNodeState"], swarm["ControlAvailable"] = "locked", false
			delete(swarm, "Cluster")
		}, "this node is locked, and tells no more before that is mended"},
		"without a leader": {func(swarm answer) { delete(swarm, "Cluster") }, "the swarm has no leader now, as far as the engine says"},
		"in order":         {func(answer) {}, ""},
	} {
		if got := unseenOfSwarm(managing(t, test.change).start(t).collect(t))["autolock"]; got != test.reason {
			t.Errorf("%s: unseen for %q", name, got)
		}
	}
}
