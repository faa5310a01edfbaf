package collect

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxImageFileBytes bounds a configuration, manifest or index; they are 1 to 100
// KiB.
const maxImageFileBytes = 1 << 20

// maxManifests bounds how many manifests of an index are looked at.
const maxManifests = 64

// imageStore is where an engine on this machine keeps its images, open for as long
// as they are looked at. It is used by one goroutine.
type imageStore struct {
	// configs has the configurations by their digests, and layers what the engine
	// knows of layers by their chain ids (moby's image/fs.go and layer/filestore.go);
	// diffs has the files of the layers. nil is not there.
	configs, layers, diffs *os.File
	// blobs have indexes, manifests and configurations by their digests, where the
	// engine leaves images to containerd (its plugins/content/local).
	blobs []*os.File
	// noConfigs and noLayers are why there is nothing to look into.
	noConfigs, noLayers string
	// entries is how many files of layers may still be looked at.
	entries int
}

// What to do where the store cannot be read completes the reasons.
const historyHint = ": --image-history asks the engine"

// openStore opens the store of the engine whose files are in host, which may be
// nil for the reason given.
func openStore(host *tree, reason, dataRoot, driver string) *imageStore {
	s := &imageStore{entries: maxLayerEntries}
	if host == nil {
		s.noConfigs, s.noLayers = reason+historyHint, reason
		return s
	}
	if !path.IsAbs(dataRoot) || driver == "" || strings.ContainsAny(driver, "/.") {
		s.noConfigs, s.noLayers = "the engine does not say where it keeps images"+historyHint, "the engine does not say where it keeps images"
		return s
	}
	var denied bool
	open := func(parts ...string) *os.File {
		f, err := host.open(path.Join(append([]string{dataRoot}, parts...)...), unix.S_IFDIR, "it is no folder")
		denied = denied || errors.Is(err, fs.ErrPermission)
		return f
	}
	s.configs = open("image", driver, "imagedb/content/sha256")
	s.layers = open("image", driver, "layerdb/sha256")
	if driver == "overlay2" {
		s.diffs = open("overlay2")
	}
	const content = "io.containerd.content.v1.content/blobs/sha256"
	for _, at := range []string{path.Join(dataRoot, "containerd/daemon", content), path.Join("/var/lib/containerd", content)} {
		if f, err := host.open(at, unix.S_IFDIR, "it is no folder"); f != nil {
			s.blobs = append(s.blobs, f)
		} else if s.configs == nil {
			denied = denied || errors.Is(err, fs.ErrPermission)
		}
	}
	switch {
	case denied:
		const reason = "the engine's store may not be looked at by this user"
		s.noConfigs, s.noLayers = reason+": run plimsoll as root, or with --image-history", reason+": run plimsoll as root"
	case s.configs == nil && len(s.blobs) == 0:
		s.noConfigs = "the engine's store was not found" + historyHint
	}
	switch {
	case s.noLayers != "":
	case driver != "overlay2":
		s.noLayers = "layers are looked at where the storage driver is overlay2, and it is " + driver
	case s.layers == nil || s.diffs == nil:
		s.noLayers = "the engine's store was not found"
	}
	return s
}

func (s *imageStore) close() {
	for _, f := range append([]*os.File{s.configs, s.layers, s.diffs}, s.blobs...) {
		if f != nil {
			f.Close()
		}
	}
}

