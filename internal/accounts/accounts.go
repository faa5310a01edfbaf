// Package accounts reads who there is on a host: users of /etc/passwd, groups of
// /etc/group, and where else the host looks for them. [Read] makes a [Book] of the
// files' bytes, which answers by number and by name; [Elsewhere] reads
// /etc/nsswitch.conf.
//
// It asks no directory service: a host that has one is known by Elsewhere. It reads
// no password. The formats are passwd(5), group(5) and nsswitch.conf(5); lines that
// the C library passes over are passed over.
package accounts

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// User is a line of /etc/passwd.
type User struct {
	Name     string
	UID, GID uint32
	Shell    string
}

// Group is a line of /etc/group. Members are those that it lists; see Book.Members.
type Group struct {
	Name    string
	GID     uint32
	Members []string
}

// Book has the users and groups of a host. The zero Book has none.
type Book struct {
	users  []User
	groups []Group
}

// Read makes a book of the bytes of /etc/passwd and /etc/group.
func Read(passwd, group []byte) *Book {
	b := &Book{}
	for fields := range lines(passwd, 7) {
		uid, okUser := number(fields[2])
		gid, okGroup := number(fields[3])
		if okUser && okGroup {
			b.users = append(b.users, User{Name: fields[0], UID: uid, GID: gid, Shell: fields[6]})
		}
	}
	for fields := range lines(group, 4) {
		gid, ok := number(fields[2])
		if !ok {
			continue
		}
		members := strings.FieldsFunc(fields[3], func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		b.groups = append(b.groups, Group{Name: fields[0], GID: gid, Members: members})
	}
	return b
}

// lines gives the fields of each line that has so many. Lines of NIS begin with a
// sign, and only a host with nsswitch's compat reads them.
func lines(data []byte, fields int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.SplitSeq(string(data), "\n") {
			line = strings.TrimLeft(line, " \t\v\f\r")
			if line == "" || strings.ContainsAny(line[:1], "#+-:") || strings.IndexByte(line, 0) >= 0 {
				continue
			}
			if parts := strings.Split(line, ":"); len(parts) == fields && !yield(parts) {
				return
			}
		}
	}
}

func number(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// User is the first user with a number.
func (b *Book) User(uid uint32) (User, bool) {
	return first(b.users, func(u User) bool { return u.UID == uid })
}

// UserNamed is the first user with a name.
func (b *Book) UserNamed(name string) (User, bool) {
	return first(b.users, func(u User) bool { return u.Name == name })
}

// Group is the first group with a number.
func (b *Book) Group(gid uint32) (Group, bool) {
	return first(b.groups, func(g Group) bool { return g.GID == gid })
}

// GroupNamed is the first group with a name.
func (b *Book) GroupNamed(name string) (Group, bool) {
	return first(b.groups, func(g Group) bool { return g.Name == name })
}

// UserName is a user's name, or the number where there is no such user.
func (b *Book) UserName(uid uint32) string {
	if u, ok := b.User(uid); ok {
		return u.Name
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// GroupName is a group's name, or the number where there is no such group.
func (b *Book) GroupName(gid uint32) string {
	if g, ok := b.Group(gid); ok {
		return g.Name
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// Members are the names, sorted, of all that get a group when they log in: those
// that any of its lines lists, whether there is such a user or not, and those whose
// own group it is.
func (b *Book) Members(gid uint32) []string {
	names := []string{}
	for _, g := range b.groups {
		if g.GID == gid {
			names = append(names, g.Members...)
		}
	}
	for _, u := range b.users {
		if u.GID == gid {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func first[T any](list []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	return *new(T), false
}

// Elsewhere are the sources, sorted, that /etc/nsswitch.conf names for users and
// groups beside this host's own files: sss, ldap, winbind, nis and the like.
func Elsewhere(nsswitch []byte) []string {
	own := []string{"files", "compat", "systemd", "db", "altfiles", "extrausers"}
	found := []string{}
	for line := range strings.SplitSeq(string(nsswitch), "\n") {
		line, _, _ = strings.Cut(line, "#")
		database, sources, ok := strings.Cut(line, ":")
		if database = strings.TrimSpace(database); !ok || database != "passwd" && database != "group" && database != "initgroups" {
			continue
		}
		action := false
		for word := range strings.FieldsSeq(strings.NewReplacer("[", " [ ", "]", " ] ").Replace(sources)) {
			switch {
			case word == "[" || word == "]":
				action = word == "["
			case !action && !slices.Contains(own, word):
				found = append(found, word)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
