package install

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// recordSchema names the form of a record.
const recordSchema = "plimsoll/gate-install/1"

// recordFile is the record's name in plimsoll's own folder.
const recordFile = "gate-install.json"

// Record is what an install has found and made, so that it can be put back by whoever
// comes later. It is written before the first change, and again before each that it did
// not foresee.
type Record struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	// Done says that the install came to its end.
	Done bool `json:"done"`
	// Socket is the path that clients know. UID, GID and Mode are what the engine's own
	// socket had there.
	Socket string `json:"socket"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Mode   uint32 `json:"mode"`
	// Policy is the policy file, and PolicyMade the digest of what plimsoll wrote there
	// last; "" is that it was there before.
	Policy     string `json:"policy"`
	PolicyMade string `json:"policy_made,omitempty"`
	// UserMade says that the gate's user was not there before.
	UserMade bool `json:"user_made,omitempty"`
	// Folders are those that were made, the deepest last.
	Folders []string `json:"folders,omitempty"`
}

// maxRecord bounds what is read of a record.
const maxRecord = 1 << 16

func (h *Host) recordPath() string { return filepath.Join(h.State, recordFile) }

// ReadRecord reads the record of the install on this host. The error, a *Failure, is
// fs.ErrNotExist where there is none.
func (h *Host) ReadRecord() (*Record, error) {
	data, err := os.ReadFile(h.at(h.recordPath()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Failure{Message: "no gate is installed here", Hint: "plimsoll gate install  makes it a part of this host", Err: err}
	case err != nil:
		return nil, &Failure{Message: "what was installed can't be read", Err: err}
	case len(data) > maxRecord:
		return nil, &Failure{Message: fmt.Sprintf("%s has %d bytes, and is no record of an install", h.recordPath(), len(data))}
	}
	r := &Record{}
	if err := strict.JSON(h.recordPath(), data, r); err != nil {
		return nil, &Failure{Message: "what was installed can't be read", Hint: "docs/gate.md says how the gate is taken away by hand", Err: err}
	}
	if r.Schema != recordSchema || !filepath.IsAbs(r.Socket) {
		return nil, &Failure{Message: h.recordPath() + " is of another version of plimsoll", Hint: "Use that one, or take the gate away by hand as docs/gate.md says"}
	}
	return r, nil
}

// keep writes the record, durably.
func (h *Host) keep(r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return h.write(h.recordPath(), append(data, '\n'), 0o600)
}

// write puts a file in the place of another, whole or not at all, and durably.
func (h *Host) write(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(h.at(path))
	f, err := os.CreateTemp(dir, ".plimsoll-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), h.at(path)); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeFolder makes a folder with those above it. Those that it makes are put into the
// record first.
func (h *Host) makeFolder(r *Record, path string) error {
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		_, err := os.Stat(h.at(p))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == "/" {
			return err
		}
		missing = append(missing, p)
	}
	slices.Reverse(missing)
	for _, p := range missing {
		if !slices.Contains(r.Folders, p) {
			r.Folders = append(r.Folders, p)
		}
	}
	// The folder of the record itself comes first, and is written down right after.
	_, err := os.Stat(h.at(h.State))
	if len(missing) > 0 && err == nil {
		if err := h.keep(r); err != nil {
			return err
		}
	}
	for _, p := range missing {
		if err := os.Mkdir(h.at(p), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := os.Chmod(h.at(p), 0o755); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
