package collect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// What the kernel would write for a status reads back as it was, whatever the
// process calls itself.
func FuzzParseStatus(f *testing.F) {
	f.Add("sh", uint32(0), uint32(0), uint64(0xa80425fb), true, uint8(2))
	f.Add("x\nUid:\t0\t0\t0\t0", uint32(1000), uint32(1000), uint64(1), false, uint8(0))
	f.Add("\\\nCapEff:\tffffffffffffffff\n", uint32(4294967295), uint32(7), uint64(0), true, uint8(1))
	f.Fuzz(func(t *testing.T, name string, uid, gid uint32, caps uint64, noNewPrivs bool, mode uint8) {
		bit, filter := 0, int(mode%3)
		if noNewPrivs {
			bit = 1
		}
		// The kernel writes names with \ and line feed escaped (proc_task_name).
		escaped := strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(name)
		text := fmt.Sprintf("Name:\t%s\n", escaped) + statusOf("S (sleeping)", int(uid), int(gid), caps, bit, filter)
		got, err := parseStatus([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		want := status{uid: int64(uid), gid: int64(gid), capabilities: caps, seccomp: []string{"none", "strict", "filter"}[filter], noNewPrivileges: fmt.Sprint(bit)}
		if got != want {
			t.Fatalf("%q: got %+v, want %+v", text, got, want)
		}
	})
}

// Any text is either refused or says nothing that is not in it.
func FuzzParseStatusOfAnything(f *testing.F) {
	f.Add(statusOf("S (sleeping)", 0, 0, 0xa80425fb, 0, 2))
	f.Add("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t0\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseStatus([]byte(text))
		if err != nil {
			return
		}
		if !strings.Contains(text, fmt.Sprint(got.uid)) || !strings.Contains(text, fmt.Sprint(got.gid)) ||
			!strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", got.capabilities)) {
			t.Fatalf("%q: got %+v", text, got)
		}
		if got.seccomp != "" && !strings.Contains("\n"+text, "\nSeccomp:") {
			t.Fatalf("%q: a seccomp mode from nowhere: %+v", text, got)
		}
	})
}

// A container's id is found wherever a path has it, and nothing but a known id
// is ever found.
func FuzzContainerOf(f *testing.F) {
	id := idOf(0xabc)
	f.Add("0::/docker/", "\n", true)
	f.Add("1:name=systemd:/system.slice/docker-", ".scope/below\n", true)
	f.Add("0::/"+id, "\n", false)
	f.Add("3:cpu:/a:b/", "/docker/"+idOf(1)+"\n4:x:/\n", true)
	f.Fuzz(func(t *testing.T, before, after string, known bool) {
		got := containerOf([]byte(before+id+after), func(b []byte) bool { return known && string(b) == id })
		line := before[strings.LastIndexByte(before, '\n')+1:]
		bounded := (line == "" || !isHex(line[len(line)-1])) && (after == "" || !isHex(after[0]))
		inPath := strings.Count(line, ":") >= 2
		switch {
		case !known && got != "":
			t.Fatalf("%q, which is not known, was found", got)
		case known && bounded && inPath && got != id:
			t.Fatalf("%q: got %q", before+id+after, got)
		case got != "" && got != id:
			t.Fatalf("got %q", got)
		}
	})
}

// Whatever a manager says of its nodes and services, what was made of it is facts that
// can be written and read, and no value of a variable is among them.
func FuzzMembers(f *testing.F) {
	for _, name := range []string{"nodes.json", "services.json"} {
		var list []json.RawMessage
		if err := json.Unmarshal(recorded(f, name), &list); err != nil {
			f.Fatal(err)
		}
		for _, one := range list {
			f.Add([]byte(one), "TOKEN", "v4lue")
		}
	}
	f.Add([]byte(`{"ID":"a","Spec":{"Name":"b","TaskTemplate":{"ContainerSpec":{"Env":null}}},"Endpoint":{"Ports":[{}]}}`), "", "=")
	f.Fuzz(func(t *testing.T, one []byte, name, value string) {
		const mark = "v4lue-of-a-variable"
		env, err := json.Marshal(name + "=" + mark + value)
		if err != nil || strings.Contains(name, mark) || bytes.Contains(one, []byte(mark)) {
			return
		}
		own := fmt.Appendf(nil, `{"ID":"x","Spec":{"Name":"y","TaskTemplate":{"ContainerSpec":{"Env":[%s]}}}}`, env)
		c := &collector{facts: &facts.Facts{Schema: facts.Schema, Swarm: facts.Swarm{Active: true, Manager: true}}}
		c.members(&roster{nodes: []json.RawMessage{one}, services: []json.RawMessage{one, own}})
		if !slices.ContainsFunc(c.facts.Swarm.Services, func(s facts.SwarmService) bool { return s.ID == "x" }) {
			t.Errorf("the service beside %q is not there", one)
		}
		data, err := facts.Encode(c.facts)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(mark)) {
			t.Errorf("%q: the value is in %s", name, data)
		}
		if _, err := facts.Decode("facts.json", data); err != nil {
			t.Errorf("%q: %v", one, err)
		}
	})
}

// Any text is a certificate with dates, or none.
func FuzzDatesOf(f *testing.F) {
	var said swarmBody
	if err := json.Unmarshal(recorded(f, "swarm.json"), &said); err != nil {
		f.Fatal(err)
	}
	f.Add(*said.Cluster.TLSInfo.TrustRoot)
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		created, expires, ok := datesOf(text)
		if ok && (created.IsZero() || expires.IsZero()) {
			t.Errorf("%q: %v to %v, %v", text, created, expires, ok)
		}
	})
}
