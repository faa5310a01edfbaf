package runline

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// desk is a World of few files and variables.
func desk() World {
	files := map[string]string{
		"/home/ada/vars.env":     "A=1\nGOMEMLIMIT\nUNSET\n",
		"/home/ada/labels.list":  "tier=web\n",
		"/home/ada/seccomp.json": `{"defaultAction": "SCMP_ACT_ALLOW"}`,
		"/home/ada/notes.txt":    "no JSON",
		"/home/ada/bad.env":      "TWO WORDS=1\n",
	}
	return World{
		Dir: "/home/ada",
		ReadFile: func(name string) ([]byte, error) {
			if text, found := files[name]; found {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
		LookupEnv: func(name string) (string, bool) {
			value, found := map[string]string{"GOMEMLIMIT": "1GiB", "TOKEN": "t"}[name]
			return value, found
		},
	}
}

func TestErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                       "the run line is empty: write it as docker run",
		"docker":                                 "no command: write the line as docker run",
		"docker container":                       "no command",
		"docker ps":                              `"ps" is not a command that makes a container: begin the line with docker run`,
		"doas docker run nginx":                  `"doas" is not a command that makes a container: begin the line with docker run`,
		"sudo":                                   "no command: write the line as docker run",
		"sudo -l docker run nginx":               "sudo: unknown flag -l",
		"sudo -i docker run nginx":               "; or begin the line with docker run",
		"1A=b docker run nginx":                  `"1A=b" is not a command`,
		"docker --contxt x run nginx":            "docker: unknown flag --contxt: did you mean --context?",
		"docker -h":                              "docker --help makes no container",
		"docker --help run nginx":                "docker --help makes no container",
		"docker run":                             "docker run names no image: put the image after the options",
		"docker create --rm":                     "docker create names no image",
		"docker run --help nginx":                "docker run --help makes no container: leave --help out",
		"docker run --privilege nginx":           "docker run: unknown flag --privilege: did you mean --privileged?",
		"docker run --cap_add X nginx":           "did you mean --cap-add?",
		"docker run --frobnicate nginx":          "unknown flag --frobnicate: `docker run --help` lists the flags",
		"docker run -Z nginx":                    "docker run: unknown flag -Z: `docker run --help`",
		"docker run -itZ nginx":                  "docker run: unknown flag -Z:",
		"docker run -m":                          "flag needs an argument: 'm' in -m",
		"docker run --memory lots nginx":         `invalid argument "lots" for "-m, --memory" flag`,
		"docker run Nginx":                       `image "Nginx": the name "Nginx" must be in lower case`,
		"docker run --ip 192.0.2 nginx":          `for "--ip" flag`,
		"docker run --rm --restart always nginx": "--restart and --rm exclude each other",
		"docker run --env-file no.env nginx":     "reading --env-file: open /home/ada/no.env: file does not exist",
		"docker run --env-file bad.env nginx":    `reading --env-file bad.env: line 1: the name "TWO WORDS" holds a blank`,
		"docker run --security-opt seccomp=no.json nginx":               "reading the seccomp profile: open /home/ada/no.json",
		"docker run --security-opt seccomp=notes.txt nginx":             "reading the seccomp profile notes.txt as JSON",
		"docker run --device /dev/kvm:/dev/kvm:rwx nginx":               `the permissions "rwx" are not of r, w and m`,
		"docker run --link-local-ip here --network b nginx":             `--link-local-ip: "here" is not an address`,
		"docker run --network b --mac-address 0 nginx":                  `"0" is not a MAC address`,
		"docker run --network b --network host nginx":                   "exclude each other",
		"docker run --network name=b,ip=192.0.2.1 --ip 192.0.2.2 nginx": "--ip and the option ip of --network exclude each other",
		"docker run --expose 80/http nginx":                             `the protocol "http" is none of tcp, udp and sctp`,
		"docker run --expose 80- nginx":                                 `"" is not a port from 0 to 65535`,
		"docker run --tmpfs":                                            "flag needs an argument: --tmpfs",
		"docker run --mount 'type=bind,\"src=/a' nginx":                 "splitting at commas",
		"docker run --mount '' nginx":                                   "it is empty",
		"docker run --mount type=bind,src=/a,dst=/b,colour=red nginx":   `"colour=red": there is no such option of --mount`,
		"docker run --mount type=bind,src=/a,dst=/b,ro=yes nginx":       `"ro=yes": its value is none of true, 1, false and 0`,
		"docker run --mount type=tmpfs,dst=/b,volume-nocopy nginx":      `a mount of type "tmpfs" takes no volume-* options: leave them out`,
		"docker run --ulimit nofile nginx":                              "write NAME=SOFT[:HARD], as in nofile=1024:2048",
		"docker run --blkio-weight-device /dev/sda:5 nginx":             `the weight "5" is not from 10 to 1000`,
		"docker run --device-read-iops /dev/sda:9223372036854775808 a":  `"9223372036854775808" is not a number of operations a second`,
		"docker run --cpus 0.0000000001 nginx":                          "has at most nine digits behind the point",
		"docker run --gpus color=red nginx":                             `"color=red": there is no such option of --gpus`,
		"docker run --network name=b,ip=x nginx":                        `"ip=x": "x" is not an address`,
		"docker run --sysctl vm.swappiness=1 nginx":                     `the kernel parameter "vm.swappiness" belongs to the whole host`,
		"docker run nginx@sha256:00 true":                               `the digest "sha256:00" is not sha256: and 64 hexadecimal digits`,
		"docker run nginx:-a":                                           `the tag "-a" is not up to 128 letters`,
	} {
		_, err := ParseString(line, desk())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", line, err, want)
		}
	}
}

