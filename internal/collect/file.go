package collect

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/posixacl"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// look looks at one file.
func (f *finder) look(role, p string) facts.File {
	out := absentFile(role, p)
	t, err := f.trace(p)
	if err != nil {
		return unseenFile(role, p, reasonOf(err))
	}
	for _, l := range t.links {
		out.Links = append(out.Links, facts.FileLink{Path: clean(l.path), UID: int64(l.uid), User: f.book.UserName(l.uid)})
	}
	if t.at == nil {
		return out
	}
	out.Exists, out.Resolved, out.Kind = true, clean(t.resolved), kindOf(t.at.Mode)
	out.UID, out.GID, out.Mode = int64(t.at.Uid), int64(t.at.Gid), fmt.Sprintf("%04o", t.at.Mode&0o7777)
	out.User, out.Group = f.book.UserName(t.at.Uid), f.book.GroupName(t.at.Gid)
	_, isUser := f.book.User(t.at.Uid)
	_, isGroup := f.book.Group(t.at.Gid)
	hideName := func(field, reason string, known bool) {
		switch {
		case reason != "":
			hideIn(&out, field, reason)
		case !known && len(f.elsewhere) > 0:
			hideIn(&out, field, "the host asks "+strings.Join(f.elsewhere, ", ")+" for it")
		}
	}
	hideName("user", f.noUsers, isUser)
	hideName("group", f.noGroups, isGroup)
	for _, e := range t.list {
		switch e.Kind {
		case posixacl.User:
			out.ACL = append(out.ACL, "user:"+f.book.UserName(e.ID)+":"+permissions(e.Permissions))
		case posixacl.Named:
			out.ACL = append(out.ACL, "group:"+f.book.GroupName(e.ID)+":"+permissions(e.Permissions))
		}
	}
	out.Readers, out.Writers = may(t.at, t.list, posixacl.Read, f.book), may(t.at, t.list, posixacl.Write, f.book)
	if t.listErr != nil {
		for _, field := range []string{"acl", "readers", "writers"} {
			hideIn(&out, field, "the access list cannot be read")
		}
	}
	f.lookAtFolders(&out, t)
	return out
}

func (f *finder) lookAtFolders(out *facts.File, t *trace) {
	for i := range t.folders {
		at := &t.folders[i]
		by := at.changers(f.own, f.book)
		known := slices.ContainsFunc(out.Folders, func(f facts.FileFolder) bool { return f.Path == clean(at.path) })
		if len(by) > 0 && !known {
			out.Folders = append(out.Folders, facts.FileFolder{Path: clean(at.path), By: by})
		}
		if at.err != nil && t.hidden == nil {
			t.hidden = errors.New("the access list of " + clean(at.path) + " cannot be read")
		}
	}
	if t.hidden != nil {
		hideIn(out, "folders"+workload.Open, reasonOf(t.hidden))
	}
}

// clean makes a name of the host's harmless to JSON, which has no other bytes.
func clean(p string) string { return strings.ToValidUTF8(p, "\uFFFD") }

// reasonOf is an error without the path that it is about, which the fact has.
func reasonOf(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	if errors.Is(err, unix.EACCES) {
		return "it may not be looked at by this user"
	}
	return err.Error()
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "regular"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFIFO:
		return "pipe"
	}
	return "device"
}

func permissions(p uint16) string {
	out := []byte("---")
	for i, bit := range []uint16{posixacl.Read, posixacl.Write, posixacl.Execute} {
		if p&bit != 0 {
			out[i] = "rwx"[i]
		}
	}
	return string(out)
}

func hideIn(f *facts.File, field, reason string) {
	f.Unseen = append(f.Unseen, workload.Unseen{Path: field, Reason: reason})
}

// absentFile is one that is not there; p is "" where nothing names one.
func absentFile(role, p string) facts.File {
	return facts.File{Role: role, Path: clean(p), ACL: []string{}, Readers: []string{}, Writers: []string{}, Links: []facts.FileLink{}, Folders: []facts.FileFolder{}}
}

// unseenFile is a file of which only the role, and where it should be, are known.
func unseenFile(role, p, reason string) facts.File {
	out := absentFile(role, p)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[facts.File]()) {
		if name := field.Tag.Get("json"); name != "-" && name != "role" && name != "path" {
			hideIn(&out, name, reason)
		}
	}
	return out
}
