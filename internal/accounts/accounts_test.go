package accounts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	passwd = `root:x:0:0:root:/root:/bin/bash
# a comment:x:9:9:::
  anna:x:1000:1000:Anna,,,:/home/anna:/bin/bash
toor:x:0:0::/root:/bin/sh
short:x:1
ben:x:1001:998::/home/ben:/usr/sbin/nologin
far:x:4294967296:1::/:
minus:x:-1:1::/:
+nis::::::
:x:5:5:::
`
	group = `root:x:0:
anna:x:1000:
docker:x:998:anna, carl
docker2:x:998:dora,anna
broken:x:z:anna
`
)

func TestBook(t *testing.T) {
	b := Read([]byte(passwd), []byte(group))
	if u, ok := b.User(1001); !ok || u != (User{Name: "ben", UID: 1001, GID: 998, Shell: "/usr/sbin/nologin"}) {
		t.Errorf("user 1001 is %+v, %t", u, ok)
	}
	if u, ok := b.UserNamed("anna"); !ok || u.UID != 1000 {
		t.Errorf("anna is %+v, %t", u, ok)
	}
	if g, ok := b.GroupNamed("docker2"); !ok || g.GID != 998 {
		t.Errorf("docker2 is %+v, %t", g, ok)
	}
	for uid, want := range map[uint32]string{0: "root", 1000: "anna", 5: "5", 9: "9", 4294967295: "4294967295"} {
		if got := b.UserName(uid); got != want {
			t.Errorf("user %d is %s, want %s", uid, got, want)
		}
	}
	for gid, want := range map[uint32]string{998: "docker", 1000: "anna", 1001: "1001"} {
		if got := b.GroupName(gid); got != want {
			t.Errorf("group %d is %s, want %s", gid, got, want)
		}
	}
	for gid, want := range map[uint32][]string{998: {"anna", "ben", "carl", "dora"}, 1000: {"anna"}, 0: {"root", "toor"}, 7: {}} {
		if diff := cmp.Diff(want, b.Members(gid)); diff != "" {
			t.Errorf("of group %d: %s", gid, diff)
		}
	}
	for _, name := range []string{"short", "far", "minus", "+nis", "", "# a comment"} {
		if u, ok := b.UserNamed(name); ok {
			t.Errorf("%q is %+v", name, u)
		}
	}
	if _, ok := b.GroupNamed("broken"); ok {
		t.Error("a group has no number")
	}
}

func TestElsewhere(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string
	}{
		{"", []string{}},
		{"passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\nhosts: files dns\n", []string{}},
		{"passwd:files sss\ngroup: files [!UNAVAIL=return]ldap # winbind\n#passwd: nis", []string{"ldap", "sss"}},
		{"shadow: ldap\ninitgroups: sss sss", []string{"sss"}},
	} {
		if diff := cmp.Diff(tc.want, Elsewhere([]byte(tc.text))); diff != "" {
			t.Errorf("%q: %s", tc.text, diff)
		}
	}
}

// FuzzRead: whoever is in the book has a line that says so, and is found again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(passwd), []byte(group))
	f.Add([]byte("a:::::::"), []byte("a:x:0:a,,a"))
	f.Fuzz(func(t *testing.T, passwd, group []byte) {
		b := Read(passwd, group)
		for _, u := range b.users {
			if !strings.Contains(string(passwd), u.Name+":") || u.Name == "" || strings.Contains(u.Name, "\n") {
				t.Errorf("%q is in no line", u.Name)
			}
			if found, ok := b.User(u.UID); !ok || found.UID != u.UID {
				t.Errorf("user %d is not found", u.UID)
			}
			if !slices.Contains(b.Members(u.GID), u.Name) {
				t.Errorf("%q is no member of %d", u.Name, u.GID)
			}
		}
		for _, g := range b.groups {
			members := b.Members(g.GID)
			if !slices.IsSorted(members) || len(slices.Compact(slices.Clone(members))) != len(members) {
				t.Errorf("%q are no set", members)
			}
			for _, m := range g.Members {
				if !slices.Contains(members, m) || strings.ContainsAny(m, ",:\n") {
					t.Errorf("%q is no member of %q", m, g.Name)
				}
			}
			if again := Read(nil, fmt.Appendf(nil, "%s:x:%d:%s", g.Name, g.GID, strings.Join(g.Members, ","))); !cmp.Equal(again.groups, []Group{g}) && len(g.Members) > 0 {
				t.Errorf("written and read, %+v is %+v", g, again.groups)
			}
		}
		for _, s := range Elsewhere(passwd) {
			if s == "files" || !strings.Contains(string(passwd), s) {
				t.Errorf("%q is a source", s)
			}
		}
	})
}
