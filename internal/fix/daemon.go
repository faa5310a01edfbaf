package fix

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

const daemonHeading = "daemon.json: the engine must read it again"

// reloaded are the options that a daemon takes when it is sent SIGHUP (docker's
// reference of dockerd, "Configuration reload behavior"); all others take a restart.
var reloaded = []string{"allow-nondistributable-artifacts", "authorization-plugins", "debug", "default-runtime", "features", "insecure-registries", "labels",
	"live-restore", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "registry-mirrors", "runtimes", "shutdown-timeout"}

// daemon is the change of daemon.json, one step for all of it.
func (w *writer) daemon() group {
	g := group{heading: daemonHeading}
	var wanted []*finding.Finding
	for _, f := range w.failures {
		if f.Fix != nil && len(f.Fix.Daemon) > 0 {
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 {
		return g
	}
	reason := w.noDaemonFile()
	if reason != "" {
		g.notes = append(g.notes, "It is left as it is: "+reason)
		return g
	}
	file := w.DaemonFile
	text := file.Data
	iptables := w.filters(wanted)
	var keys, rules, said []string
	for _, f := range wanted {
		changed, note := w.withSettings(text, f)
		if note == "" && !iptables && slices.Contains(f.Fix.Daemon, finding.Setting{Name: "icc", Value: "false"}) {
			note = fmt.Sprintf("with iptables off (set by %s) an engine does not start with icc: false; turn iptables on first", w.Facts.Daemon.Config.Origins["iptables"])
		}
		if note != "" {
			g.notes = append(g.notes, f.Rule+": "+note)
			continue
		}
		text, rules = changed, append(rules, f.Rule)
		for _, s := range f.Fix.Daemon {
			if !w.unset(s) {
				keys, said = append(keys, s.Name), append(said, inWords(s))
			}
		}
		w.mended[f] = true
	}
	if len(rules) == 0 {
		return g
	}
	how := "reload"
	if slices.ContainsFunc(keys, func(k string) bool { return !slices.Contains(reloaded, k) }) {
		how = "restart"
	}
	before := "none"
	if file.Data != nil {
		before = sumOf(file.Data)
	}
	where := ""
	if known := w.file(file.Path); known != nil {
		where = known.Resolved
	}
	words := quote(file.Path, before, sumOf(text), how, where)
	// Who runs a rootless engine changes the file without root, and root keeps out of
	// a folder of others.
	g.steps = []step{{root: !w.Facts.Daemon.Rootless, about: fmt.Sprintf("%s: %s (%s), then %s", file.Path, strings.Join(said, ", "), strings.Join(rules, ", "), how),
		done: "is_daemon_file " + words, do: "printf '%s' " + quote(string(text)) + " | set_daemon_file " + words, undo: "put_daemon_file " + words}}
	if how == "restart" {
		g.notes = append(g.notes, "", "A restart of the engine stops the containers, unless live-restore is on; those with a", "restart policy start again.")
	}
	return g
}

// filters reports whether iptables is on after the change.
func (w *writer) filters(wanted []*finding.Finding) bool {
	return w.Facts.Daemon.Config.IPTables || slices.ContainsFunc(wanted, func(f *finding.Finding) bool {
		on := func(s finding.Setting) bool { return s.Name == "iptables" && s.Value != "false" }
		if !slices.ContainsFunc(f.Fix.Daemon, on) {
			return false
		}
		_, note := w.withSettings(w.DaemonFile.Data, f)
		return note == ""
	})
}

// withSettings is a daemon.json with what a failure takes, or a note why not: what a
// flag sets, the file may not.
func (w *writer) withSettings(text []byte, f *finding.Finding) (changed []byte, note string) {
	config := &w.Facts.Daemon.Config
	note = "it is not set in daemon.json"
	for _, s := range f.Fix.Daemon {
		if origin := config.Origins[s.Name]; origin != "default" && origin != config.File {
			return nil, fmt.Sprintf("%s is set by %s; change it there", s.Name, origin)
		}
		if w.unset(s) {
			continue
		}
		var err error
		if text, err = setKey(text, s.Name, s.Value); err != nil {
			return nil, "daemon.json cannot be changed: " + err.Error()
		}
		note = ""
	}
	return text, note
}

// unset reports whether there is nothing to take out.
func (w *writer) unset(s finding.Setting) bool {
	return s.Value == "" && w.Facts.Daemon.Config.Origins[s.Name] == "default"
}

// noDaemonFile is why daemon.json cannot be changed, or nothing.
func (w *writer) noDaemonFile() string {
	for _, u := range w.Facts.Unseen {
		if u.Path == "daemon" || u.Path == "daemon.config" || strings.HasPrefix(u.Path, "daemon.config.") {
			return u.Reason
		}
	}
	config := &w.Facts.Daemon.Config
	if bad := slices.Concat(config.Conflicts, config.Unknown); len(bad) > 0 {
		return strings.Join(bad, ", ") + " in it keeps the engine from starting again"
	}
	if w.DaemonFile == nil {
		return "its text was not seen; run plimsoll audit --fix where the engine runs"
	}
	if bytes.IndexByte(w.DaemonFile.Data, 0) >= 0 {
		return "it is no text"
	}
	if strings.ContainsRune(w.DaemonFile.Path, utf8.RuneError) {
		return "its name is not UTF-8"
	}
	if known := w.file(w.DaemonFile.Path); known != nil && len(known.Folders) > 0 {
		return notChanged(known)
	}
	return ""
}

func inWords(s finding.Setting) string {
	if s.Value == "" {
		return "without " + s.Name
	}
	return fmt.Sprintf("%q: %s", s.Name, s.Value)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// setKey sets a key of a JSON object to a value in JSON, or takes it out where that is
// "", and leaves every other byte of the object as it is. Nothing at all is an empty
// object.
func setKey(text []byte, key, value string) ([]byte, error) {
	bom, body := []byte(nil), text
	if rest, had := bytes.CutPrefix(text, []byte("\xef\xbb\xbf")); had {
		bom, body = text[:len(text)-len(rest)], rest
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{\n}\n")
	}
	members, end, err := membersOf(body)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(members, func(m member) bool { return m.key == key })
	var out []byte
	switch {
	case at >= 0 && value != "":
		out = splice(body, members[at].value, members[at].end, value)
	case at >= 0 && at+1 < len(members):
		out = splice(body, members[at].start, members[at+1].start, "")
	case at > 0:
		out = splice(body, members[at-1].end, members[at].end, "")
	case at == 0:
		out = splice(body, members[0].start, members[0].end, "")
	case value == "":
		out = body
	case len(members) == 0:
		out = splice(body, bytes.IndexByte(body, '{')+1, end, "\n  "+quoteJSON(key)+": "+value+"\n")
	default:
		last := members[len(members)-1]
		between := string(body[bytes.LastIndexAny(body[:last.start], "{,")+1 : last.start])
		out = splice(body, last.end, last.end, ","+between+quoteJSON(key)+": "+value)
	}
	return append(bytes.Clone(bom), out...), nil
}

// quoteJSON writes a key: options have letters and hyphens alone.
func quoteJSON(key string) string { return `"` + key + `"` }

func splice(text []byte, from, to int, with string) []byte {
	return slices.Concat(text[:from], []byte(with), text[to:])
}

// member is a member of a JSON object by its places in the text.
type member struct {
	key               string
	start, value, end int
}

// membersOf finds the members of an object, and where its closing brace is.
func membersOf(text []byte) (members []member, end int, err error) {
	root, err := strict.Tree("daemon.json", text)
	if err != nil {
		return nil, 0, err
	}
	if root.Kind != strict.Object {
		return nil, 0, root.Fail("it is no object", "")
	}
	at := bytes.IndexByte(text, '{') + 1
	for i := range root.Members {
		m := &root.Members[i]
		start := at + bytes.IndexByte(text[at:], '"')
		// A key ends at the first quote that no backslash is before.
		close := start + 1
		for ; text[close] != '"'; close++ {
			if text[close] == '\\' {
				close++
			}
		}
		value := close + 1 + bytes.IndexByte(text[close+1:], ':') + 1
		value += len(text[value:]) - len(bytes.TrimLeft(text[value:], " \t\r\n"))
		end := value + len(m.Value.Raw())
		members = append(members, member{key: m.Key, start: start, value: value, end: end})
		at = end
	}
	return members, at + bytes.IndexByte(text[at:], '}'), nil
}
