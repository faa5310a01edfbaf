package waiver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// with is a file of one waiver, in which a line was replaced; "" takes it out.
func with(field, line string) string {
	var b strings.Builder
	b.WriteString("schema: plimsoll/waivers/1\nwaivers:\n")
	mark := "  - "
	for _, f := range [][2]string{{"rule", "memory-unlimited"}, {"subject", "web-*"}, {"reason", "it is measured next month"}, {"owner", "ana"}, {"expires", "2027-02-01"}} {
		text := f[0] + ": " + f[1]
		if f[0] == field {
			text = line
		}
		if text != "" {
			b.WriteString(mark + text + "\n")
			mark = "    "
		}
	}
	return b.String()
}

var today = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestRead(t *testing.T) {
	f, err := Read("waivers.yaml", []byte(with("", "")))
	if err != nil {
		t.Fatal(err)
	}
	want := Waiver{Rule: "memory-unlimited", Subject: "web-*", Reason: "it is measured next month", Owner: "ana", Expires: "2027-02-01", Line: 3}
	got := *f.Waivers[0]
	got.node = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Waiver{})); diff != "" || len(f.Waivers) != 1 {
		t.Error(diff)
	}
	for _, none := range []string{"schema: plimsoll/waivers/1\n", "schema: plimsoll/waivers/1\nwaivers: []\n"} {
		if f, err := Read("w", []byte(none)); err != nil || len(f.Waivers) > 0 {
			t.Errorf("%q: %v", none, err)
		}
	}
	for _, test := range []struct{ text, want string }{
		{with("rule", ""), `w line 3: "rule" is missing`},
		{with("subject", `subject: ""`), `w line 4: "subject" is missing`},
		{with("subject", `subject: "[a"`), `w line 4: "subject" is no pattern: "[a"`},
		{with("subject", `subject: " web"`), `w line 4: "subject" has spaces around it: " web"`},
		{with("reason", "reason: ' '"), `w line 5: "reason" is missing`},
		{with("owner", ""), `w line 3: "owner" is missing`},
		{with("expires", ""), `w line 3: "expires" is missing`},
		{with("expires", "expires: 2027-02-30"), `w line 7: "expires" is no date: "2027-02-30"`},
		{with("expires", "expires: soon"), `w line 7: "expires" is no date: "soon"`},
		{with("owner", "owner: [ana]"), "w line 6: "},
		{with("owner", "ower: ana"), "w line 6: "},
		{with("owner", "owner: ana\n    owner: bo"), "w line 7: "},
		{"schema: plimsoll/waivers/2\n", `w line 1, column 9: "schema" is not plimsoll/waivers/1: "plimsoll/waivers/2"`},
		{"waivers: []\n", "w line 1, column 1: "},
		{"schema: plimsoll/waivers/1\nwaivers:\n  -\n", "w line 3: "},
		{"schema: plimsoll/waivers/1\n---\n" + with("", ""), "w: it holds 2 documents"},
		{"", "w: it holds 0 documents"},
		{"\t", "w line 1"},
	} {
		if _, err := Read("w", []byte(test.text)); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %s", test.text, err, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	known := []string{"memory-unlimited", "pids-unlimited"}
	for _, test := range []struct{ text, want string }{
		{with("", ""), ""},
		{with("expires", "expires: 2026-11-27"), ""}, // its last day
		{with("expires", "expires: 2026-11-26"), `w line 7: "expires" is in the past: 2026-11-26`},
		{with("", "") + strings.SplitAfterN(with("owner", "owner: bo"), "\n", 3)[2], `w line 8: "rule" is waived in line 3 too`},
		{with("rule", "rule: memory-unlimitd"), `w line 3: "rule" names no rule: "memory-unlimitd"`},
	} {
		f, err := Read("w", []byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		if err = errors.Join(f.CheckRules(known), f.CheckTwice(), f.CheckDays(today)); err == nil && test.want != "" || err != nil && err.Error() != test.want {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}

func TestApply(t *testing.T) {
	const id = "0123456789abcdef"
	of := func(rule, name, element string, status finding.Status) finding.Finding {
		return finding.Finding{About: &finding.About{Rule: rule}, Detail: &finding.Detail{Message: "m"}, Subject: &finding.Subject{Kind: "container", ID: id, Name: name}, Element: element, Status: status}
	}
	digest := of("a", "app:1", "", finding.Fail)
	digest.Subject = &finding.Subject{Kind: "image", ID: "sha256:" + id, Name: "app:1", Also: "app:1\napp:2"}
	waiver := func(subject, element, expires string) *Waiver {
		return &Waiver{Rule: "a", Subject: subject, Element: element, Owner: "ana", Reason: "r", Expires: expires}
	}
	const later, past = "2027-02-01", "2026-11-26"
	for name, test := range map[string]struct {
		waiver  *Waiver
		finding finding.Finding
		status  finding.Status
		message string
	}{
		"its name":            {waiver("web", "", later), of("a", "web", "", finding.Fail), finding.Waived, "m"},
		"a pattern":           {waiver("w*", "", later), of("a", "web", "", finding.Fail), finding.Waived, "m"},
		"a star for slashes":  {waiver("reg/*", "", later), of("a", "reg/team/web", "", finding.Fail), finding.Waived, "m"},
		"its id":              {waiver(id, "", later), of("a", "web", "", finding.Fail), finding.Waived, "m"},
		"the id's beginning":  {waiver(id[:12], "", later), of("a", "web", "", finding.Fail), finding.Waived, "m"},
		"a digest's digits":   {waiver(id[:12], "", later), digest, finding.Waived, "m"},
		"another tag":         {waiver("app:2", "", later), digest, finding.Waived, "m"},
		"no tag of it":        {waiver("app:3", "", later), digest, finding.Fail, "m"},
		"too little of it":    {waiver(id[:11], "", later), of("a", "web", "", finding.Fail), finding.Fail, "m"},
		"another name":        {waiver("web", "", later), of("a", "web2", "", finding.Fail), finding.Fail, "m"},
		"another rule":        {waiver("web", "", later), of("b", "web", "", finding.Fail), finding.Fail, "m"},
		"its element":         {waiver("web", "/srv/*", later), of("a", "web", "/srv/a/b", finding.Fail), finding.Waived, "m"},
		"another element":     {waiver("web", "/srv/*", later), of("a", "web", "/etc", finding.Fail), finding.Fail, "m"},
		"what passes":         {waiver("web", "", later), of("a", "web", "", finding.Pass), finding.Pass, "m"},
		"an element unknown":  {waiver("web", "/srv", later), of("a", "web", "", finding.Unknown), finding.Unknown, "m"},
		"not listed":          {waiver("web", "", later), of("a", "*", "", finding.Unknown), finding.Unknown, "m"},
		"what is unknown":     {waiver("web", "", later), of("a", "web", "", finding.Unknown), finding.Unknown, "m"},
		"what a person saw":   {waiver("web", "", later), of("a", "web", "", finding.Manual), finding.Waived, "m"},
		"seen, and over":      {waiver("web", "", past), of("a", "web", "", finding.Manual), finding.Manual, "m; the waiver of ana expired on " + past},
		"one that is over":    {waiver("web", "", past), of("a", "web", "", finding.Fail), finding.Fail, "m; the waiver of ana expired on " + past},
		"over, what passes":   {waiver("web", "", past), of("a", "web", "", finding.Pass), finding.Pass, "m"},
		"brackets as written": {waiver("web[1]", "", later), of("a", "web[1]", "", finding.Fail), finding.Waived, "m"},
	} {
		before := test.finding.Detail
		list := []finding.Finding{test.finding}
		out := (&File{Waivers: []*Waiver{test.waiver}}).Apply(list, today)
		got := list[0]
		if got.Status != test.status || got.Message != test.message {
			t.Errorf("%s: %s, %q", name, got.Status, got.Message)
		}
		waived, expired := test.status == finding.Waived, test.message != "m"
		stale := !waived && !expired && test.status != finding.Unknown
		if (got.Waiver != nil) != (waived || expired) || (out.Waived == 1) != waived || (len(out.Expired) == 1) != expired || (len(out.Stale) == 1) != stale {
			t.Errorf("%s: %+v, waiver %+v", name, out, got.Waiver)
		}
		if before.Waiver != nil || before.Message != "m" {
			t.Errorf("%s: a shared detail was changed", name)
		}
	}
}

// Of two waivers the one that counts is named, and the one that is over is neither
// stale nor what lets it fail again.
func TestApplyTwo(t *testing.T) {
	over := &Waiver{Rule: "a", Subject: "*", Owner: "bo", Expires: "2026-01-01"}
	first := &Waiver{Rule: "a", Subject: "web", Owner: "ana", Expires: "2027-01-01"}
	second := &Waiver{Rule: "a", Subject: "w*", Owner: "cy", Expires: "2027-01-01"}
	list := []finding.Finding{{About: &finding.About{Rule: "a"}, Detail: &finding.Detail{}, Subject: &finding.Subject{Name: "web"}, Status: finding.Fail}}
	out := (&File{Waivers: []*Waiver{over, first, second}}).Apply(list, today)
	if list[0].Waiver == nil || list[0].Waiver.Owner != "ana" {
		t.Errorf("got %+v", list[0].Waiver)
	}
	if out.Waived != 1 || len(out.Expired)+len(out.Stale) > 0 {
		t.Errorf("got %+v", out)
	}
}

// What is read says all that it must, and a waiver never accepts after its day.
func FuzzRead(f *testing.F) {
	f.Add([]byte(with("", "")), "web-1")
	f.Add([]byte(with("subject", `subject: "[a-z]*"`)), "db")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		file, err := Read("w", data)
		if err != nil {
			return
		}
		for _, w := range file.Waivers {
			day, err := time.Parse(Day, w.Expires)
			if err != nil || w.Line == 0 || strings.TrimSpace(w.Rule+w.Subject+w.Reason+w.Owner) == "" {
				t.Fatalf("read %+v", w)
			}
			for days, want := range map[int]finding.Status{0: finding.Waived, 1: finding.Fail} {
				list := []finding.Finding{{About: &finding.About{Rule: w.Rule}, Detail: &finding.Detail{}, Subject: &finding.Subject{Name: w.Subject}, Status: finding.Fail, Element: w.Element}}
				(&File{Waivers: []*Waiver{w}}).Apply(list, day.AddDate(0, 0, days).Add(23*time.Hour))
				if list[0].Status != want {
					t.Errorf("%+v, %d days after: %s", w, days, list[0].Status)
				}
			}
		}
	})
}
