package gate

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What differs between two runs of the same commands on two engines, gate or no gate, and
// is mapped before they are compared: ids, times, how long things took, processes, the
// engine's own folder, ports that the kernel chose. Of the header fields
//
//   - Date is left out,
//   - of Content-Length only that it is there is compared, and near 2 KiB, where net/http
//     begins to send chunks, not that either,
//   - in X-Docker-Container-Path-Stat the time of the file is mapped.
//
// Everything else, with the order and the spelling of the fields, is compared as it is.
var mappings = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d)?( UTC)?`), "TIME"},
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +[A-Z0-9][a-z0-9]+ +[A-Za-z0-9]+ \d\d[:\d]+( \d+)?`), "TIME"},
	{regexp.MustCompile(`\b(About |Less than )?(an?|\d+) (second|minute|hour)s?\b( ago)?`), "AGO"},
	{regexp.MustCompile(`\b([A-Z2-7]{4}:){11}[A-Z2-7]{4}\b`), "ENGINE"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "SHORTID"},
	{regexp.MustCompile(`/docker/containerd/daemon/[^"]*`), "BUNDLE"},
	{regexp.MustCompile(`"(time|timeNano|Pid|pid|Created|CreatedAt|NFd|NGoroutines|NEventsListener|since|until)":\s*"?\d+"?`), `"$1":N`},
	{regexp.MustCompile(`\b(since|until)=[\d.]+`), "$1=N"},
	{regexp.MustCompile(`(File Descriptors|Goroutines|EventsListeners|System Time): .*`), "$1: N"},
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|0\.0\.0\.0):\d{5}\b`), "$1:PORT"},
	{regexp.MustCompile(`("HostPort":)"\d{5}"`), `$1"PORT"`},
	{regexp.MustCompile(`("PublicPort":)\d{5}\b`), "${1}N"},
	// Names that the engine makes up.
	{regexp.MustCompile(`\b[a-z]{3,}_[a-z]{2,}\d*\b`), "NAME"},
	{regexp.MustCompile(` {2,}`), "  "},
}

// mapped is a text that two runs have in common. Own are texts of this run, each with what
// it becomes.
func mapped(text string, own *strings.Replacer) string {
	text = own.Replace(text)
	for _, m := range mappings {
		text = m.pattern.ReplaceAllString(text, m.to)
	}
	return text
}

// String is an exchange as it is compared.
func (s *seen) String(own *strings.Replacer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%s\n", s.method, mapped(unescape(s.target), own), content(s.contentType, s.asked, own))
	lines := strings.Split(s.head, "\r\n")
	fmt.Fprintln(&b, lines[0])
	kind, small := "", len(s.answer) < 1900
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Date":
			continue
		case "Content-Type":
			kind = value
		case "Content-Length":
			if value != "0" && !small {
				continue
			} else if value != "0" {
				line = name
			}
		case "Transfer-Encoding":
			if !small && len(s.answer) < 2200 {
				continue
			}
		case "X-Docker-Container-Path-Stat":
			if stat, err := base64.StdEncoding.DecodeString(value); err == nil {
				line = name + ": " + string(stat)
			}
		}
		fmt.Fprintln(&b, mapped(line, own))
	}
	b.WriteString(content(kind, s.answer, own))
	if s.sent != nil || s.got != nil {
		fmt.Fprintf(&b, "\n--- raw, sent\n%s\n--- raw, got\n%s", mapped(string(s.sent), own), mapped(streams(s.got), own))
	}
	return b.String()
}

func unescape(target string) string {
	return strings.NewReplacer("%22", `"`, "%3A", ":", "%7B", "{", "%7D", "}", "%2C", ",", "%2F", "/").Replace(target)
}

// content is a body as it is compared: an archive as its entries, what is multiplexed by
// stream, and all else as text.
func content(kind string, body []byte, own *strings.Replacer) string {
	switch {
	case len(body) == 0:
		return ""
	case isTar(body):
		if list, err := entries(body, own); err == nil {
			return list
		}
	case strings.HasPrefix(kind, "application/vnd.docker"), kind == "application/octet-stream", kind == "":
		return mapped(streams(body), own)
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil || len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return mapped(string(body), own)
	}
	return canonical(v, true, own)
}

// unordered are lists that the engine, or a client, makes of a map.
var unordered = []string{"Aliases", "Binds", "Env", "Mounts", "Ports", "Networks"}

// canonical writes a JSON value with its members in one order, also those whose keys are
// ids. That the gate changes nothing in a text is seen elsewhere.
func canonical(v any, sort bool, own *strings.Replacer) string {
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		for k, value := range v {
			parts = append(parts, mapped(strconv.Quote(k)+":"+canonical(value, slices.Contains(unordered, k), own), own))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ",\n") + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, canonical(item, false, own))
		}
		if sort {
			slices.Sort(parts)
		}
		return "[" + strings.Join(parts, ",\n") + "]"
	case string:
		return mapped(strconv.Quote(v), own)
	}
	return mapped(fmt.Sprint(v), own)
}

func isTar(b []byte) bool { return len(b) >= 512 && string(b[257:262]) == "ustar" }

// entries lists an archive. What is written anew each time, and holds times, is not looked
// into.
func entries(archive []byte, own *strings.Replacer) (string, error) {
	var list []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return "", err
		}
		line := fmt.Sprintf("%c %s %s %o %d:%d", h.Typeflag, h.Name, h.Linkname, h.Mode, h.Uid, h.Gid)
		if isTar(data) {
			inner, err := entries(data, own)
			if err != nil {
				return "", err
			}
			line += "\n  " + strings.ReplaceAll(inner, "\n", "\n  ")
		} else if !json.Valid(data) && len(data) < 4096 {
			line += fmt.Sprintf(" %q", data)
		} else if !json.Valid(data) {
			line += " of " + strconv.Itoa(len(data))
		}
		list = append(list, mapped(line, own))
	}
	slices.Sort(list) // it is in the order of ids
	return strings.Join(list, "\n"), nil
}

// streams parts what is multiplexed (API, POST /containers/{id}/attach) into its streams,
// whose order between each other is nobody's.
func streams(raw []byte) string {
	var out [3][]byte
	for rest := raw; len(rest) > 0; {
		if len(rest) < 8 || rest[0] > 2 || rest[1]|rest[2]|rest[3] != 0 {
			return string(raw)
		}
		n := int(binary.BigEndian.Uint32(rest[4:]))
		if len(rest) < 8+n {
			return string(raw)
		}
		out[rest[0]] = append(out[rest[0]], rest[8:8+n]...)
		rest = rest[8+n:]
	}
	return fmt.Sprintf("1: %s\n2: %s", out[1], out[2])
}

// sorted gives exchanges in an order that does not depend on which connection was faster.
func sorted(t *testing.T, conns []*teed, own *strings.Replacer, blur string) (out []string) {
	t.Helper()
	what := regexp.MustCompile(cmp.Or(blur, "$^"))
	for _, c := range conns {
		for _, s := range c.exchanges(t) {
			out = append(out, what.ReplaceAllString(s.String(own), ""))
		}
	}
	slices.Sort(out)
	return out
}
