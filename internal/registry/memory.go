package registry

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// memorySchema names the form of what is remembered.
const memorySchema = "plimsoll/registry-seen/1"

// Bounds of what is remembered of one repository.
const (
	maxMemory = 64 << 20
	maxSeen   = 200_000
)

// memory is what was seen of one repository, in a file of a folder. Who writes there must hold
// a lock of the caller's.
type memory struct {
	Schema     string          `json:"schema"`
	Repository string          `json:"repository"`
	Seen       time.Time       `json:"seen"`
	Tags       map[string]seen `json:"tags"`
}

// seen is where a tag led, and when it was last seen to.
type seen struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
}

func memoryFile(dir, repository string) string {
	return filepath.Join(dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(repository))))
}

// recall reads what was seen of a repository; nothing is an empty memory.
func recall(dir, repository string) (*memory, error) {
	name := memoryFile(dir, repository)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &memory{Schema: memorySchema, Repository: repository, Tags: map[string]seen{}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxMemory+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxMemory {
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("it has more than %d bytes", maxMemory)}
	}
	m := &memory{}
	if err := strict.JSON(name, data, m); err != nil {
		return nil, err
	}
	switch {
	case m.Schema != memorySchema:
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("its schema is %.40q, not %s", m.Schema, memorySchema)}
	case m.Repository != repository || m.Tags == nil || m.Seen.IsZero():
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("it is about %.200q, or says not what was seen", m.Repository)}
	}
	return m, nil
}

// Compare notes which tags lead to something else than the last time, as a folder has it.
func (r *Report) Compare(dir string) error {
	for i := range r.Repositories {
		repo := &r.Repositories[i]
		m, err := recall(dir, repo.Name)
		if err != nil {
			return err
		}
		repo.Seen = m.Seen
		for _, t := range r.Tags {
			if before, is := m.Tags[t.Tag]; is && t.Repository == repo.Name && t.Digest != "" && before.Digest != t.Digest {
				t.Moved = &Moved{before.Digest, before.At}
			}
		}
	}
	return nil
}

// Keep remembers in a folder where each tag leads, by files that write puts whole in the place of
// others. What was not looked at stays as it was.
func (r *Report) Keep(dir string, write func(name string, data []byte) error) error {
	for _, repo := range r.Repositories {
		if repo.Error != "" {
			continue
		}
		m, err := recall(dir, repo.Name)
		if err != nil {
			return err
		}
		m.Seen = r.Time
		if len(m.Tags) > maxSeen { // most are gone for long
			m.Tags = map[string]seen{}
		}
		for _, t := range r.Tags {
			if t.Repository == repo.Name && t.Digest != "" {
				m.Tags[t.Tag] = seen{t.Digest, r.Time}
			}
		}
		data, err := json.MarshalIndent(m, "", " ")
		if err != nil {
			return err
		}
		if err := write(memoryFile(dir, repo.Name), append(data, '\n')); err != nil {
			return err
		}
	}
	return nil
}
