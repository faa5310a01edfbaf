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
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// Name is what a person calls it.
func (f *File) Name() string {
	if f.Path == "" {
		return f.Role
	}
	return f.Path
}
