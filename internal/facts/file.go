package facts

import "github.com/plimsoll/plimsoll/internal/workload"

// File is a file, folder or socket of the host that the engine depends on.
type File struct {
	// Role is what it is there for, such as "daemon.json". There is an entry for
	// every role, also where no such file is.
	Role string `json:"role"`
	// Path is where it was looked for; "" where nothing names one.
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
	// Resolved is the path without links.
	Resolved string `json:"resolved"`
	// Kind is regular, directory, socket, pipe, device or, where nothing is, "".
	Kind string `json:"kind"`
	// UID and GID are the owner's, User and Group their names by the host's
	// /etc/passwd and /etc/group, or the numbers where those have none.
	UID   int64  `json:"uid"`
	GID   int64  `json:"gid"`
	User  string `json:"user"`
	Group string `json:"group"`
	// Mode has the permissions as four octal digits: "0644". Where there is an access
	// list, the group's are those of its mask, as everywhere.
	Mode string `json:"mode"`
	// ACL are the entries of the access list for users and groups beside the owner and
	// the file's group, with what they are good for: "user:mei:rw-".
	ACL []string `json:"acl"`
	// Readers and Writers are who may read and write it beside its owner, by mode and
	// access list: "the group docker", "the user mei", "everybody", which has the
	// others in it.
	Readers []string `json:"readers"`
	Writers []string `json:"writers"`
	// Links are the links on the way to it, in order.
	Links []FileLink `json:"links"`
	// Folders are those on the way to it in which others than root, and the user that
	// a rootless engine runs as, can put another file in its place; and of a folder of
	// units itself, where they can put more into it.
	Folders []FileFolder `json:"folders"`
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// FileLink is a symbolic link.
type FileLink struct {
	Path string `json:"path"`
	UID  int64  `json:"uid"`
	User string `json:"user"`
}

// FileFolder is a folder that others can change.
type FileFolder struct {
	Path string `json:"path"`
	// By is who can, as in File.Writers.
	By []string `json:"by"`
}

// Name is what a person calls it.
func (f *File) Name() string {
	if f.Path == "" {
		return f.Role
	}
	return f.Path
}
