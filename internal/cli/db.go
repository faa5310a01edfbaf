//go:build !front

package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// freshFor is how long the data of known flaws is good for: new ones come every day.
const freshFor = 7 * 24 * time.Hour

// osvBucket is where OSV publishes its zips.
const osvBucket = "https://storage.googleapis.com/osv-vulnerabilities"

// dbCommand is plimsoll db with its verbs.
func (a *app) dbCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: dbShort,
		Example: `  plimsoll db import ./osv
  plimsoll db status`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.dbImportCommand(), a.dbUpdateCommand(), a.dbStatusCommand())
	return c
}

func (a *app) dbFolder() vuln.Folder { return vuln.Folder(filepath.Join(a.state, "db")) }

func (a *app) dbImportCommand() *cobra.Command {
	var kev, epss string
	c := &cobra.Command{
		Use:   "import PATH...",
		Short: "Import records of known flaws, as OSV publishes them",
		Long: `import compiles records of known flaws into the database. A PATH is a folder
with a folder for each ecosystem and in that an all.zip, as OSV's bucket has them
(` + osvBucket + `), one such folder, or a zip
that is called as its ecosystem. Nothing is fetched.

With --kev and --epss, CISA's list of known exploited vulnerabilities (JSON) and
FIRST's EPSS scores of a day (CSV, packed or not) are imported too: reports then
tell which flaws are exploited, and how likely that is.

What is imported takes the place of what was there of its ecosystem. A zip that
can't be read, or of which more than one record in a hundred is bad, changes
nothing.`,
		Example: `  plimsoll db import ./osv
  plimsoll db import ./osv/Debian ./osv/Go/all.zip npm.zip
  plimsoll db import --kev known_exploited_vulnerabilities.json --epss epss_scores.csv.gz`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && kev == "" && epss == "" {
				return &failure{code: exitUsage, message: "db import takes folders or zips, and none is named", hint: "See  plimsoll db import --help"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var all []vuln.Source
			seen := map[string]string{}
			for _, path := range args {
				list, err := vuln.Sources(path)
				if err != nil {
					return &failure{code: exitUsage, message: path + " can't be imported", hint: "Name a folder as OSV's bucket has it, ECOSYSTEM/all.zip, or a zip.", err: err}
				}
				for _, s := range list {
					if other := seen[s.Family]; other != "" {
						return &failure{code: exitUsage, message: fmt.Sprintf("%s and %s are both of %s", other, s.Path, s.Family), hint: "Name one of them."}
					}
					seen[s.Family] = s.Path
					all = append(all, s)
				}
			}
			if err := a.dbImportWeights(kev, epss); err != nil {
				return err
			}
			if len(all) == 0 {
				return nil
			}
			done, err := a.dbImport(c.Context(), all)
			if len(done) > 0 {
				err = errors.Join(a.print(a.dbImported(done)), err)
			}
			return err
		},
	}
	c.Flags().StringVar(&kev, "kev", "", "`FILE` of CISA's known exploited vulnerabilities")
	c.Flags().StringVar(&epss, "epss", "", "`FILE` of FIRST's EPSS scores")
	return c
}

// dbImportWeights imports what others say of flaws; "" is no file.
func (a *app) dbImportWeights(kev, epss string) error {
	for _, one := range []struct {
		path string
		with func(string) (vuln.WeightStatus, error)
	}{{kev, a.dbFolder().ImportKEV}, {epss, a.dbFolder().ImportEPSS}} {
		if one.path == "" {
			continue
		}
		s, err := one.with(one.path)
		if err != nil {
			code := exitUsage
			if errors.Is(err, fs.ErrPermission) {
				code = exitUnable
			}
			return &failure{code: code, message: one.path + " can't be imported", hint: "What was there before is as it was.", err: err}
		}
		if err := a.print(fmt.Sprintf("%s: %d CVEs, of %s\n", s.Name, s.CVEs, dbDay(s.Date))); err != nil {
			return err
		}
	}
	return nil
}

// dbImport imports each source. One that fails keeps none of the others from it.
func (a *app) dbImport(ctx context.Context, all []vuln.Source) (done []vuln.Status, err error) {
	var failed error
	var notes []string
	progress := a.progress()
	defer func() {
		progress.Stop()
		for _, text := range notes {
			a.note(text)
		}
	}()
	progress.Count("Importing", len(all), "ecosystems")
	for _, s := range all {
		status, err := a.dbFolder().Import(ctx, s)
		progress.Done(1)
		switch {
		case ctx.Err() != nil:
			return done, &failure{code: exitSignal, message: fmt.Sprintf("ended by a signal; of %d databases %d were imported, and the others are as they were", len(all), len(done))}
		case errors.Is(err, vuln.ErrOrder) && len(all) > 1:
			notes = append(notes, s.Path+" is left out: the order of versions of "+s.Family+" is not known")
		case err != nil && failed == nil:
			code, hint := exitUsage, "The database of "+s.Family+" is as it was."
			if of := new(fs.PathError); errors.As(err, &of) {
				code, hint = exitUnable, hint+" Run it as root, or name another --state."
			}
			// In words alone: of several zips, which one it is counts before the place in it.
			failed = &failure{code: code, message: s.Path + " can't be imported", hint: hint, err: errors.New(err.Error())}
		case err != nil:
			notes = append(notes, s.Path+" can't be imported either: "+err.Error())
		default:
			done = append(done, status)
		}
	}
	if len(done) > 0 {
		if err := a.dbFolder().WeighAll(); err != nil {
			notes = append(notes, "what records say of each other's flaws can't be gathered: "+err.Error())
		}
	}
	if failed == nil && len(done) == 0 {
		failed = &failure{code: exitUsage, message: "nothing was imported", hint: "None of the ecosystems has versions of a known order."}
	}
	return done, failed
}

func (a *app) dbImported(done []vuln.Status) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.stdout.Paint(term.Faint, fmt.Sprintf("%-16s  %8s  %9s  %7s  %s", "ECOSYSTEM", "RECORDS", "WITHDRAWN", "SKIPPED", "NEWEST")))
	for _, s := range done {
		fmt.Fprintf(&b, "%-16s  %8d  %9d  %7d  %s\n", a.stdout.Escape(s.Family), s.Counts.Records, s.Counts.Withdrawn, s.Counts.Bad, dbDay(s.Newest))
	}
	return b.String()
}

