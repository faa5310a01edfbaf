package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// gateStatus is what the gate's trail says of a time.
type gateStatus struct {
	// Standing says whether a gate records now.
	Standing bool         `json:"standing"`
	Mode     string       `json:"mode"`
	Policy   string       `json:"policy,omitempty"` // its file; "" is the one that stands where there is none
	Digest   string       `json:"digest,omitempty"`
	From     time.Time    `json:"from"` // the mode and the policy stand
	Since    time.Time    `json:"since"`
	Clients  []gateClient `json:"clients"`
}

// gateClient is what one client asked for.
type gateClient struct {
	Who     string `json:"who"`
	Program string `json:"program,omitempty"`
	// Asked counts requests that would change something and were not refused.
	Asked int `json:"asked"`
	// Refused counts those that were refused, and WouldRefuse those that would have been.
	Refused     int `json:"refused"`
	WouldRefuse int `json:"would_refuse"`
	// Reasons are why, with how often: rules, or what else there is to say.
	Reasons map[string]int `json:"reasons,omitempty"`
}

func (a *app) gateStatusCommand() *cobra.Command {
	var since, format string
	c := &cobra.Command{
		Use:   "status",
		Short: "What the gate does, and what it refused or would have refused, by client",
		Long: `status reads the gate's trail: which mode and policy stand, and for each client
how much it asked for and what of that was refused, or, while the gate only
observes, would have been. Look at it before you let the gate enforce.`,
		Example: `  plimsoll gate status
  plimsoll gate status --since 30d --format json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			now := a.world.Now()
			from, err := parseMoment("--since", since, now)
			if err != nil {
				return err
			}
			if format != "table" && format != "json" {
				return &failure{code: exitUsage, message: fmt.Sprintf("--format %q is neither table nor json", format)}
			}
			a.ofGate = true
			s, err := a.gateStatus(from)
			if err != nil {
				return err
			}
			if format == "json" {
				data, err := json.MarshalIndent(s, "", "  ")
				if err != nil {
					return err
				}
				return a.print(string(term.EscapeJSON(data)) + "\n")
			}
			return a.print(a.gateStatusTable(s))
		},
	}
	c.Flags().StringVar(&since, "since", "7d", "`TIME` from which on: a date, a time, or how long ago")
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	return c
}

func (a *app) gateStatus(since time.Time) (*gateStatus, error) {
	v, err := a.readTrail()
	if err != nil {
		return nil, err
	}
	s := &gateStatus{Since: since.UTC(), Clients: []gateClient{}}
	if s.Standing, err = trail.IsWritten(a.trailDir()); err != nil {
		return nil, a.noTrail(err)
	}
	clients := map[[2]string]*gateClient{}
	for r, err := range v.Events(0) {
		if err != nil {
			return nil, a.noTrail(err)
		}
		e, err := r.Event()
		if err != nil {
			return nil, a.noTrail(err)
		}
		text := func(name string) string { s, _ := e.Detail[name].(string); return s }
		if e.Type == "policy" {
			if text("refused") == "" {
				s.Mode, s.Policy, s.Digest, s.From = text("mode"), text("file"), text("digest"), e.Time
			}
			continue
		}
		phase := text("gate")
		if e.Time.Before(since) || e.Actor == nil || phase != "asked" && e.Type != "refuse" {
			continue
		}
		who := [2]string{actorName(e.Actor), path.Base("/" + e.Actor.Exe)}
		if e.Actor.Exe == "" {
			who[1] = ""
		}
		c := clients[who]
		if c == nil {
			c = &gateClient{Who: who[0], Program: who[1], Reasons: map[string]int{}}
			clients[who] = c
		}
		switch {
		case e.Type != "refuse":
			c.Asked++
			continue
		case phase == "refused":
			c.Refused++
			if e.Detail["asked"] != nil { // it was recorded while it was judged
				c.Asked = max(0, c.Asked-1)
			}
		default:
			c.WouldRefuse++
		}
		for _, reason := range reasonsOf(e) {
			c.Reasons[reason]++
		}
	}
	for _, c := range clients {
		s.Clients = append(s.Clients, *c)
	}
	slices.SortFunc(s.Clients, func(x, y gateClient) int {
		return cmp.Or(cmp.Compare(y.Refused+y.WouldRefuse, x.Refused+x.WouldRefuse), cmp.Compare(y.Asked, x.Asked), cmp.Compare(x.Who, y.Who), cmp.Compare(x.Program, y.Program))
	})
	return s, nil
}

// reasonsOf are the rules that a request was refused by, and what else was said.
func reasonsOf(e *trail.Event) []string {
	list, _ := e.Detail["objections"].([]any)
	var reasons []string
	for _, o := range list {
		o, _ := o.(map[string]any)
		rule, _ := o["rule"].(string)
		what, _ := o["what"].(string)
		if text := cmp.Or(rule, trail.Clip(what, 80)); text != "" && !slices.Contains(reasons, text) {
			reasons = append(reasons, text)
		}
	}
	return reasons
}

func (a *app) gateStatusTable(s *gateStatus) string {
	p, here := a.stdout, a.world.Now().Location()
	var b strings.Builder
	state := map[string]string{"enforce": "The gate enforces: what is refused gets to nobody.", "observe": "The gate observes: nothing is refused."}[s.Mode]
	if !s.Standing {
		state = "No gate stands here now."
	}
	fmt.Fprintln(&b, p.Paint(term.Bold, cmp.Or(state, "The gate has not said yet what it does.")))
	if !s.From.IsZero() {
		policy := "none: critical and high rules count"
		if s.Policy != "" {
			policy = p.Escape(s.Policy) + ", " + p.Escape(s.Digest[:min(len(s.Digest), 19)])
		}
		fmt.Fprintf(&b, "  policy  %s, since %s\n", policy, s.From.In(here).Format("2006-01-02 15:04"))
	}
	fmt.Fprintf(&b, "  below   since %s\n", s.Since.In(here).Format("2006-01-02 15:04"))
	if len(s.Clients) == 0 {
		b.WriteString("\nNobody has asked for a change.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "\n%s\n", p.Paint(term.Faint, fmt.Sprintf("%-14s  %-18s  %7s  %7s  %7s  %s", "WHO", "PROGRAM", "ASKED", "REFUSED", "WOULD", "WHY")))
	cell := func(text string, width int) string {
		text = p.Escape(text)
		return text + strings.Repeat(" ", max(0, width-term.Width(text)))
	}
	for _, c := range s.Clients {
		var why []string
		for reason, n := range c.Reasons {
			why = append(why, fmt.Sprintf("%s %d", p.Escape(reason), n))
		}
		slices.Sort(why)
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s  %s  %7d  %7d  %7d  %s", cell(c.Who, 14), cell(c.Program, 18), c.Asked, c.Refused, c.WouldRefuse, strings.Join(why, ", ")), " "))
	}
	return b.String()
}
