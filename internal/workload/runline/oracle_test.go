package runline

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/distribution/reference"
	"github.com/docker/cli/opts"
	"github.com/docker/cli/pkg/kvfile"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/moby/api/types/network"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// A reading is one of our parsers beside the client's own for the same text.
// Their values are of one type.
type reading struct {
	name         string
	ours, theirs func(text string) (any, error)
	seeds        []string
	// apart is true for the texts that are read differently on purpose.
	apart func(text string) bool
}

// typed makes a reading's function of one that returns a value of its own type.
func typed[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(text string) (any, error) { return parse(text) }
}

// option reads with one of the client's flag types, and carries the value over
// to ours by way of the JSON that the client would send. A number that has no
// room in ours makes an error.
func option[Ours, Theirs any](parse func(string) (Theirs, error)) func(string) (any, error) {
	return func(text string) (any, error) {
		theirs, err := parse(text)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(theirs)
		if err != nil {
			return nil, err
		}
		var ours Ours
		err = json.Unmarshal(data, &ours)
		return ours, err
	}
}

var lookup = func(name string) (string, bool) { return "found " + name, strings.Contains(name, "A") }

// readings are all that this package reads itself though the client has a type
// for it.
func readings() []reading {
	workingDirectory, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	d := &draft{world: World{Dir: workingDirectory, LookupEnv: os.LookupEnv}}
	return []reading{
		{
			name: "bytes", ours: typed(parseBytes),
			theirs: func(s string) (any, error) { var v opts.MemBytes; err := v.Set(s); return int64(v), err },
			seeds:  []string{"1", "512m", "1.5GiB", "2tb", "0x1p4", "1 k", "1e3", "-1", "", "b", "1kib", "9223372036854775807"},
		}, {
			name: "swap", ours: typed(parseSwapBytes),
			theirs: func(s string) (any, error) { var v opts.MemSwapBytes; err := v.Set(s); return int64(v), err },
			seeds:  []string{"-1", "1g", "-2", "", "0"},
		}, {
			name: "cpus", ours: typed(parseCPUs),
			theirs: func(s string) (any, error) { var v opts.NanoCPUs; err := v.Set(s); return int64(v), err },
			seeds:  []string{"1.5", ".25", "3/2", "1e2", "0.0000000001", "-1", "1/3", "18446744073.8", "many", ""},
		}, {
			name: "umask", ours: typed(parseUmask),
			theirs: func(s string) (any, error) { var v opts.UmaskOpt; err := v.Set(s); return v.Value(), err },
			seeds:  []string{"022", "0027", "8", "", "37777777777", "-1"},
		}, {
			name: "restart", ours: typed(parseRestart), theirs: option[workload.RestartPolicy](opts.ParseRestartPolicy),
			seeds: []string{"no", "always", "on-failure:5", "on-failure:", ":5", ":", "a:b", "a:-1", "a:1:2", ""},
		}, {
			name: "ulimit", ours: readUlimits,
			theirs: func(s string) (any, error) {
				v := opts.NewUlimitOpt(nil)
				for one := range strings.SplitSeq(s, " ") {
					if err := v.Set(one); err != nil {
						return nil, err
					}
				}
				return option[[]workload.UlimitBody](func(string) (any, error) { return v.GetList(), nil })(s)
			},
			seeds: []string{"nofile=1024:2048", "nproc=64", "core=-1", "core=-1:5", "cpu=2:1", "nofile=1 core=2:3 nofile=4", "as=1", "nofile", "nofile=1:2:3"},
		}, {
			name: "rate in bytes", ours: typed(parseByteRate),
			theirs: option[workload.ThrottleDevice](opts.ValidateThrottleBpsDevice),
			seeds:  []string{"/dev/sda:1mb", "/dev/sda:0", "/dev/:1", "/dev/a:b:1", "sda:1", "/dev/sda", "/dev/sda:fast", ":1"},
		}, {
			name: "rate in operations", ours: typed(parseOperationRate),
			theirs: option[workload.ThrottleDevice](opts.ValidateThrottleIOpsDevice),
			seeds:  []string{"/dev/sda:1000", "/dev/sda:1.5", "/dev/sda:9223372036854775807", "/dev/sda:9223372036854775808", "/dev/sda:-1", "/dev/sda:"},
		}, {
			name: "weight", ours: typed(parseWeight), theirs: option[workload.WeightDevice](opts.ValidateWeightDevice),
			seeds: []string{"/dev/sda:200", "/dev/sda:0", "/dev/sda:9", "/dev/sda:10", "/dev/sda:1000", "/dev/sda:1001", "sda:500", "/dev/sda"},
		}, {
			name: "label", ours: typed(checkLabel), theirs: typed(opts.ValidateLabel),
			seeds: []string{"a=b", "bare", " a=b", "a b=c", "=x", " =x", "\ta", "a=b c", ""},
		}, {
			name: "sysctl", ours: typed(checkSysctl), theirs: typed(opts.ValidateSysctl),
			seeds: []string{"net.ipv4.ip_forward=1", "fs.mqueue.a=2", "kernel.shmmax=3", "kernel.sem=1 2", "kernel.shm_rmid_forced=", "vm.swappiness=1", "net.x", "net.=", "=1"},
		}, {
			name: "link", ours: typed(checkLink), theirs: typed(opts.ValidateLink),
			seeds: []string{"db", "db:alias", "/a:/b/c", "a:b:c", ":", "a:", ""},
		}, {
			name: "address", ours: typed(checkAddress), theirs: typed(opts.ValidateIPAddress),
			seeds: []string{"192.0.2.1", "2001:db8::1", " ::1 ", "0:0::1", "::ffff:1.2.3.4", "1.2.3", "fe80::1%eth0", "[::1]", ""},
		}, {
			name: "extra host", ours: typed(checkExtraHost), theirs: typed(opts.ValidateExtraHost),
			seeds: []string{"db:192.0.2.7", "db=192.0.2.7", "six=[2001:db8::1]", "six:[::1]", "six:::1", "h:host-gateway", "h=[]", "h=[1.2.3.4]", "a:b=::1", "=::1", "db", "h: ::1"},
		}, {
			name: "search domain", ours: typed(checkSearchDomain), theirs: typed(opts.ValidateDNSSearch),
			seeds: []string{"example.org", ".", " . ", "a.b.", "a-b.c \n", "-a.b", "a..b", "1.2", "::a:.:b", "a:.b", strings.Repeat("abcdefg.", 31) + "abcdef", strings.Repeat("abcdefg.", 31) + "abcdefg", "!"},
		}, {
			name: "variable", ours: typed(d.lookupEnv), theirs: typed(opts.ValidateEnv),
			seeds: []string{"A=1", "PATH", "NO_SUCH_VARIABLE", "=x", "", "A=", "a b"},
		}, {
			name: "image", ours: func(s string) (any, error) { return nil, checkImage(s) },
			theirs: func(s string) (any, error) { _, err := reference.ParseAnyReference(s); return nil, err },
			seeds: []string{
				"nginx", "nginx:1.27", "registry.example.org:5000/team/app:v2", "localhost/a", "docker.io/a", "index.docker.io/a/b", "[::1]:5000/a",
				"Up/a", "a__b.c/d", "a___b/c", "a--b/c", "a.-b", "a..b/c", "A", "a/B", "-a/b", "a-.b/c", "a/", "/a", "[::1/a", "[]/a", "a:5000/b:_t@sha256:" + strings.Repeat("a", 64),
				"nginx@sha256:" + strings.Repeat("0f", 32), "sha256:" + strings.Repeat("1", 64), strings.Repeat("b", 64), strings.Repeat("b", 63), "sha512:" + strings.Repeat("c", 128),
				"nginx@sha256:" + strings.Repeat("A", 64), "nginx@md5:" + strings.Repeat("a", 32), "a:" + strings.Repeat("t", 128), "a:" + strings.Repeat("t", 129),
				strings.Repeat("n", 247), strings.Repeat("n", 248), "x.y/" + strings.Repeat("n", 255), "x.y/" + strings.Repeat("n", 256), "x_.y/" + strings.Repeat("n", 250), "a:", "a@", "",
			},
		}, {
			name: "file of variables", ours: func(s string) (any, error) { return parsePairs([]byte(s), lookup) },
			theirs: func(s string) (any, error) { return kvfile.ParseFromReader(strings.NewReader(s), lookup) },
			seeds:  []string{"A=1\nB\nA\n# no\n\n  C = 2\n", "\ufeffA=1\r\n\tB=2 ", "=x", "A B=1", "A=" + strings.Repeat("x", 65534), "A=" + strings.Repeat("x", 65533), "\u2003A=1\vB"},
		}, {
			name: "file of labels", ours: func(s string) (any, error) { return parsePairs([]byte(s), nil) },
			theirs: func(s string) (any, error) { return kvfile.ParseFromReader(strings.NewReader(s), nil) },
			seeds:  []string{"a=1\nb\n", "=", "#\n", "a\tb"},
		}, {
			name: "GPUs", ours: typed(parseGPUs), theirs: option[workload.DeviceRequestBody](func(s string) (any, error) {
				var v opts.GpuOpts
				if err := v.Set(s); err != nil {
					return nil, err
				}
				return v.Value()[0], nil
			}),
			seeds: []string{"all", "2", "device=GPU-1", `"device=0,1",capabilities=utility,driver=nvidia`, `all,"options=a=1,b"`, "count=1,2", "2,count=1", "2,2", "count=1,count=2", "lots", "device=", `"options="`, "color=red", `"`, ""},
		}, {
			name: "network", ours: func(s string) (any, error) { a, err := parseAttachment(s); return ends(a), err },
			theirs: func(s string) (any, error) {
				var v opts.NetworkOpt
				if err := v.Set(s); err != nil {
					return nil, err
				}
				n := v.Value()[0]
				return ends(attachment{n.Target, n.Aliases, n.Links, n.DriverOpts, n.IPv4Address, n.IPv6Address, n.LinkLocalIPs, n.MacAddress, n.GwPriority}), nil
			},
			seeds: []string{
				"backend", "Backend", "name=backend,alias=api,alias=WEB", "name=b,driver-opt=com.example.K=v,gw-priority=-3", `name=b," ip = 192.0.2.1 "`,
				"name=b,ip6=2001:db8::1,mac-address=02:42:ac:11:00:02,link-local-ip=169.254.1.2,link-local-ip=fe80::1%eth0",
				"name=,alias=web", "alias=web", "name=b,color=red", "=b", "a=", "name=b,driver-opt=k", "name=b,driver-opt==v", "name=b,ip=x", "name=b,gw-priority=x", "name=b,", `name=b,"`, "",
			},
		}, {
			name: "mount", ours: typed(d.parseMount), theirs: option[workload.MountBody](func(s string) (any, error) {
				var v opts.MountOpt
				if err := v.Set(s); err != nil {
					return nil, err
				}
				return v.Value()[0], nil
			}),
			// What older clients took and the newest does not is taken here.
			apart: func(s string) bool { return strings.Contains(strings.ToLower(s), "bind-nonrecursive") },
			seeds: []string{
				"type=bind,source=/etc,target=/host/etc,readonly", "type=bind,src=./data,dst=/data,ro=true,bind-propagation=rslave", "TYPE=Bind,SRC=..,destination=/d,bind-create-src=0",
				"source=data,target=/data", "type=volume,src=root,dst=/r,volume-opt=type=none,volume-opt=o=bind,volume-opt==x,volume-driver=local,volume-label=a=b,volume-label=c,volume-nocopy,volume-subpath=s",
				"type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=1777", "type=image,src=busybox,dst=/tools,image-subpath=x", "type=bind,src=/a,dst=/b,ro,bind-recursive=writable",
				"type=bind,src=/a,dst=/b,ro,bind-propagation=rprivate,bind-recursive=readonly", "type=bind,src=/a,dst=/b,bind-recursive=readonly", "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
				"type=bind,src=/a,dst=/b,bind-recursive=enabled", "type=volume,dst=/b,bind-recursive=disabled", "type=bind,consistency=Cached,src=/a,dst=/b", "type=cluster,src=a,dst=/b",
				"type=bind,source=/a,target=/b,volume-nocopy", "type=bind,source=/a,target=/b,readonly=perhaps", "type=tmpfs,target=/b,tmpfs-size=big", "type=tmpfs,tmpfs-mode=9", "type", "type=", "type= bind", " type=bind", "type =bind", "from=/a", "readonly=", "",
			},
		}, {
			name: "range of ports", ours: func(s string) (any, error) {
				first, last, protocol, err := portRange(s)
				return fmt.Sprint(first, "-", last, "/", protocol), err
			},
			theirs: func(s string) (any, error) {
				r, err := network.ParsePortRange(s)
				if err == nil && !slices.Contains([]network.IPProtocol{"tcp", "udp", "sctp"}, r.Proto()) {
					err = fmt.Errorf("the engine knows no protocol %s", r.Proto())
				}
				return fmt.Sprint(r.Start(), "-", r.End(), "/", r.Proto()), err
			},
			seeds: []string{"80", "8000-8003", "53/UDP", "80/", "80-80/sctp", "0", "65535", "65536", "90-80", "80-", "-80", "80/http", "+80", "80/tcp/x", ""},
		},
	}
}