// dbDay is the day of the newest record, where there is one.
func dbDay(t time.Time) string {
	if t.Unix() <= 0 {
		return "unknown"
	}
	return t.Format(day)
}

func (a *app) dbUpdateCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "update [ECOSYSTEM...]",
		Short: "Fetch what is newer of the database of known flaws",
		Long: `update fetches the zip of each ecosystem that is named, or of those that are
there, and imports it, unless it is the one that was fetched before. What can't
be fetched or read leaves the database as it was.`,
		Example: `  plimsoll db update Debian npm
  plimsoll db update --from https://mirror.example/osv`,
		RunE: func(c *cobra.Command, families []string) error {
			if u, err := url.Parse(from); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
				return &failure{code: exitUsage, message: "--from " + from + " is not a URL of http or https"}
			}
			if len(families) == 0 {
				list, err := a.dbFolder().Status()
				if err != nil && len(list) > 0 {
					a.note("what can't be read is only fetched when it is named: " + err.Error())
				}
				for _, s := range list {
					families = append(families, s.Family)
				}
				if len(families) == 0 {
					return &failure{code: exitUsage, message: "there is no database in " + string(a.dbFolder()) + " to update", hint: "Name what to fetch:  plimsoll db update Debian", err: err}
				}
			}
			return a.dbUpdate(c.Context(), from, families)
		},
	}
	c.Flags().StringVar(&from, "from", osvBucket, "`URL` below which there is ECOSYSTEM/all.zip")
	return c
}

// dbUpdate updates each family. One that fails keeps none of the others from it.
func (a *app) dbUpdate(ctx context.Context, from string, families []string) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 30 * time.Second
	defer transport.CloseIdleConnections()
	o := vuln.Origin{Base: from, Client: &http.Client{Transport: transport, Timeout: 30 * time.Minute}}
	var failed error
	var b strings.Builder
	var notes []string
	progress := a.progress()
	defer func() {
		progress.Stop()
		for _, text := range notes {
			a.note(text)
		}
	}()
	for n, family := range families {
		progress.Wait(fmt.Sprintf("Fetching %d of %d", n+1, len(families)), family, 0)
		s, changed, err := a.dbFolder().Update(ctx, o, family)
		switch {
		case ctx.Err() != nil:
			progress.Stop()
			return errors.Join(a.print(b.String()), &failure{code: exitSignal, message: "ended by a signal; the database of " + family + " is as it was"})
		case err != nil && failed == nil:
			failed = &failure{code: exitUnable, message: "the database of " + family + " can't be updated", hint: "It is as it was.", err: errors.New(err.Error())}
		case err != nil:
			notes = append(notes, "nor can that of "+family+": "+err.Error())
		case changed:
			fmt.Fprintf(&b, "%s: %d records, the newest of %s\n", a.stdout.Escape(family), s.Counts.Records, dbDay(s.Newest))
		default:
			fmt.Fprintf(&b, "%s: nothing newer, the newest of %s\n", a.stdout.Escape(family), dbDay(s.Newest))
		}
	}
	if b.Len() > 0 {
		if err := a.dbFolder().WeighAll(); err != nil {
			notes = append(notes, "what records say of each other's flaws can't be gathered: "+err.Error())
		}
	}
	progress.Stop()
	return errors.Join(a.print(b.String()), failed)
}

