package caller

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/accounts"
)

// A line of proc_pid_stat(5), of a bash on a terminal.
const bash = "4711 (bash) S 4700 4711 4711 34820 4800 4194560 1234 5678 0 1 2 3 4 5 20 0 1 0 987654 12345678 900 18446744073709551615 1 1 0 0 0 0 65536 3670020 1266777851 1 0 0 17 1 0 0 0 0 0 1 1 1 1 1 1 1 0\n"

func TestParseStat(t *testing.T) {
	for text, want := range map[string]stat{
		bash: {"bash", 'S', 34820, 4194560, 987654},
		strings.Replace(bash, "bash", "a) Z 0 0 0 0 0 4 (b", 1):    {"a) Z 0 0 0 0 0 4 (b", 'S', 34820, 4194560, 987654},
		strings.Replace(bash, "bash", "\n1 (x)\n", 1):              {"\n1 (x)\n", 'S', 34820, 4194560, 987654},
		strings.Replace(bash, "bash", "", 1):                       {"", 'S', 34820, 4194560, 987654},
		strings.Replace(bash, "34820", "-2147448827", 1):           {"bash", 'S', 0x80008805, 4194560, 987654}, // minor 0x80005
		strings.Replace(bash, "987654", "18446744073709551615", 1): {"bash", 'S', 34820, 4194560, 1<<64 - 1},
	} {
		if got, err := parseStat([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                     "no command",
		"1 bash S":                             "no command",
		"1 )bash( S":                           "no command",
		"1 (bash)":                             "ends with field 2",
		"1 (bash) S 1":                         "ends with field 4",
		strings.Replace(bash, "34820", "x", 1): "field 7",
		strings.Replace(bash, "4194560", "-1", 1): "field 9",
		strings.Replace(bash, "987654", "1e3", 1): "field 22",
		bash[:strings.Index(bash, " 987654")]:     "ends with field 21",
	} {
		if got, err := parseStat([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestEnding(t *testing.T) {
	for s, want := range map[stat]bool{
		{state: 'S'}: false, {state: 'R', flags: 0x400100}: false, {state: 'T'}: false,
		{state: 'Z'}: true, {state: 'X'}: true, {state: 'R', flags: 0x400104}: true,
	} {
		if s.ending() != want {
			t.Errorf("%+v: %t", s, !want)
		}
	}
}

func TestTTYName(t *testing.T) {
	for dev, want := range map[uint64]string{
		0:                        "",
		unix.Mkdev(136, 0):       "/dev/pts/0",
		unix.Mkdev(136, 300):     "/dev/pts/300",
		unix.Mkdev(136, 1<<20-1): "/dev/pts/1048575",
		unix.Mkdev(4, 1):         "/dev/tty1",
		unix.Mkdev(4, 63):        "/dev/tty63",
		unix.Mkdev(4, 64):        "/dev/ttyS0",
		unix.Mkdev(229, 0):       "/dev/char/229:0",  // hvc0
		unix.Mkdev(204, 64):      "/dev/char/204:64", // ttyAMA0
	} {
		if got := ttyName(uint32(dev)); got != want {
			t.Errorf("%#x: %q, want %q", dev, got, want)
		}
	}
}

// FuzzParseStat: what is written in the kernel's form is read back, whatever the command
// is; and what is read of anything is there.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte(bash), "bash", uint64(987654), uint32(34820), uint32(4194560))
	f.Add([]byte("1 (a) b) S"), "x) Z (", uint64(1<<64-1), uint32(1<<31), uint32(4))
	f.Add([]byte("1 () S\n\t 1"), ")\n(", uint64(0), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, command string, started uint64, tty, flags uint32) {
		line := fmt.Sprintf("1 (%s) R 1 -1 1 %d -1 %d 1 1 1 1 1 1 1 1 20 0 1 0 %d 1 1\n", command, int32(tty), flags, started)
		if got, err := parseStat([]byte(line)); err != nil || got != (stat{command, 'R', tty, uint64(flags), started}) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
		got, err := parseStat(data)
		if err != nil {
			return
		}
		if _, rest, ok := strings.Cut(string(data), "("+got.command+")"); !ok || strings.Contains(rest, ")") || strings.Fields(rest)[0][0] != got.state {
			t.Errorf("%q: %+v", data, got)
		}
	})
}

func TestParseLoginUID(t *testing.T) {
	for text, want := range map[string]string{
		"1000": "1000", "0": "0", "1000\n": "1000", "4294967295": "nobody", "4294967294": "4294967294",
		"": "invalid", "-1": "invalid", "4294967296": "range", "1000 ": "invalid",
	} {
		uid, err := parseLoginUID([]byte(text))
		got := "nobody"
		if err != nil {
			got = err.Error()
		} else if uid != nil {
			got = fmt.Sprint(*uid)
		}
		if !strings.Contains(got, want) || (err == nil) != (got == want) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestMapsAll(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"0 0 1000\n1000 1000 4294966295\n":   true,
		"0 100000 65536\n":                   false,
		"0 0 4294967294\n":                   false,
		"":                                   false,
		"0 0\n":                              false,
		"0 0 x\n":                            false,
	} {
		if mapsAll([]byte(text)) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

const passwdText = `root:x:0:0:root:/root:/bin/bash
  anna:x:1000:1000:Anna,,,:/home/anna:/bin/bash
#ben:x:1001:1001::/home/ben:/bin/sh
+nis:x:1002:1::/:
short:x:1003
far:x:4294967296:1::/:
twin:x:1000:1000::/:
:x:1004:1::/:
odd name:x:1005:1::/:
`

func TestParsePasswd(t *testing.T) {
	want := map[uint32]string{0: "root", 1000: "anna", 1005: "odd name"}
	if got := parsePasswd([]byte(passwdText)); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// FuzzParsePasswd: internal/accounts, whose own reading it is, agrees.
func FuzzParsePasswd(f *testing.F) {
	f.Add([]byte(passwdText))
	f.Add([]byte("a:x:1:1:::\nb\x00:x:2:1:::\r\n\vc:x:3:1:::"))
	f.Fuzz(func(t *testing.T, data []byte) {
		of := parsePasswd(data)
		b := accounts.Read(data, nil)
		for uid, name := range of {
			if u, ok := b.User(uid); !ok || u.Name != name {
				t.Errorf("user %d is %q, and %q by accounts", uid, name, u.Name)
			}
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			if fields := strings.Split(line, ":"); len(fields) > 2 {
				uid, err := strconv.ParseUint(fields[2], 10, 32)
				if err != nil {
					continue
				}
				if u, ok := b.User(uint32(uid)); ok && of[u.UID] != u.Name {
					t.Errorf("user %d is %q, and %q by accounts", uid, of[u.UID], u.Name)
				}
			}
		}
	})
}

// TestNamesFollow: a passwd file that is replaced, or written into, is read anew; one
// that is gone, or too large, is a reason and no name.
func TestNamesFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	s := &Source{Passwd: path}
	name := func(want, why string) {
		t.Helper()
		got, err := s.user(1000)
		if got != want || (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%q, %v, want %q, %q", got, err, want, why)
		}
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name("", "no such file")
	write(path, "anna:x:1000:1000::/:\n")
	name("anna", "")
	name("anna", "")
	write(path+"+", "hans:x:1000:1000::/:\n")
	if err := os.Rename(path+"+", path); err != nil {
		t.Fatal(err)
	}
	name("hans", "")
	write(path, "katharina:x:1000:1000::/:\n")
	name("katharina", "")
	if err := os.Truncate(path, maxPasswd+1); err != nil {
		t.Fatal(err)
	}
	name("", "has over")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	name("", "no such file")
}

// TestMadeUpProc: what of /proc cannot be read is unseen, and says why; the rest is
// there.
func TestMadeUpProc(t *testing.T) {
	pid := fmt.Sprint(os.Getpid())
	files := map[string]string{
		"self/uid_map": "0 0 4294967295\n", "self/gid_map": "0 0 4294967295\n",
		"self/loginuid": "1000", "self/cgroup": named("0::/docker/A\n"), "self/stat": strings.Replace(bash, "4711", pid, 1),
	}
	for name, tc := range map[string]struct {
		change map[string]string
		want   string
	}{
		"all is there":      {nil, ""},
		"no loginuid":       {map[string]string{"self/loginuid": "-"}, "login_uid: opening loginuid: no such file or directory"},
		"a loginuid of x":   {map[string]string{"self/loginuid": "x"}, `login_uid: reading loginuid: strconv.ParseUint: parsing "x": invalid syntax`},
		"no cgroup":         {map[string]string{"self/cgroup": "-"}, "container: opening cgroup: no such file or directory"},
		"an endless cgroup": {map[string]string{"self/cgroup": strings.Repeat("0::/x\n", maxFile/6+1)}, "container: cgroup has over 65536 bytes"},
		"no stat":           {map[string]string{"self/stat": "-"}, "process: "},
		"a broken stat":     {map[string]string{"self/stat": "1 (x) S"}, "process: reading stat: it ends with field 3"},
		"an ending one":     {map[string]string{"self/stat": strings.Replace(bash, " S ", " Z ", 1)}, "process: " + errEnded.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, pid, "ns"), 0o755); err != nil {
				t.Fatal(err)
			}
			for link, to := range map[string]string{"self": pid, pid + "/exe": "/usr/bin/docker", pid + "/ns/cgroup": "cgroup:[4026531835]"} {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			all := maps.Clone(files)
			maps.Copy(all, tc.change)
			for name, text := range all {
				if text == "-" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			l := listen(t)
			l.dial(t)
			c := of(t, &Source{Proc: dir}, l.accept(t).UnixConn)
			got := ""
			for _, u := range c.Unseen {
				got += u.Field + ": " + u.Reason
			}
			if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") || c.Seen == strings.HasPrefix(got, "process") {
				t.Errorf("unseen is %q, want %q", got, tc.want)
			}
			if c.Seen && (c.Exe != "/usr/bin/docker" || c.Command != "bash" || c.Started != 987654 || c.TTY != "/dev/pts/4" ||
				(c.LoginUID == nil) != strings.HasPrefix(got, "login_uid") || (c.Container == "") != strings.HasPrefix(got, "container")) {
				t.Errorf("%+v", c)
			}
		})
	}
}