func readUlimits(text string) (any, error) {
	d := &draft{}
	for one := range strings.SplitSeq(text, " ") {
		if err := d.setUlimit(one); err != nil {
			return nil, err
		}
	}
	return d.sortedUlimits(), nil
}

// ends shows an attachment with its addresses as text.
func ends(a attachment) []any {
	var local []string
	for _, ip := range a.linkLocalIPs {
		local = append(local, ip.String())
	}
	return []any{a.target, a.aliases, a.links, a.driverOptions, a.ip.String(), a.ip6.String(), local, a.macAddress, a.priority}
}

// agree demands that both read a text alike, and tells whether they take it.
func (r reading) agree(t *testing.T, text string) bool {
	t.Helper()
	ours, err := r.ours(text)
	theirs, theirErr := r.theirs(text)
	switch {
	case (err == nil) != (theirErr == nil):
		t.Errorf("%s %q: ours says %v, the client's %v", r.name, text, err, theirErr)
	case err == nil:
		if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %q (-client's +ours)\n%s", r.name, text, diff)
		}
	}
	return err == nil
}

// comparable is true for a text that can reach a parser and is read alike.
func (r reading) comparable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0) && (r.apart == nil || !r.apart(text))
}

// TestReadsAsTheClient: our parsers and the client's take the same texts and
// make the same of them: of seeds, and of seeds that were cut, joined and
// garbled.
func TestReadsAsTheClient(t *testing.T) {
	for _, r := range readings() {
		t.Run(r.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			taken, refused := 0, 0
			for i := range 3000 {
				text := r.seeds[i%len(r.seeds)]
				if i >= len(r.seeds) {
					text = garble(random, text, r.seeds)
				}
				if !r.comparable(text) {
					continue
				}
				if r.agree(t, text) {
					taken++
				} else {
					refused++
				}
			}
			if taken < 100 || refused < 100 {
				t.Errorf("%d texts were taken and %d refused: the seeds do not show both", taken, refused)
			}
		})
	}
}

