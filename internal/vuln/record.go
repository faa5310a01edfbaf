package vuln

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Bounds on a record and on what it names.
const (
	maxEntry = 16 << 20 // bytes of a record; the largest in use are a hundredth of it
	maxName  = 1024     // bytes of an id, a name, an ecosystem
	// maxVersion bounds a version in bytes: digits are compared as numbers of any length,
	// which takes longer than the length says.
	maxVersion = 256
)

// Record is one OSV record, with what is used of it. What a newer schema adds is skipped.
type Record struct {
	ID         string      `json:"id"`
	Modified   time.Time   `json:"modified"`
	Published  time.Time   `json:"published"`
	Withdrawn  *time.Time  `json:"withdrawn"`
	Aliases    []string    `json:"aliases"`
	Upstream   []string    `json:"upstream"`
	Summary    string      `json:"summary"`
	Details    string      `json:"details"`
	Severity   []Vector    `json:"severity"`
	Affected   []Affected  `json:"affected"`
	References []Reference `json:"references"`
	// Database is read as far as it has a severity in words (GHSA, Bitnami).
	Database json.RawMessage `json:"database_specific"`
}

// Vector is a severity as OSV has it: a type such as CVSS_V3, and its vector.
type Vector struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Affected is one package of a record.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity []Vector `json:"severity"`
	Ranges   []Range  `json:"ranges"`
	Versions []string `json:"versions"`
	// Ecosystem is read as far as it has an urgency (Debian).
	Ecosystem json.RawMessage `json:"ecosystem_specific"`
}

// Range is a range of versions: type SEMVER, ECOSYSTEM or GIT, and its events in any order.
type Range struct {
	Type   string  `json:"type"`
	Events []Event `json:"events"`
}

// Event is where a flaw begins or ends; one field of it is set. Limit, which only means
// something in ranges of commits, is not read.
type Event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

// Reference is where there is more to read.
type Reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// ReadRecord reads a record. The error names the file and the field.
func ReadRecord(file string, data []byte) (*Record, error) {
	if len(data) > maxEntry {
		return nil, &strict.Error{File: file, Msg: fmt.Sprintf("it has %d bytes, and %d is the most", len(data), maxEntry)}
	}
	r := &Record{}
	if _, err := strict.Decode(file, data, r); err != nil {
		return nil, err
	}
	if field, why := r.wrong(); why != "" {
		return nil, &strict.Error{File: file, Field: field, Msg: fmt.Sprintf("%q %s", field, why)}
	}
	return r, nil
}

// changed is when the record was last changed, as far as it says: golang/vulndb's own files
// leave modified at the year 1.
func (r *Record) changed() time.Time {
	if r.Modified.Unix() > 0 {
		return r.Modified
	}
	return r.Published
}

// wrong says what of a record cannot be, and in which field.
func (r *Record) wrong() (field, why string) {
	if why := badWord(r.ID); why != "" {
		return "id", why
	}
	for i, a := range r.Aliases {
		if why := badWord(a); why != "" {
			return fmt.Sprintf("aliases[%d]", i), why
		}
	}
	for i, a := range r.Upstream {
		if why := badWord(a); why != "" {
			return fmt.Sprintf("upstream[%d]", i), why
		}
	}
	for i, a := range r.Affected {
		at := fmt.Sprintf("affected[%d].package", i)
		if a.Package.Ecosystem == "" && a.Package.Name == "" {
			continue // a record about commits only
		}
		if why := badWord(a.Package.Ecosystem); why != "" {
			return at + ".ecosystem", why
		}
		if why := badWord(a.Package.Name); why != "" {
			return at + ".name", why
		}
	}
	return "", ""
}

// badWord says why a word is no id, name or ecosystem, "" for one that is.
func badWord(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > maxName:
		return fmt.Sprintf("has %d bytes, and %d is the most", len(s), maxName)
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return "has a control character"
	}
	return ""
}

// urgency is Debian's word for how much a flaw matters there, "" for none.
func (a *Affected) urgency() string {
	var has struct {
		Urgency string `json:"urgency"`
	}
	// Each database has a form of its own here: what is not this one has no urgency.
	if json.Unmarshal(a.Ecosystem, &has) != nil || badWord(has.Urgency) != "" {
		return ""
	}
	return has.Urgency
}

// word is the severity in words that the database gives, "" for none.
func (r *Record) word() string {
	var has struct {
		Severity string `json:"severity"`
	}
	if json.Unmarshal(r.Database, &has) != nil {
		return ""
	}
	return has.Severity
}
