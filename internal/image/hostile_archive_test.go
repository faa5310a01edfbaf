package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestHostileArchives: what came of docker-archives that were made to do harm, and of the
// ordinary ones like them.
func TestHostileArchives(t *testing.T) {
	layer := tarOf(t, file("a", "1"))
	hex := digest.FromBytes(layer).Encoded()
	// with makes an archive in which something was changed.
	with := func(change func(s *saved)) []byte {
		s := saving(t, layer)
		change(s)
		return s.bytes(t)
	}
	replaced := func(old, by string) []byte {
		return with(func(s *saved) {
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), old, by))
			s.config = []byte(strings.ReplaceAll(string(s.config), old, by))
		})
	}
	const config = `"config":{"User":"app"}`
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"an ordinary one", with(func(*saved) {}), ""},
		{"its layer named by its digest", with(func(s *saved) {
			s.members[0].Name = "blobs/sha256/" + hex
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "layer0/layer.tar", "blobs/sha256/"+hex))
		}), ""},
		{"its layer named by another digest", with(func(s *saved) {
			s.members[0].Name = "blobs/sha256/" + strings.Repeat("0", 64)
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "layer0/layer.tar", s.members[0].Name))
		}), `"blobs/sha256/` + strings.Repeat("0", 64) + `" is not what its digest says: it is sha256:` + hex},
		{"a compressed layer named by another digest", with(func(s *saved) {
			s.members[0] = file("blobs/sha256/"+strings.Repeat("0", 64), string(gzipped(t, layer)))
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "layer0/layer.tar", s.members[0].Name))
		}), "is not what its digest says"},
		{"another diff id", replaced(hex, strings.Repeat("0", 64)), `layer 0 (sha256:` + strings.Repeat("0", 64) + `): "layer0/layer.tar" is not what its diff id says: unpacked it is sha256:` + hex},
		{"a diff id that is none", replaced("sha256:"+hex, "sha256:0"), `config.json: rootfs.diff_ids[0]: "sha256:0" is no digest`},
		{"a diff id by what is not known", replaced("sha256:"+hex, "md5:"+hex[:32]), "is no digest"},
		{"a configuration named by another digest", with(func(s *saved) {
			name := strings.Repeat("0", 64) + ".json"
			s.members = append(s.members, file(name, string(s.config)))
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "config.json", name))
		}), "is not what its digest says"},
		{"a configuration named by its digest", with(func(s *saved) {
			name := digest.FromBytes(s.config).Encoded() + ".json"
			s.members = append(s.members, file(name, string(s.config)))
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "config.json", name))
		}), ""},
		{"more layers than diff ids", replaced(`"layer0/layer.tar"`, `"layer0/layer.tar","layer0/layer.tar"`), "the image has 2 layers, and its configuration 1 diff ids"},
		{"thousands of layers", replaced(`"layer0/layer.tar"`, strings.Repeat(`"layer0/layer.tar",`, 4999)+`"layer0/layer.tar"`), "manifest.json names more than 1024 layers"},
		{"hundreds of layers", with(func(s *saved) {
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), `"layer0/layer.tar"`, strings.Repeat(`"layer0/layer.tar",`, 299)+`"layer0/layer.tar"`))
			id := `"sha256:` + hex + `"`
			s.config = []byte(strings.ReplaceAll(string(s.config), id, strings.Repeat(id+",", 299)+id))
		}), ""},
		{"a layer outside the archive", replaced("layer0/layer.tar", "../../etc/passwd"), `layer 0: opening "../../etc/passwd": it is not in the archive`},
		{"an absolute layer", replaced("layer0/layer.tar", "/etc/passwd"), "it is not in the archive"},
		{"a configuration outside the archive", replaced("config.json", "/etc/passwd"), "it is not in the archive"},
		{"a member that leaves the archive", with(func(s *saved) { s.members = append(s.members, file("../x", "")) }), `member "../x" leaves the root`},
		{"a member twice", with(func(s *saved) { s.members = append(s.members, file("manifest.json", "[]")) }), `member "manifest.json" is there twice`},
		{"a member twice in two spellings", with(func(s *saved) { s.members = append(s.members, file("./manifest.json", "[]")) }), `member "manifest.json" is there twice`},
		{"a device", with(func(s *saved) { s.members = append(s.members, special("x", tar.TypeChar)) }), `member "x" is neither file, folder nor link`},
		{"a link to the layer, as engines write", with(func(s *saved) {
			s.members = append(s.members, folder("l"), symlink("l/layer.tar", "../layer0/layer.tar"))
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "layer0/layer.tar", "l/layer.tar"))
		}), ""},
		{"a link out of the archive", with(func(s *saved) { s.members = append(s.members, symlink("x", "../etc/passwd")) }), `member "x" is a link to "../etc/passwd", which leaves the root`},
		{"an absolute link", with(func(s *saved) { s.members = append(s.members, symlink("x", "/etc/passwd")) }), "out of the archive"},
		{"links that go round", with(func(s *saved) {
			s.members = append(s.members, symlink("x", "y"), symlink("y", "x"))
			s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "layer0/layer.tar", "x"))
		}), `opening "x": its links go round`},
		{"more members than may be", with(func(s *saved) {
			for n := range 16_384 {
				s.members = append(s.members, file(fmt.Sprint(n), ""))
			}
		}), "it has more than 16384 members"},
		{"a member that ends behind the archive", append(block("manifest.json", '0', "00000100000", nil), "[]"...), "unexpected EOF"},
		{"a sparse member", raw(pax(record("GNU.sparse.size", "100")+record("GNU.sparse.numblocks", "1")+record("GNU.sparse.map", "0,1")), block("manifest.json", '0', "00000000001", nil), padded("x")), `member "manifest.json" is a sparse file`},
		{"a manifest that is huge", with(func(s *saved) { s.manifest = bytes.Repeat([]byte(" "), 9<<20) }), `"manifest.json" has 9437184 bytes, and 8388608 is the most`},
		{"a configuration that is huge", with(func(s *saved) { s.config = bytes.Repeat([]byte(" "), 9<<20) }), `"config.json" has 9437184 bytes, and 8388608 is the most`},
		{"a configuration that is deep", replaced(config, `"config":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), "config.json line 1"},
		{"a configuration that is deep where it is not known", replaced(config, `"x":`+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)), "config.json line 1"},
		{"a configuration of other types", replaced(`"os":"linux"`, `"os":[]`), "config.json line 1"},
		{"a key of the configuration twice", replaced(`"os":"linux"`, `"os":"linux","os":"windows"`), "config.json line 1"},
		{"a key that is not known", replaced(`"os":"linux"`, `"os":"linux","moby.buildkit.buildinfo.v1":"e30="`), ""},
		{"a configuration that is none", with(func(s *saved) { s.config = []byte("null") }), "its configuration 0 diff ids"},
		{"a manifest that is no list", with(func(s *saved) { s.manifest = []byte(`{}`) }), "manifest.json line 1"},
		{"a manifest of nothing", with(func(s *saved) { s.manifest = []byte(`[]`) }), "manifest.json: it names no image"},
		{"a manifest without configuration", with(func(s *saved) { s.manifest = []byte(`[{"Layers": []}]`) }), `manifest.json: "Config" is missing`},
		{"no manifest", tarOf(t, file("a", "")), `opening "manifest.json": it is not in the archive`},
		{"no archive", []byte(strings.Repeat("no archive", 100)), "reading the archive: behind member 0: archive/tar: invalid tar header"},
		{"nothing", nil, `opening "manifest.json": it is not in the archive`},
		{"a layer by bzip2", with(func(s *saved) { s.members[0] = file("layer0/layer.tar", "BZh91AY&SY") }), "it is compressed by bzip2, which is not read"},
		{"a layer cut off in gzip", with(func(s *saved) {
			z := gzipped(t, layer)
			s.members[0] = file("layer0/layer.tar", string(z[:len(z)-9]))
		}), "unexpected EOF"},
		{"a layer with a wrong checksum of gzip", with(func(s *saved) {
			z := gzipped(t, layer)
			z[len(z)-5] ^= 1
			s.members[0] = file("layer0/layer.tar", string(z))
		}), "gzip: invalid checksum"},
		{"garbage behind gzip", with(func(s *saved) { s.members[0] = file("layer0/layer.tar", string(gzipped(t, layer))+"garbage behind it") }), "gzip: invalid header"},
		{"a layer in two members of gzip", with(func(s *saved) {
			s.members[0] = file("layer0/layer.tar", string(gzipped(t, layer[:700]))+string(gzipped(t, layer[700:])))
		}), ""},
		{"a layer in two frames of zstd", with(func(s *saved) {
			s.members[0] = file("layer0/layer.tar", "\x50\x2a\x4d\x18\x02\x00\x00\x00no"+string(zstded(t, layer[:700]))+string(zstded(t, layer[700:])))
		}), ""},
	} {
		got, err := stream(t, test.data, Options{})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "ing app:1: ") {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got.paths() != "/a" {
			t.Errorf("%s: got %s", test.name, got.paths())
		}
	}
}

// TestSpool: what is spooled is bounded, compressed or not.
func TestSpool(t *testing.T) {
	data := saving(t, tarOf(t, file("a", strings.Repeat("a", 1<<20)))).bytes(t)
	at := t.TempDir()
	put(t, at+"/a.tar.gz", gzipped(t, data), 0o644)
	for _, most := range []int64{1 << 19, int64(len(data)) - 1} {
		_, err := stream(t, data, Options{Limits: Limits{Spool: most}})
		refused(t, err, fmt.Sprintf("spooling the image: unpacked it has more than %d bytes", most))
		_, err = open(t, "docker-archive:"+at+"/a.tar.gz", Options{Limits: Limits{Spool: most}})
		refused(t, err, fmt.Sprintf("spooling the image: unpacked it has more than %d bytes", most))
	}
	if _, err := stream(t, data, Options{Limits: Limits{Spool: int64(len(data))}}); err != nil {
		t.Error(err)
	}
	put(t, at+"/bomb.tar.gz", gzipped(t, make([]byte, 64<<20)), 0o644)
	_, err := open(t, "docker-archive:"+at+"/bomb.tar.gz", Options{Limits: Limits{RatioFrom: 1 << 20}})
	refused(t, err, "it unpacks to more than 200 times its length")
}

// TestHostileLayouts: the same for OCI layouts.
func TestHostileLayouts(t *testing.T) {
	one := tarOf(t, file("a", "1"))
	zipped := gzipped(t, one)
	outside := t.TempDir()
	put(t, outside+"/blob", zipped, 0o644)
	blobOf := func(data []byte) string { return "blobs/sha256/" + digest.FromBytes(data).Encoded() }
	ordinary := func(l layout) map[string]any { return l.image(t, [][]byte{zipped}, [][]byte{one}) }
	for _, test := range []struct {
		name string
		make func(l layout)
		// change spoils the folder.
		change func(t *testing.T, at string)
		want   string
	}{
		{"an ordinary one", func(l layout) { l.index(t, ordinary(l)) }, nil, ""},
		{"a layer of another digest", func(l layout) {
			l.index(t, ordinary(l))
			spoiled := bytes.Clone(zipped)
			spoiled[4] ^= 1 // the time in gzip's header
			l[blobOf(zipped)] = spoiled
		}, nil, `"` + blobOf(zipped) + `" is not what its digest says`},
		{"a layer of another diff id", func(l layout) { l.index(t, l.image(t, [][]byte{zipped}, [][]byte{one[:1024]})) }, nil, "is not what its diff id says"},
		{"a layer of another size", func(l layout) {
			l.index(t, ordinary(l))
			l[blobOf(zipped)] = append(bytes.Clone(zipped), 0)
		}, nil, fmt.Sprintf("has %d bytes, and its manifest says %d", len(zipped)+1, len(zipped))},
		{"a layer of size 0", func(l layout) {
			l.index(t, manifestWith(t, l, ordinary(l), fmt.Sprintf(`"size":%d`, len(zipped)), `"size":0`))
		}, nil, "and its manifest says 0"},
		{"a layer of negative size", func(l layout) {
			l.index(t, manifestWith(t, l, ordinary(l), fmt.Sprintf(`"size":%d`, len(zipped)), `"size":-1`))
		}, nil, "its manifest says that it has -1 bytes"},
		{"a layer that is missing", func(l layout) {
			l.index(t, ordinary(l))
			delete(l, blobOf(zipped))
		}, nil, `layer 0: opening "` + blobOf(zipped) + `": no such file`},
		{"a layer that is no layer", func(l layout) {
			l.index(t, manifestWith(t, l, ordinary(l), ociLayer, "application/vnd.in-toto+json"))
		}, nil, `layer 0 has the media type "application/vnd.in-toto+json"`},
		{"an encrypted layer", func(l layout) {
			l.index(t, manifestWith(t, l, ordinary(l), ociLayer, ociLayer+"+gzip+encrypted"))
		}, nil, "and is no layer of a file system"},
		{"a layer of docker's type", func(l layout) {
			l.index(t, manifestWith(t, l, ordinary(l), ociLayer, "application/vnd.docker.image.rootfs.diff.tar.gzip"))
		}, nil, ""},
		{"a digest that leaves the layout", func(l layout) {
			m := ordinary(l)
			m["digest"] = "sha256:../../../etc/passwd"
			l.index(t, m)
		}, nil, `"sha256:../../../etc/passwd" is no digest`},
		{"an algorithm that leaves it", func(l layout) {
			m := ordinary(l)
			m["digest"] = "../..:" + strings.Repeat("0", 64)
			l.index(t, m)
		}, nil, "is no digest"},
		{"a manifest of another digest", func(l layout) {
			m := ordinary(l)
			l.index(t, m)
			name := "blobs/sha256/" + m["digest"].(digest.Digest).Encoded()
			l[name] = bytes.Replace(l[name], []byte("{"), []byte("{ "), 1)
			m["size"] = len(l[name])
			l.index(t, m)
		}, nil, "is not what its digest says"},
		{"a manifest of another size", func(l layout) {
			m := ordinary(l)
			m["size"] = 1
			l.index(t, m)
		}, nil, "and its index says 1"},
		{"an index that names itself", func(l layout) {
			// No document can hold its own digest: one that says so is of another.
			loop := typed(l.blob([]byte("loop")), ociIndex)
			data := jsonOf(t, map[string]any{"schemaVersion": 2, "manifests": []any{loop}})
			l["blobs/sha256/"+loop["digest"].(digest.Digest).Encoded()] = data
			loop["size"] = len(data)
			l.index(t, loop)
		}, nil, "is not what its digest says"},
		{"index.json again", func(l layout) {
			again := typed(l.blob(jsonOf(t, map[string]any{"schemaVersion": 2, "manifests": []any{ordinary(l)}})), ociIndex)
			l.index(t, again, maps.Clone(again), ordinary(l))
		}, nil, ""},
		{"indexes that are deep", func(l layout) { l.index(t, nested(t, l, ordinary(l), 6)) }, nil, "its indexes are more than 4 deep"},
		{"indexes that are not", func(l layout) { l.index(t, nested(t, l, ordinary(l), 3)) }, nil, ""},
		{"more manifests than may be", func(l layout) {
			var all []map[string]any
			for n := range 5000 {
				all = append(all, map[string]any{"mediaType": ociManifest, "digest": fmt.Sprintf("sha256:%064x", n), "size": 1})
			}
			l.index(t, all...)
		}, nil, "the indexes name more than 4096 documents"},
		{"indexes that are long together", func(l layout) {
			var all []map[string]any
			for n := range 10 {
				data := jsonOf(t, map[string]any{"schemaVersion": 2, "x": fmt.Sprint(n) + strings.Repeat("x", 7<<20)})
				all = append(all, typed(l.blob(data), ociIndex))
			}
			l.index(t, all...)
		}, nil, "its documents have more than 67108864 bytes"},
		{"no image", func(l layout) { l.index(t) }, nil, "it names no image"},
		{"a layout of another version", func(l layout) {
			l.index(t, ordinary(l))
			l["oci-layout"] = []byte(`{"imageLayoutVersion": "2.0.0"}`)
		}, nil, `oci-layout: the version is "2.0.0"`},
		{"no layout", func(l layout) { l["index.json"] = nil }, nil, "it is no OCI layout: opening \"oci-layout\": no such file"},
		{"a link out of the layout", func(l layout) { l.index(t, ordinary(l)) }, func(t *testing.T, at string) {
			relink(t, outside+"/blob", at+"/"+blobOf(zipped))
		}, "path escapes from parent"},
		{"a link inside the layout", func(l layout) { l.index(t, ordinary(l)) }, func(t *testing.T, at string) {
			put(t, at+"/other", zipped, 0o644)
			relink(t, "../../other", at+"/"+blobOf(zipped))
		}, ""},
		{"a fifo in the layout", func(l layout) { l.index(t, ordinary(l)) }, func(t *testing.T, at string) {
			name := at + "/" + blobOf(zipped)
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			if err := mkfifo(name); err != nil {
				t.Fatal(err)
			}
		}, "it is no regular file"},
	} {
		l := layout{}
		test.make(l)
		at := l.dir(t)
		if test.change != nil {
			test.change(t, at)
		}
		got, err := open(t, "oci:"+at, Options{})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "ing oci:"+at+": ") {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got.paths() != "/a" {
			t.Errorf("%s: got %s", test.name, got.paths())
		}
	}
	// A fifo that is to be an archive is not waited for.
	name := outside + "/fifo"
	if err := mkfifo(name); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), Reference{DockerArchive, name}, Options{})
	refused(t, err, "is no regular file")
}

// manifestWith is an image's manifest in which something was replaced, digests right.
func manifestWith(t *testing.T, l layout, m map[string]any, old, by string) map[string]any {
	t.Helper()
	data := l["blobs/sha256/"+m["digest"].(digest.Digest).Encoded()]
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%q is not in %s", old, data)
	}
	return typed(l.blob(bytes.Replace(data, []byte(old), []byte(by), 1)), ociManifest)
}

// nested puts a manifest into so many indexes.
func nested(t *testing.T, l layout, m map[string]any, depth int) map[string]any {
	for range depth {
		m = typed(l.blob(jsonOf(t, map[string]any{"schemaVersion": 2, "manifests": []any{m}})), ociIndex)
	}
	return m
}

func relink(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}