// garble changes a text in one to three places.
func garble(random *rand.Rand, text string, seeds []string) string {
	const strange = "=:,./-_\"' \t\n[]@#%+0189aAzZkbüß\u00a0"
	marks := []rune(strange)
	for range 1 + random.IntN(3) {
		runes := []rune(text)
		i := random.IntN(len(runes) + 1)
		head, tail := string(runes[:i]), string(runes[i:])
		mark := string(marks[random.IntN(len(marks))])
		switch random.IntN(5) {
		case 0:
			text = head + mark + tail
		case 1:
			text = head + strings.TrimPrefix(tail, firstRune(tail))
		case 2:
			text = head + mark + strings.TrimPrefix(tail, firstRune(tail))
		case 3:
			text += []string{",", ":", "", " ", "\n"}[random.IntN(5)] + seeds[random.IntN(len(seeds))]
		case 4:
			text = head + strings.ToUpper(tail)
		}
	}
	return text
}

func firstRune(s string) string { _, size := utf8.DecodeRuneInString(s); return s[:size] }

// FuzzReadsAsTheClient is TestReadsAsTheClient with the texts that the fuzzer
// finds.
func FuzzReadsAsTheClient(f *testing.F) {
	all := readings()
	for i, r := range all {
		for _, s := range r.seeds {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		if r := all[int(kind)%len(all)]; r.comparable(text) {
			r.agree(t, text)
		}
	})
}
