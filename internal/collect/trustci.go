package collect

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxCIEntries bounds how many files and folders are looked at below what the
	// caller names, and maxCIDepth how deep.
	maxCIEntries = 100_000
	maxCIDepth   = 16
)

// ciFiles are the names of files that tell a service of continuous integration, or
// a person's own scripts, what to do; ciFolders those of folders whose YAML does.
var (
	ciFiles   = []string{"Jenkinsfile", "Makefile", "GNUmakefile", "makefile", ".drone.yml", ".drone.yaml", "bitbucket-pipelines.yml", ".travis.yml", ".woodpecker.yml", ".woodpecker.yaml", "cloudbuild.yaml", "buildspec.yml", ".env"}
	ciFolders = []string{"workflows", ".circleci", ".woodpecker", ".buildkite", ".gitlab-ci"}
	// notOwn are folders of other people's code, and of git itself.
	notOwn = []string{".git", "node_modules", "vendor"}
)

func isCIFile(folder, name string) bool {
	ext := path.Ext(name)
	yaml := ext == ".yml" || ext == ".yaml"
	switch {
	case slices.Contains(ciFiles, name), ext == ".sh", ext == ".bash", ext == ".mk", strings.HasPrefix(name, "Jenkinsfile."), ext == ".jenkinsfile":
		return true
	case yaml && (strings.Contains(name, "gitlab-ci") || strings.HasPrefix(name, "azure-pipelines")):
		return true
	}
	return yaml && slices.Contains(ciFolders, path.Base(folder))
}

// searchCI looks through the files, and below the folders, that the caller names.
// Links in their own paths are followed within root, and none below.
func (t *contentTrust) searchCI(root string, names []string) {
	host, err := openTree(root)
	if err != nil {
		t.more(err, trustDenied)
		return
	}
	defer host.close()
	left := maxCIEntries
	for _, name := range names {
		folder, err := host.open(name, unix.S_IFDIR, "it is no folder")
		if folder != nil {
			t.more(t.below(folder, path.Clean(name), maxCIDepth, &left), trustDenied)
			folder.Close()
			continue
		}
		data, readErr := host.read(name)
		switch {
		case data != nil:
			t.scan("ci", path.Clean(name), data)
		case readErr != nil:
			t.more(readErr, trustDenied)
		default:
			t.more(errors.Join(err, errors.New(name+" is not there")), trustDenied)
		}
	}
}

func (t *contentTrust) below(folder *os.File, at string, depth int, left *int) error {
	for {
		entries, err := folder.ReadDir(1024)
		if *left -= len(entries); *left < 0 || depth == 0 {
			return errors.New("there is more below " + at + " than is looked at")
		}
		for _, e := range entries {
			name := e.Name()
			switch {
			case e.IsDir() && !slices.Contains(notOwn, name):
				fd, err := openIn(folder, name, unix.O_DIRECTORY)
				if err != nil {
					if !errors.Is(err, fs.ErrNotExist) {
						t.more(err, trustDenied)
					}
					continue
				}
				below := os.NewFile(uintptr(fd), name)
				err = t.below(below, path.Join(at, name), depth-1, left)
				below.Close()
				if err != nil {
					return err
				}
			case e.Type().IsRegular() && isCIFile(at, name):
				data, err := readIn(folder, name, maxConfigurationBytes)
				t.more(err, trustDenied)
				t.scan("ci", path.Join(at, name), data)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