// dbStatus is one database as json has it.
type dbStatus struct {
	Ecosystem  string `json:"ecosystem"`
	Records    uint64 `json:"records"`
	Withdrawn  uint64 `json:"withdrawn"`
	Skipped    uint64 `json:"skipped"`
	Unreadable uint64 `json:"unreadable_ranges"`
	Packages   uint64 `json:"packages"`
	// Newest is when the newest record was modified; absent where none says so, or says a
	// time to come.
	Newest *time.Time `json:"newest,omitempty"`
	// AgeDays is how long ago that was, in whole days.
	AgeDays *int `json:"age_days,omitempty"`
	// Old is true for what is over 7 days old, or of an age that is not known.
	Old    bool   `json:"old"`
	Source string `json:"source"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// weightStatus is a file of what others say as json has it.
type weightStatus struct {
	Name string    `json:"name"`
	Date time.Time `json:"date"`
	CVEs int       `json:"cves"`
}

func weightStatuses(list []vuln.WeightStatus) []weightStatus {
	out := []weightStatus{}
	for _, w := range list {
		out = append(out, weightStatus{w.Name, w.Date, w.CVEs})
	}
	return out
}

func newDBStatus(s vuln.Status, now time.Time) dbStatus {
	d := dbStatus{Ecosystem: s.Family, Records: s.Counts.Records, Withdrawn: s.Counts.Withdrawn, Skipped: s.Counts.Bad, Unreadable: s.Counts.Unreadable, Packages: s.Counts.Keys, Old: true,
		Source: s.Source, SHA256: hex.EncodeToString(s.SHA256[:]), Bytes: s.Size}
	// A day's grace, for clocks; beyond that one wrong date would make data seem new for ever.
	if age := now.Sub(s.Newest); s.Newest.Unix() > 0 && age > -24*time.Hour {
		days := int(max(0, age) / (24 * time.Hour))
		d.Newest, d.AgeDays, d.Old = &s.Newest, &days, age > freshFor
	}
	return d
}

func (a *app) dbStatusCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status",
		Short: "What the database of known flaws holds, and how old it is",
		Long: `status tells of each ecosystem how many records there are, when the newest was
modified and what they were imported from. Data over 7 days old lacks what was
found since.`,
		Example: `  plimsoll db status
  plimsoll db status --format json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if format != "table" && format != "json" {
				return &failure{code: exitUsage, message: fmt.Sprintf("--format %q is neither table nor json", format)}
			}
			list, wrong := a.dbFolder().Status()
			if wrong != nil {
				wrong = &failure{code: exitUnable, message: "a database can't be read", hint: "Import it again:  plimsoll db import PATH", err: wrong}
			} else if len(list) == 0 {
				return &failure{code: exitUnable, message: "there is no database in " + string(a.dbFolder()), hint: "Import one:  plimsoll db import PATH"}
			}
			weighed, err := a.dbFolder().Weights()
			if err != nil && wrong == nil {
				wrong = &failure{code: exitUnable, message: "a file can't be read", hint: "Import it again:  plimsoll db import --kev FILE --epss FILE", err: err}
			}
			out := make([]dbStatus, len(list))
			for i, s := range list {
				out[i] = newDBStatus(s, a.world.Now())
			}
			if format == "json" {
				data, err := json.MarshalIndent(struct {
					Schema    string         `json:"schema"`
					Databases []dbStatus     `json:"databases"`
					Weights   []weightStatus `json:"weights"`
				}{"plimsoll/db/1", out, weightStatuses(weighed)}, "", "  ")
				if err != nil {
					return err
				}
				return errors.Join(a.print(string(term.EscapeJSON(data))+"\n"), wrong)
			}
			if len(out) == 0 {
				return wrong
			}
			text := a.dbTable(out)
			for _, w := range weighed {
				text += fmt.Sprintf("\n%s: %d CVEs, of %s\n", w.Name, w.CVEs, dbDay(w.Date))
			}
			return errors.Join(a.print(text), wrong)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	return c
}

func (a *app) dbTable(list []dbStatus) string {
	p := a.stdout
	var b strings.Builder
	fmt.Fprintln(&b, p.Paint(term.Faint, fmt.Sprintf("%-16s  %8s  %8s  %-10s  %8s  %s", "ECOSYSTEM", "RECORDS", "PACKAGES", "NEWEST", "AGE", "SOURCE")))
	var old []string
	for _, d := range list {
		newest, age := "unknown", "unknown"
		if d.Newest != nil {
			newest, age = d.Newest.Format(day), fmt.Sprintf("%dd", *d.AgeDays)
		}
		if d.Old {
			old = append(old, p.Escape(d.Ecosystem))
		}
		fmt.Fprintf(&b, "%-16s  %8d  %8d  %-10s  %8s  %s\n", p.Escape(d.Ecosystem), d.Records, d.Packages, newest, age, p.Escape(d.Source))
	}
	if len(old) > 0 {
		fmt.Fprintf(&b, "\nOver 7 days old, or of unknown age: %s. What was found since is not in it.\n", strings.Join(old, ", "))
	}
	return b.String()
}
