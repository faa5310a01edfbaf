package facts

// ContentTrustUse is a place where Docker Content Trust is switched on or off, is
// told of its server, or keeps its keys.
type ContentTrustUse struct {
	// Kind is daemon, process, profile, unit, ci or folder.
	Kind string `json:"kind"`
	// Path is the file, "" for a process. Line counts from 1, and is 0 where there are
	// none.
	Path string `json:"path"`
	Line int64  `json:"line"`
	// Name is the process's, and UID who it belongs to; "" for a file.
	Name string `json:"name"`
	UID  string `json:"uid"`
	// Setting is on, off, or "" where only a server, or a folder, was found. A server
	// that the same file, or environment, names goes with it.
	Setting string `json:"setting"`
	// Server is the host of the notary server that is named, with its port; "" is
	// Docker's own.
	Server string `json:"server"`
	// Keys and Repositories are how many of each a folder holds.
	Keys         int64 `json:"keys"`
	Repositories int64 `json:"repositories"`
}
