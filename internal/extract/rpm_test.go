package extract

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// rpmPackages is a Packages.db of SUSE's form with a header for each list of texts by tag.
func rpmPackages(headers ...map[uint32][]string) string {
	big, little := binary.BigEndian, binary.LittleEndian
	file := make([]byte, 4096)
	copy(file, "RpmP")
	file[12] = 1
	for at := 32; at < len(file); at += 16 {
		copy(file[at:], "Slot")
	}
	for n, h := range headers {
		var index, data []byte
		for tag, texts := range h {
			kind := uint32(6)
			if tag == 1117 || tag == 1118 {
				kind = 8
			}
			for _, v := range []uint32{tag, kind, uint32(len(data)), uint32(len(texts))} {
				index = big.AppendUint32(index, v)
			}
			data = append(data, strings.Join(texts, "\x00")+"\x00"...)
		}
		if len(h[1117]) > 0 { // each file is in the first folder
			for _, v := range []uint32{1116, 4, uint32(len(data)), uint32(len(h[1117]))} {
				index = big.AppendUint32(index, v)
			}
			data = append(data, make([]byte, 4*len(h[1117]))...)
		}
		blob := big.AppendUint32(big.AppendUint32(nil, uint32(len(index)/16)), uint32(len(data)))
		blob = append(append(blob, index...), data...)
		little.PutUint32(file[32+16*n+4:], uint32(n+1))
		little.PutUint32(file[32+16*n+8:], uint32(len(file)/16))
		file = append(file, "BlbS"...)
		for _, v := range []int{n + 1, 0, len(blob)} {
			file = little.AppendUint32(file, uint32(v))
		}
		file = append(file, blob...)
		for len(file)%16 > 0 {
			file = append(file, 0)
		}
	}
	return string(file)
}

// TestRPM: packages have their source and their module, and own what they installed; a
// library that none of them installed has no owner. A key is none.
func TestRPM(t *testing.T) {
	l := imagetest.Layer{
		"/etc/os-release": "ID=rocky\nVERSION_ID=9.3\n",
		"/usr/lib/sysimage/rpm/Packages.db": rpmPackages(
			map[uint32][]string{1000: {"python3-six"}, 1001: {"1.15.0"}, 1002: {"9.el9"}, 1022: {"noarch"}, 1044: {"python-six-1.15.0-9.el9.src.rpm"}, 1117: {"PKG-INFO", "top_level.txt"},
				1118: {"/usr/lib/python3.9/site-packages/six-1.15.0.egg-info/"}},
			map[uint32][]string{1000: {"nodejs"}, 1001: {"18.19.0"}, 1002: {"1.el9"}, 1044: {"nodejs-18.19.0-1.el9.src.rpm"}, 5096: {"nodejs:18:9020240104:rhel9"}},
			map[uint32][]string{1000: {"gpg-pubkey"}, 1001: {"8483c65d"}, 1002: {"5ccc5b19"}}),
		"/usr/lib/python3.9/site-packages/six-1.15.0.egg-info/PKG-INFO":        "Name: six\nVersion: 1.15.0\n",
		"/usr/local/lib/python3.9/site-packages/six-1.16.0.dist-info/METADATA": "Name: six\nVersion: 1.16.0\n",
	}
	distro, list, unread := look(t, l)
	want := []string{"pypi six 1.15.0 owned by python3-six", "pypi six 1.16.0", "rpm nodejs 18.19.0-1.el9", "rpm python3-six 1.15.0-9.el9 of python-six 1.15.0-9.el9"}
	if diff := cmp.Diff(want, words(list)); diff != "" || len(unread) > 0 {
		t.Errorf("unread %q\n%s", unread, diff)
	}
	for _, p := range list {
		module := ""
		if p.Name == "nodejs" {
			module = "nodejs:18"
		}
		if p.Module != module || p.Type == sbom.RPM && p.Distro.ID != distro.ID {
			t.Errorf("%+v", p)
		}
	}
	l["/usr/lib/sysimage/rpm/Packages.db-wal"] = ""
	if _, _, unread = look(t, l); len(unread) > 0 {
		t.Errorf("an empty log: %q", unread)
	}
	l["/usr/lib/sysimage/rpm/Packages.db-wal"] = "changes"
	if _, list, unread = look(t, l); len(unread) != 1 || len(list) != len(want) {
		t.Errorf("a log: %q, %q", words(list), unread)
	}
}

// TestHostileRPM: a Berkeley DB with an item outside of its page is told, whose reader once
// ended the process.
func TestHostileRPM(t *testing.T) {
	little := binary.LittleEndian
	b := make([]byte, 2*4096)
	little.PutUint32(b[12:], 0x061561)
	little.PutUint32(b[20:], 4096)
	b[25] = 8
	little.PutUint32(b[32:], 1)
	page := b[4096:]
	page[25] = 13
	little.PutUint16(page[20:], 2)
	little.PutUint16(page[28:], 0xffff)
	_, list, unread := look(t, imagetest.Layer{"/var/lib/rpm/Packages": string(b)})
	if len(list) > 0 || len(unread) != 1 || !strings.Contains(unread[0], "/var/lib/rpm/Packages: the database is damaged") {
		t.Errorf("%q, unread %q", words(list), unread)
	}
}
