package facts

// ContentTrustUse is a place where Docker Content Trust is switched on or off, is
// told of its server, or keeps its keys.
type ContentTrustUse struct {
	// Kind is daemon, process, profile, unit, ci or folder.
	Kind string `json:"kind"`
	// Path is the file; of a process the file of its environment. Line counts from 1,
	// and is 0 where there are none.
	Path string `json:"path"`
	Line int64  `json:"line"`
	// Name is the process's; "" for a file.
	Name string `json:"name"`
	// Setting is on, off, or "" where only a server, or a folder, was found.
	Setting string `json:"setting"`
	// Server is the host of the notary server that is named, with its port; "" is
	// Docker's own.
	Server string `json:"server"`
	// Keys and Repositories are how many of each a folder holds.
	Keys         int64 `json:"keys"`
	Repositories int64 `json:"repositories"`
}