func TestParseRefusesWhatIsNoText(t *testing.T) {
	for _, bad := range []string{"ngi\x00nx", "ngi\xffnx"} {
		if _, err := Parse([]string{"run", bad}, desk()); err == nil || !strings.Contains(err.Error(), "argument 2 of the run line is not valid UTF-8") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	line, err := Parse([]string{"run", "--name", "ü", "nginx"}, desk())
	if err != nil || line.Body.Name != "ü" {
		t.Errorf("a name beyond ASCII: %q, %v", line.Body.Name, err)
	}
}

func TestArgsAreKept(t *testing.T) {
	args := []string{"/usr/bin/docker", "--context", "x", "run", "-e", "A=b c", "nginx", "--privileged"}
	line, err := Parse(args, World{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(args, line.Args); diff != "" {
		t.Error(diff)
	}
	if line.Body.HostConfig.Privileged {
		t.Error("--privileged after the image belongs to the command inside")
	}
	if diff := cmp.Diff(workload.Words{"--privileged"}, line.Body.Cmd); diff != "" {
		t.Error(diff)
	}
	if args[5] = "changed"; line.Args[5] == "changed" {
		t.Error("Args is the caller's slice")
	}
}

// TestUnseen: what the World cannot tell is listed, and only that.
func TestUnseen(t *testing.T) {
	around := workload.Surroundings{Image: &workload.ImageConfig{}, EnvKey: []byte("k")}
	tests := []struct {
		line string
		// blind are the paths that are unseen without files and environment.
		blind []string
	}{
		{"docker run -e A=1 nginx", nil},
		{"docker run -e TOKEN nginx", []string{"env_hashes[...]"}},
		{"docker run -e GOMEMLIMIT nginx", []string{"env_hashes[...]", "env_values[...]"}},
		{"docker run --env-file vars.env nginx", []string{"env[...]", "env_empty[...]", "env_hashes[...]", "env_values[...]"}},
		{"docker run --label-file labels.list nginx", []string{"labels[...]"}},
		{"docker run --security-opt seccomp=seccomp.json nginx", nil},
	}
	plain := unseenOf(t, "docker run nginx", World{Dir: "/"}, around)
	for _, test := range tests {
		blind := slices.DeleteFunc(unseenOf(t, test.line, World{Dir: "/"}, around), func(p string) bool { return slices.Contains(plain, p) })
		if diff := cmp.Diff(test.blind, blind, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s without a world (-want +got)\n%s", test.line, diff)
		}
		seen := slices.DeleteFunc(unseenOf(t, test.line, desk(), around), func(p string) bool { return slices.Contains(plain, p) })
		if len(seen) > 0 {
			t.Errorf("%s with a world hides %v", test.line, seen)
		}
	}
	credentials := unseenOf(t, "docker run --use-api-socket nginx", desk(), around)
	if !slices.Contains(credentials, "env[...]") {
		t.Errorf("--use-api-socket: DOCKER_CONFIG may be added, but only %v are unseen", credentials)
	}
	if named := unseenOf(t, "docker run --use-api-socket -e DOCKER_CONFIG=/c nginx", desk(), around); slices.Contains(named, "env[...]") {
		t.Error("--use-api-socket with DOCKER_CONFIG given adds no variable")
	}
}

func unseenOf(t *testing.T, line string, world World, around workload.Surroundings) []string {
	t.Helper()
	s := specOf(t, line, world, around)
	paths := make([]string, len(s.Unseen))
	for i, u := range s.Unseen {
		paths[i] = u.Path
		if u.Reason == "" {
			t.Errorf("%s: %s is unseen without a reason", line, u.Path)
		}
	}
	if !slices.IsSorted(paths) || len(slices.Compact(slices.Clone(paths))) != len(paths) {
		t.Errorf("%s: not in order or repeated: %v", line, paths)
	}
	return paths
}

func specOf(t *testing.T, line string, world World, around workload.Surroundings) workload.Spec {
	t.Helper()
	l, err := ParseString(line, world)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	s, err := l.Spec(around)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return s
}

func TestFilesAndEnvironment(t *testing.T) {
	s := specOf(t, "docker run --env-file vars.env -e TOKEN -e NOWHERE=x --label-file ./labels.list -l owner=ada --security-opt seccomp=seccomp.json nginx", desk(), workload.Surroundings{})
	if diff := cmp.Diff([]string{"A", "GOMEMLIMIT", "NOWHERE", "TOKEN"}, s.Env); diff != "" {
		t.Errorf("variables (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"GOMEMLIMIT": "1GiB"}, s.EnvValues); diff != "" {
		t.Errorf("values (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"tier": "web", "owner": "ada"}, s.Labels); diff != "" {
		t.Errorf("labels (-want +got)\n%s", diff)
	}
	if s.Seccomp != "custom" {
		t.Errorf("seccomp is %q", s.Seccomp)
	}
	unset := specOf(t, "docker run -e GOMAXPROCS nginx", desk(), workload.Surroundings{EnvKey: []byte("k")})
	if _, has := unset.EnvValues["GOMAXPROCS"]; has || len(unset.EnvHashes) > 0 {
		t.Errorf("a variable that is not set has the value %q and the hashes %v", unset.EnvValues["GOMAXPROCS"], unset.EnvHashes)
	}
}

// TestSettingsBefore: what a line sets for docker goes before the environment,
// and behind sudo nobody knows it.
func TestSettingsBefore(t *testing.T) {
	for line, want := range map[string][]string{
		"docker run -e TOKEN nginx":                        {"TOKEN=t"},
		"TOKEN=u docker run -e TOKEN nginx":                {"TOKEN=u"},
		"TOKEN=u docker run -e TOKEN=v nginx":              {"TOKEN=v"},
		"A=TOKEN=u docker run -e TOKEN -e A nginx":         {"TOKEN=t", "A=TOKEN=u"},
		"TOKEN=u TOKEN= docker run -e TOKEN nginx":         {"TOKEN="},
		"TOKEN=u sudo docker run -e TOKEN nginx":           {"TOKEN"},
		"sudo -E TOKEN=u docker run -e TOKEN nginx":        {"TOKEN"},
		"TOKEN=u sudo docker run -e TOKEN=v nginx":         {"TOKEN=v"},
		"docker run -e TOKEN nginx TOKEN=u sudo TOKEN=u a": {"TOKEN=t"},
	} {
		got, err := ParseString(line, desk())
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if diff := cmp.Diff(want, []string(got.Body.Env)); diff != "" {
			t.Errorf("%s\n%s", line, diff)
		}
		hidden := slices.ContainsFunc(got.Unseen, func(u workload.Unseen) bool { return u.Path == "env_hashes"+workload.Open })
		if hidden != slices.Equal(want, []string{"TOKEN"}) {
			t.Errorf("%s: unseen are %v", line, got.Unseen)
		}
	}
}

// TestReadFileErrorIsKept: cli decides by it what to say.
func TestReadFileErrorIsKept(t *testing.T) {
	_, err := ParseString("docker run --label-file no.list nginx", desk())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestRelativePathsNeedADirectory(t *testing.T) {
	for _, line := range []string{
		"docker run -v ./data:/data nginx",
		"docker run --mount type=bind,src=../data,dst=/data nginx",
	} {
		if _, err := ParseString(line, World{}); err == nil || !strings.Contains(err.Error(), "write the whole path") {
			t.Errorf("%s without a directory: %v", line, err)
		}
	}
	for line, want := range map[string]string{
		"docker run -v ./data:/data nginx":                             "/home/ada/data",
		"docker run -v ..:/data nginx":                                 "/home",
		"docker run --mount type=bind,src=../data,dst=/data nginx":     "/home/data",
		"docker run --mount '\"src=./a,b\",type=bind,dst=/data' nginx": "/home/ada/a,b",
	} {
		s := specOf(t, line, desk(), workload.Surroundings{})
		if len(s.Mounts) != 1 || s.Mounts[0].Type != "bind" || s.Mounts[0].Source != want {
			t.Errorf("%s: %+v, want a bind of %s", line, s.Mounts, want)
		}
	}
}

// TestSpellings: lines of one group ask for one container.
func TestSpellings(t *testing.T) {
	for _, group := range [][]string{
		{"-v /var/run/docker.sock:/s", "-v /var/run/../run/docker.sock:/s", "-v /var//run/docker.sock/:/s/",
			"--volume=/var/run/docker.sock:/s:rw", "--mount type=bind,source=/var/run/docker.sock,target=/s",
			"--mount type=bind,src=/var/run/./docker.sock,dst=/s/", "--mount TYPE=bind,Source=/var/run/docker.sock,destination=/s"},
		{"-v /home/ada/d:/d:ro", "-v ./d:/d:ro", "--mount type=bind,src=./d,dst=/d,readonly", "--mount type=bind,src=./d,dst=/d,ro=true"},
		{"--cap-add SYS_ADMIN", "--cap-add=sys_admin", "--cap-add CAP_SYS_ADMIN", "--cap-add cap_sys_admin", "--cap-add sys_admin --cap-add SYS_ADMIN"},
		{"--cap-drop ALL", "--cap-drop all", "--cap-drop=All"},
		{"--user 0", "--user root", "-u 00", "-u0", "--user=+0", "-u root"},
		{"--user 1000:1000", "-u 01000:1000", "--user=1000:01000"},
		{"--group-add 44", "--group-add 044"},
		{"--memory 1g", "--memory 1024m", "-m 1G", "-m1gb", "--memory=1GiB", "--memory 1073741824", "-m 1048576k"},
		{"--privileged", "--privileged=true", "--privileged=1", "--privileged=T"},
		{"", "--privileged=false", "--init=false --privileged=0", "--read-only=false", "--restart no", "--restart=", "--network default"},
		{"-p 8080:80", "--publish 8080:80/tcp", "-p published=8080,target=80", "-p8080:80/TCP", "--publish=8080-8080:80"},
		{"-p [::]:80:80", "-p [0:0::0]:80:80"},
		{"--cpus 1.5", "--cpus=1.50", "--cpus 3/2"},
		{"--security-opt no-new-privileges", "--security-opt no-new-privileges:true", "--security-opt=no-new-privileges=true"},
		{"--security-opt seccomp=unconfined", "--security-opt seccomp:unconfined"},
		{"--network backend", "--net backend", "--network=backend", "--net=backend"},
		{"--network backend --network-alias a", "--net backend --net-alias=a", "--network name=backend,alias=a"},
		{"--restart on-failure", "--restart on-failure:0"},
		{"--device /dev/fuse", "--device /dev/fuse:/dev/fuse", "--device /dev/fuse:rwm", "--device /dev/fuse:/dev/fuse:mrw", "--device /dev/./fuse"},
		{"--dns-option ndots:1", "--dns-opt ndots:1"},
		{"--health-cmd true --health-interval 90s", "--health-interval=1m30s --health-cmd=true"},
		{"-it", "-i -t", "-ti", "--interactive --tty", "-i --tty=true"},
		{"-e A=1", "-eA=1", "--env=A=1", "--env A=1", "-e=A=1"},
		{"--tmpfs /run", "--tmpfs /run/", "--tmpfs /run:noexec,nosuid,nodev"},
		{"--name web", "--name=web", "--name db --name web"},
	} {
		want := specOf(t, "docker run "+group[0]+" nginx", desk(), workload.Surroundings{})
		for _, other := range group[1:] {
			got := specOf(t, "docker run "+other+" nginx", desk(), workload.Surroundings{})
			ignore := []cmp.Option{}
			if group[0] == "" {
				// --init=false says what else the daemon's configuration decides.
				ignore = append(ignore, cmpopts.IgnoreFields(workload.Spec{}, "Unseen"))
			}
			if diff := cmp.Diff(want, got, ignore...); diff != "" {
				t.Errorf("%s and %s differ\n%s", group[0], other, diff)
			}
		}
	}
	one := specOf(t, "docker run -v /a:/s nginx", desk(), workload.Surroundings{})
	if cmp.Equal(one, specOf(t, "docker run -v /b:/s nginx", desk(), workload.Surroundings{})) {
		t.Error("two sources give one container")
	}
}

// TestCommands: every way to name the command gives one container.
func TestCommands(t *testing.T) {
	want := specOf(t, "docker run -u 7 nginx", World{}, workload.Surroundings{})
	for _, line := range []string{
		"run -u 7 nginx", "container run -u 7 nginx", "docker container create -u 7 nginx", "create -u7 nginx",
		"/usr/local/bin/docker -H tcp://192.0.2.1:2376 --tlsverify --tlscacert=a run -u 7 nginx",
		"docker -c remote --debug -l info --config /c container run -u 7 -- nginx",
		"sudo docker run -u 7 nginx", "DOCKER_HOST=tcp://192.0.2.1:2376 docker run -u 7 nginx", "_a1= run -u 7 nginx",
		"A=b /usr/bin/sudo -En -u root -- DOCKER_HOST=unix:///s docker run -u 7 nginx", "sudo --preserve-env=A -gdocker docker run -u 7 nginx",
	} {
		if diff := cmp.Diff(want, specOf(t, line, World{}, workload.Surroundings{})); diff != "" {
			t.Errorf("%s\n%s", line, diff)
		}
	}
}

// TestLinksLittle: what is linked here, every command of the binary pays for at
// its start. Docker's own packages compile their patterns there, and bring a
// client and its telemetry along; they serve the tests alone.
func TestLinksLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("listing what is linked: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "github.com/spf13/pflag") {
		t.Errorf("pflag is not among %v", linked)
	}
	for _, p := range linked {
		own := strings.HasPrefix(p, "github.com/plimsoll/plimsoll/")
		if !own && !slices.Contains([]string{
			"github.com/docker/go-connections/nat", "github.com/docker/go-units", "github.com/spf13/pflag",
			"go.yaml.in/yaml/v3", "golang.org/x/sys/unix",
		}, p) {
			t.Errorf("%s is linked: let only tests import it", p)
		}
	}
}
