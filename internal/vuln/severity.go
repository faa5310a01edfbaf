package vuln

import (
	"math"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"
)

// Level is how grave a flaw is. Unknown is not low: nobody has said.
type Level uint8

// The levels, in their order.
const (
	Unknown Level = iota
	// Negligible is a score of 0, or what Debian documents as no security issue there.
	Negligible
	Low
	Medium
	High
	Critical
)

var levelNames = [...]string{"unknown", "negligible", "low", "medium", "high", "critical"}

// String is the level's name.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return levelNames[Unknown]
}

// Severity is how grave a flaw is, and by what.
type Severity struct {
	Level Level
	// Tenths is the CVSS base score times ten, -1 where no vector tells it.
	Tenths int
	// Vectors are those that could be read, that of the score first.
	Vectors []string
}

// severityOf weighs a record's vectors, those of the package, the database's word and the
// package's urgency: what is first there counts. Urgency unimportant counts before all:
// it says that in Debian there is no flaw.
func severityOf(r *Record, a *Affected, urgency string) Severity {
	s := scored(r.Severity)
	if s.Tenths < 0 {
		s = scored(a.Severity)
	}
	if s.Tenths < 0 {
		if s.Level = levelOfWord(r.word()); s.Level == Unknown {
			s.Level = levelOfWord(urgency)
		}
	}
	if urgency == "unimportant" {
		s.Level = Negligible
	}
	return s
}

// levelOfWord reads GHSA's, Bitnami's and Debian's words.
func levelOfWord(w string) Level {
	switch strings.ToLower(w) {
	case "unimportant", "none":
		return Negligible
	case "low":
		return Low
	case "moderate", "medium":
		return Medium
	case "high":
		return High
	case "critical":
		return Critical
	}
	return Unknown
}

// scored scores vectors; of several the newest standard counts: 4.0, 3.1, 3.0, 2.0. One
// that cannot be read is as if it were not there.
func scored(vectors []Vector) Severity {
	s := Severity{Tenths: -1}
	best := -1
	for _, v := range vectors {
		rank, score, vector := score(v)
		if rank < 0 || len(vector) > maxName {
			continue
		}
		if rank > best {
			best = rank
			s.Tenths = int(math.Round(score * 10))
			s.Vectors = append([]string{vector}, s.Vectors...)
		} else {
			s.Vectors = append(s.Vectors, vector)
		}
	}
	if best >= 0 {
		s.Level = levelOfScore(s.Tenths, best == 0)
	}
	return s
}

// levelOfScore is the qualitative rating of FIRST, and NVD's for version 2, which has no
// critical.
func levelOfScore(tenths int, version2 bool) Level {
	switch {
	case tenths >= 90 && !version2:
		return Critical
	case tenths >= 70:
		return High
	case tenths >= 40:
		return Medium
	case tenths > 0:
		return Low
	}
	return Negligible
}

// score reads one vector; rank is the standard's place among them, -1 for none.
func score(v Vector) (rank int, score float64, vector string) {
	vector = strings.TrimRight(strings.TrimSpace(v.Score), "/")
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if c, err := cvss40.ParseVector(vector); err == nil {
			return 3, c.Score(), vector
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if c, err := cvss31.ParseVector(vector); err == nil {
			return 2, c.BaseScore(), vector
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if c, err := cvss30.ParseVector(vector); err == nil {
			return 1, c.BaseScore(), vector
		}
	case v.Type == "CVSS_V2":
		// NVD puts it in brackets, others give it a prefix that it has not.
		vector = strings.TrimPrefix(strings.Trim(vector, "()"), "CVSS:2.0/")
		if c, err := cvss20.ParseVector(vector); err == nil {
			return 0, c.BaseScore(), vector
		}
	}
	return -1, 0, ""
}
