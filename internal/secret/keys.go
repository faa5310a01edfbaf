package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// The rules about private keys. The first is gitleaks' own: its pattern takes each text
// between two such lines for a key, and here what is between has to be one.
const (
	privateKey   = "private-key"
	encryptedKey = "private-key-encrypted"
	puttyKey     = "putty-private-key"
)

// maxKey is how long a key may be, in bytes: one of RSA with 16,384 bits has 13,000.
const maxKey = 64 << 10

// keys finds private keys: the textual encodings of RFC 7468 and RFC 1421 with what
// OpenSSL, OpenSSH (PROTOCOL.key) and OpenPGP (RFC 9580, 6.2) put there, also inside of
// strings of programs and of JSON. A key that needs a password counts for less, and what
// is none when decoded is left out.
func (s *scan) keys() {
	begin := []byte("-----BEGIN ")
	for from := 0; ; {
		i := bytes.Index(s.text[from:], begin)
		if i < 0 {
			break
		}
		at := from + i
		from = at + len(begin)
		label, rest, ok := bytes.Cut(s.text[from:min(len(s.text), from+80)], []byte("-----"))
		if !ok || !isKeyLabel(label) {
			continue
		}
		from += len(label) + 5
		reached := s.text[from:min(len(s.text), from+maxKey)]
		end := bytes.Index(reached, []byte("-----END "))
		if end < 0 && !s.spend(len(reached)) {
			return
		}
		if end < 0 || len(rest) == 0 {
			continue
		}
		body := string(s.text[from : from+end])
		switch encrypted, whole := readKey(string(label), body); {
		case encrypted:
			s.add(hit{id: encryptedKey, from: at, to: from + end, low: true})
		case whole:
			s.add(hit{id: privateKey, from: at, to: from + end})
		}
		from += end
	}
}

// putty is how a key of PuTTY begins.
var putty = []byte("PuTTY-User-Key-File-")

// puttys finds private keys of PuTTY (its manual, appendix C).
func (s *scan) puttys() {
	for from := 0; ; {
		i := bytes.Index(s.text[from:], putty)
		if i < 0 {
			break
		}
		at := from + i
		from = at + len(putty)
		body := s.text[from:min(len(s.text), from+maxKey)]
		private := bytes.Index(body, []byte("\nPrivate-Lines: "))
		if private < 0 && !s.spend(len(body)) {
			return
		}
		if private < 0 || at > 0 && s.text[at-1] != '\n' {
			continue
		}
		if bytes.Contains(body[:private], []byte("\nEncryption: none")) {
			s.add(hit{id: puttyKey, from: at, to: from + private})
		} else {
			s.add(hit{id: encryptedKey, from: at, to: from + private, low: true})
		}
		from += private
	}
}

// isKeyLabel is true for the labels of private keys: RSA PRIVATE KEY, PGP PRIVATE KEY BLOCK.
func isKeyLabel(label []byte) bool {
	if len(bytes.Trim(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")) > 0 {
		return false
	}
	return bytes.HasSuffix(label, []byte("PRIVATE KEY")) || bytes.HasSuffix(label, []byte("PRIVATE KEY BLOCK"))
}

// readKey decodes what is between the two lines of a key. whole is false for what is no key.
func readKey(label, body string) (encrypted, whole bool) {
	encrypted = strings.Contains(label, "ENCRYPTED")
	body = strings.NewReplacer(`\r`, "", `\n`, "\n", "\r", "\n", `\`, "").Replace(body)
	var text strings.Builder
	for line := range strings.Lines(body) {
		line = strings.Trim(line, " \t\n\"'`,;")
		line = strings.TrimRight(strings.TrimSuffix(line, " +"), "\"'`")
		if name, value, header := strings.Cut(line, ":"); header {
			encrypted = encrypted || name == "Proc-Type" && strings.Contains(value, "ENCRYPTED")
			continue
		}
		if strings.HasPrefix(line, "=") {
			continue // the checksum of OpenPGP
		}
		text.WriteString(strings.TrimRight(line, "="))
	}
	data, err := base64.RawStdEncoding.DecodeString(text.String())
	if err != nil || len(data) < 32 {
		return false, false
	}
	if encrypted {
		return true, true
	}
	if rest, ssh := bytes.CutPrefix(data, []byte("openssh-key-v1\x00")); ssh {
		if len(rest) < 4 {
			return false, false
		}
		n := binary.BigEndian.Uint32(rest)
		cipher := rest[4:min(len(rest), 4+int(min(n, 64)))]
		return string(cipher) != "none", true
	}
	if strings.HasPrefix(label, "PGP") {
		return false, data[0]&0x80 != 0
	}
	return false, isSequence(data)
}

// isSequence is true for one whole SEQUENCE of DER (X.690, 8.1.3), which each private
// key is; a key that is cut short for an example is none.
func isSequence(data []byte) bool {
	if data[0] != 0x30 {
		return false
	}
	length, header := int(data[1]), 2
	if n := length & 0x7f; length&0x80 != 0 {
		if n == 0 || n > 3 {
			return false
		}
		length = 0
		for _, b := range data[2 : 2+n] {
			length = length<<8 | int(b)
		}
		header += n
	}
	return header+length <= len(data)
}
