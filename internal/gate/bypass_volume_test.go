package gate

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// volume asks for a volume of the local driver with options, and then for a container that
// has it in /v.
func volume(options, cmd string) asking {
	return then(post("/volumes/create", `{"Name":"asked","Driver":"local","DriverOpts":`+options+`}`), create(`{"Image":"web:1","Cmd":`+cmd+`,"HostConfig":{"Binds":["asked:/v"]}}`))
}

// inline has the container's request make the volume.
func inline(source, options, cmd string) string {
	return `{"Image":"web:1","Cmd":` + cmd + mounts(`{"Type":"volume","Source":"`+source+`","Target":"/v","VolumeOptions":{"DriverConfig":{"Name":"local","Options":`+options+`}}}`) + `}`
}

const (
	hostBound  = `{"type":"none","o":"bind","device":"/"}`
	inMemory   = `{"type":"tmpfs","o":"size=1m","device":"tmpfs"}`
	catSecret  = `["cat","/v$DIR/secret"]`
	catShadow  = `["cat","/v/shadow"]`
	listVolume = `["ls","/v"]`
)

// volumePlugin is a volume driver of the host, whose volumes are all of the host.
func (g *ground) volumePlugin() {
	g.Helper()
	dir := g.inEngine("/run/docker/plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		g.Fatal(err)
	}
	at := filepath.Join(dir, "anything.sock")
	l, err := net.Listen("unix", at)
	if err != nil {
		g.Fatal(err)
	}
	var mu sync.Mutex
	made := map[string]bool{}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&asked)
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/vnd.docker.plugins.v1.1+json")
		answer := map[string]any{"Implements": []string{"VolumeDriver"}, "Mountpoint": "/", "Err": ""}
		switch r.URL.Path {
		case "/VolumeDriver.Create":
			made[asked.Name] = true
		case "/VolumeDriver.Remove":
			delete(made, asked.Name)
		case "/VolumeDriver.List":
			list := []map[string]string{}
			for name := range made {
				list = append(list, map[string]string{"Name": name, "Mountpoint": "/"})
			}
			answer["Volumes"] = list
		case "/VolumeDriver.Get":
			if answer["Volume"] = map[string]any{"Name": asked.Name, "Mountpoint": "/"}; !made[asked.Name] {
				answer = map[string]any{"Err": "there is none"}
			}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // ends with Close
	}()
	g.Cleanup(func() {
		server.Close()
		<-served
	})
}

var volumeBypasses = []hostile{
	{class: 9, name: "a folder", ask: volume(hostBound, catSecret), power: prints("$SECRET"), want: "volume-is-host-path", twin: volume(inMemory, catSecret)},
	{class: 9, name: "a folder by its other way", ask: volume(`{"type":"none","o":"rbind,ro","device":"/var/run/../etc"}`, catShadow), power: prints("root:"), want: "volume-is-host-path",
		twin: volume(`{}`, catShadow)},
	{class: 9, name: "asked for with the container", ask: create(inline("asked", hostBound, catSecret)), power: prints("$SECRET"), want: "volume-is-host-path", twin: create(inline("asked", inMemory, catSecret))},
	{class: 9, name: "asked for with the container, without a name", ask: create(inline("", hostBound, catSecret)), power: prints("$SECRET"), want: "volume-is-host-path", twin: create(inline("", inMemory, catSecret))},
	{class: 9, name: "layers", ask: volume(`{"type":"overlay","o":"lowerdir=/etc:$DIR","device":"overlay"}`, catShadow), power: prints("root:"), want: "volume-is-host-path", twin: volume(inMemory, catShadow)},
	{class: 9, name: "layers one by one", ask: volume(`{"type":"overlay","o":"lowerdir+=/etc,lowerdir+=$DIR","device":"overlay"}`, catShadow), power: prints("root:"), want: "volume-is-host-path", twin: volume(inMemory, catShadow)},
	{class: 9, name: "layers one by one, with the container", ask: create(inline("", `{"type":"overlay","o":"lowerdir+=/etc,lowerdir+=$DIR","device":"overlay"}`, catShadow)), power: prints("root:"), want: "volume-is-host-path",
		twin: create(inline("", inMemory, catShadow))},
	{class: 9, name: "processes", ask: volume(`{"type":"proc","device":"proc"}`, `["cat","/v/$ENGINE/comm"]`), power: prints("dockerd"), want: "may show anything", twin: volume(inMemory, listVolume)},
	{class: 9, name: "queues", ask: volume(`{"type":"mqueue","device":"mqueue"}`, `["grep","/v","/proc/mounts"]`), power: prints("mqueue"), want: "may show anything", twin: volume(inMemory, listVolume)},
	{class: 9, name: "a disk", before: disk, ask: volume(`{"type":"ext4","device":"$DISK"}`, `["cat","/v/secret"]`), power: prints("$SECRET"), want: "may show anything",
		twin: volume(inMemory, listVolume)},
	{class: 9, name: "there already", before: beside(post("/volumes/create", `{"Name":"there","DriverOpts":`+hostBound+`}`)), ask: create(`{"Image":"web:1","Cmd":` + catSecret + binds("there:/v") + `}`), power: prints("$SECRET"),
		want: "volume-is-host-path", twin: then(post("/volumes/create", `{"Name":"other"}`), create(`{"Image":"web:1"`+binds("other:/v")+`}`))},
	{class: 9, name: "there already, asked for as plain", before: beside(post("/volumes/create", `{"Name":"there","DriverOpts":`+hostBound+`}`)), ask: create(inline("there", `{}`, catSecret)), power: prints("$SECRET"),
		want: "volume-is-host-path", twin: create(inline("other", `{}`, catSecret))},
	{class: 9, name: "by a plugin", ask: then(post("/volumes/create", `{"Name":"asked","Driver":"anything"}`), create(`{"Image":"web:1","Cmd":`+catSecret+binds("asked:/v")+`}`)), power: prints("$SECRET"),
		want: "is a program with power", twin: volume(`{}`, catSecret)},
	{class: 9, name: "by a plugin, with the container", ask: create(`{"Image":"web:1","Cmd":` + catSecret + `,"HostConfig":{"Binds":["asked:/v"],"VolumeDriver":"anything"}}`), power: prints("$SECRET"),
		want: "is a program with power", twin: create(`{"Image":"web:1","HostConfig":{"Binds":["asked:/v"],"VolumeDriver":"local"}}`)},
	{class: 9, name: "by a plugin, with the mount", ask: create(`{"Image":"web:1","Cmd":` + catSecret + mounts(`{"Type":"volume","Source":"asked","Target":"/v","VolumeOptions":{"DriverConfig":{"Name":"anything"}}}`) + `}`),
		power: prints("$SECRET"), want: "is a program with power", twin: create(`{"Image":"web:1"` + mounts(`{"Type":"volume","Source":"asked","Target":"/v","VolumeOptions":{"DriverConfig":{"Name":"local"}}}`) + `}`)},
}

// disk makes a disk of the host with the secret on it; $DISK is its device.
func disk(g *ground) {
	g.Helper()
	image := filepath.Join(g.TempDir(), "disk")
	if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
		g.Fatal(err)
	}
	g.command("mkfs.ext4", "-q", "-d", g.dir, image)
	device := g.command("losetup", "--find", "--show", image)
	g.vars["DISK"] = device
	g.cleanups = append(g.cleanups, func() { g.command("losetup", "--detach", device) })
}

// command runs a program of the machine, which must work, and gives what it says.
func (g *ground) command(name string, args ...string) string {
	g.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		g.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}