// readIn reads a regular file below a folder, and follows no link. What is no
// regular file is not opened.
func readIn(folder *os.File, name string, most int) ([]byte, error) {
	var at unix.Stat_t
	if err := unix.Fstatat(int(folder.Fd()), name, &at, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	if at.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("it is no regular file")
	}
	fd, err := openIn(folder, name, unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	return data, err
}

func openIn(folder *os.File, name string, flags uint64) (int, error) {
	return unix.Openat2(int(folder.Fd()), name, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
}

// hexOf is the number of a sha256 digest, or "".
func hexOf(digest string) string {
	number, found := strings.CutPrefix(digest, "sha256:")
	if !found || !isID(number) {
		return ""
	}
	return number
}

// verified reads what a folder has under a digest, which its content must have.
func verified(folder *os.File, digest string) ([]byte, error) {
	number := hexOf(digest)
	if number == "" {
		return nil, errors.New("its id is no digest")
	}
	data, err := readIn(folder, number, maxImageFileBytes)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != number {
		return nil, errors.New("it is not what its digest says")
	}
	return data, nil
}

// imageFile is the configuration of an image (the OCI image specification's
// config.md).
type imageFile struct {
	History []rawStep `json:"history"`
	RootFS  struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// rawStep is a step of a history as it is written.
type rawStep struct {
	Created    string `json:"created"`
	CreatedBy  string `json:"created_by"`
	Comment    string `json:"comment"`
	EmptyLayer bool   `json:"empty_layer"`
	// maybeEmpty is true where nobody says whether it made a layer, and size is that
	// of the layer, -1 where it is not known.
	maybeEmpty bool
	size       int64
}

// history reads the steps of the image with that id, whose layers are known, or
// gives the reason why not.
func (s *imageStore) history(id string, layers []string) ([]rawStep, string) {
	if s.noConfigs != "" {
		return nil, s.noConfigs
	}
	var file *imageFile
	var err error
	if s.configs != nil {
		file, err = configIn(s.configs, id, layers)
	}
	for _, folder := range s.blobs {
		if file != nil {
			break
		}
		var other error
		if file, other = manifestIn(folder, id, layers, true); file == nil && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			err = other
		}
	}
	switch {
	case file == nil && errors.Is(err, fs.ErrNotExist):
		return nil, "it is not in the engine's store" + historyHint
	case file == nil:
		return nil, "its configuration in the engine's store cannot be read: " + err.Error()
	case len(file.History) == 0:
		return nil, reasonNoHistory
	}
	for i := range file.History {
		file.History[i].size = -1
	}
	s.sizes(file)
	return file.History, ""
}

const reasonNoHistory = "the image does not say how it was built"

func configIn(folder *os.File, digest string, layers []string) (*imageFile, error) {
	data, err := verified(folder, digest)
	if err != nil {
		return nil, err
	}
	file := &imageFile{}
	if err := decode("an image's configuration", data, file); err != nil {
		return nil, errors.New("it is not the JSON of an image")
	}
	if !slices.Equal(file.RootFS.DiffIDs, layers) {
		return nil, errors.New("it has other layers than the engine says")
	}
	return file, nil
}

// manifestIn reads the configuration that a manifest names, or that of an index of
// manifests which has the image's layers.
func manifestIn(folder *os.File, digest string, layers []string, index bool) (*imageFile, error) {
	data, err := verified(folder, digest)
	if err != nil {
		return nil, err
	}
	var body struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
		Config struct {
			Digest string `json:"digest"`
		} `json:"config"`
	}
	if err := decode("a manifest", data, &body); err != nil {
		return nil, errors.New("it is not the JSON of a manifest")
	}
	if body.Config.Digest != "" {
		return configIn(folder, body.Config.Digest, layers)
	}
	err = errors.New("no manifest of it has the layers that the engine says")
	for _, m := range body.Manifests[:min(len(body.Manifests), maxManifests)] {
		if !index {
			break
		}
		// Those for other machines are mostly not there.
		if file, _ := manifestIn(folder, m.Digest, layers, false); file != nil {
			return file, nil
		}
	}
	return nil, err
}

// sizes adds the sizes of layers, where the engine keeps them.
func (s *imageStore) sizes(file *imageFile) {
	if s.layers == nil {
		return
	}
	chain, next := "", 0
	for i := range file.History {
		step := &file.History[i]
		if step.EmptyLayer {
			step.size = 0
			continue
		}
		if next == len(file.RootFS.DiffIDs) {
			return
		}
		chain = chainID(chain, file.RootFS.DiffIDs[next])
		next++
		if data, err := readIn(s.layers, hexOf(chain)+"/size", 32); err == nil {
			if _, err := fmt.Sscan(string(data), &step.size); err != nil || step.size < 0 {
				step.size = -1
			}
		}
	}
}

// chainID is the id of a layer with all below it (the OCI image specification,
// config.md, Layer ChainID).
func chainID(parent, diff string) string {
	if parent == "" {
		return diff
	}
	sum := sha256.Sum256([]byte(parent + " " + diff))
	return "sha256:" + hex.EncodeToString(sum[:])
}
