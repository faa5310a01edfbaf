//go:build !front

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// verifying are the flags of image verify.
type verifying struct {
	peering
	trust    string
	bundle   string
	offline  bool
	explain  bool
	format   string
	noRecord bool
	rollback string
}

// imageVerifyCommand is plimsoll image verify.
func (a *app) imageVerifyCommand() *cobra.Command {
	var v verifying
	c := &cobra.Command{
		Use:   "verify REF",
		Short: "Say whether those whom you trust have signed an image",
		Long: `verify finds who signed an image, and asks the policy of trust whether that is
enough. Signatures are in the registry, beside the image: those of cosign, by keys
or by identities that a sigstore vouches for, and those of Notation, by certificates
of authorities; or a server of Docker Content Trust has them, where the policy names
one. Nothing else is asked.

REF is the name of an image. Where the engine has one of that name, it is the one
that is verified; else, and with registry:NAME, it is what the name leads to in its
registry. Of an image for several platforms it is the one for --platform.

Of an image that no registry has, the gate's trail tells who built it, where the policy
says who may.

With --bundle it is verified in a file that trust bundle has made, and no network is
asked. It is known by its digests afterwards, however it gets to the engine. With
--offline the registry answers as it did when verify last asked it; --explain says
when that was.

The policy says what images need by their names:

  schema: plimsoll/trust/1
  keys:
    release:
      pem: |
        -----BEGIN PUBLIC KEY-----
        …
  images:
    - name: registry.example/shop/*
      signed: {any: [{key: release}]}
    - name: docker.io/library/*
      unsigned: true
      why: bases, which are scanned
    - name: docker.io/shop/*
      built: {by: [alice]}

What a tag was trusted for is remembered. An image that was signed earlier than that,
or says nothing of when, is refused by the tag, as who holds the registry may have led
it back; --rollback "WHY" goes back to it all the same.

What was found is written down for plimsoll gate, whose policy may require it, where
the state can be written. The exit code is 1 for an image that is not trusted, and 3
where that can't be told.`,
		Example: `  plimsoll image verify registry.example/shop/api:4.18
  plimsoll image verify --explain registry:registry.example/shop/api:4.18
  plimsoll image verify --bundle api.tar registry.example/shop/api:4.18
  plimsoll image verify --trust ./trust.yaml --format json shop.example/api@sha256:…
  plimsoll image verify --rollback "4.18 loses orders" registry.example/shop/api:4`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if v.format != "table" && v.format != "json" {
				return &failure{code: exitUsage, message: "--format " + v.format + " is not a format", hint: "Use  --format table  or  --format json"}
			}
			if c.Flags().Changed("rollback") && strings.TrimSpace(v.rollback) == "" {
				return &failure{code: exitUsage, message: "--rollback does not say why", hint: "For example  --rollback \"4.18 loses orders\""}
			}
			if v.rollback != "" && v.noRecord {
				return &failure{code: exitUsage, message: "--rollback is recorded, and --no-record records nothing", hint: "Leave one of them out."}
			}
			if v.offline && v.bundle != "" {
				return &failure{code: exitUsage, message: "--offline and --bundle can't both be", hint: "Leave one of them out: neither asks a network."}
			}
			return a.imageVerify(c.Context(), &v, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&v.trust, "trust", defaultTrust, "the policy of trust, `FILE`")
	f.StringVar(&v.bundle, "bundle", "", "the image is in `FILE`, which trust bundle has made; no registry is asked")
	f.BoolVar(&v.offline, "offline", false, "ask no registry: decide by what was kept of an earlier verification")
	f.BoolVar(&v.explain, "explain", false, "say each step, and what does not count and why")
	f.StringVar(&v.format, "format", "table", "`FORMAT`: table or json")
	f.StringVar(&v.platform, "platform", "", "of an image for several, that for `OS/ARCH`, such as linux/arm64")
	f.BoolVar(&v.noRecord, "no-record", false, "write nothing down for the gate and the inventory")
	f.StringVar(&v.rollback, "rollback", "", "trust it though it is older than what its tag was trusted for, and say `WHY` in the trail")
	v.registryFlags(f)
	return c
}

// readTrust reads the policy.
func readTrust(ctx context.Context, file string) (*sign.Policy, error) {
	data, err := readTrustFile(ctx, file)
	if err != nil {
		return nil, err
	}
	return sign.ReadPolicy(file, data)
}

func readTrustFile(ctx context.Context, file string) ([]byte, error) {
	data, err := readFile(ctx, file, maxConfigBytes)
	if err != nil {
		return nil, unreadTrust(err, "Name another with  --trust FILE")
	}
	return data, nil
}

// verifier asks by a policy, and remembers what it was shown in the state.
func (a *app) verifier(policy *sign.Policy, o image.Options) sign.Verifier {
	by := sign.Verifier{Policy: policy, Image: o, State: filepath.Join(a.state, "trust"), Now: a.world.Now()}
	by.Cache = image.Cache{Dir: filepath.Join(by.State, "cache"), Now: by.Now}
	if dir := o.Registries.Config; dir != "" {
		by.Docker = filepath.Join(dir, "trust")
	}
	return by
}

// unreadTrust is the error of a policy that can't be read; another is how to name one.
func unreadTrust(err error, another string) error {
	if errors.Is(err, fs.ErrNotExist) {
		another = "Begin one:\n  plimsoll trust keys add release release.pub --images 'registry.example/shop/*'\nor write it as  plimsoll image verify --help  shows. " + another
	}
	if errors.Is(err, fs.ErrPermission) {
		another = "Run it as who may read that file, such as root. " + another
	}
	return &failure{code: exitUsage, message: "the policy of trust can't be read", hint: another, err: err}
}

func (a *app) imageVerify(ctx context.Context, v *verifying, text string) error {
	if _, err := a.config(ctx); err != nil {
		return err
	}
	policy, err := readTrust(ctx, v.trust)
	if err != nil {
		return err
	}
	o, err := a.imageOptions(&v.peering)
	if err != nil {
		return err
	}
	by := a.verifier(policy, o)
	by.Platform, by.Tags, by.ByTag, by.Rollback, by.LookOnly = v.platform, a.verdicts(), !strings.Contains(text, "@"), v.rollback, v.noRecord
	by.Offline = v.offline
	r, err := a.verify(ctx, &by, v, text)
	if err != nil {
		return err
	}
	if r.Unremembered != nil && !r.Uncompared {
		a.note("what the tag is trusted for is not remembered: " + r.Unremembered.Error())
	}
	var changed error
	if !v.noRecord && !r.Uncompared {
		changed = a.recordVerified(ctx, &by, r, v.bundle != "")
	}
	write := a.verifiedTable
	if v.format == "json" {
		write = verifiedJSON
	}
	if err := write(a.stdout, text, r, v.explain || a.verbose); err != nil {
		return &failure{code: exitUnable, message: "what was found can't be written", err: err}
	}
	if !r.Trusted() {
		return errFindings
	}
	if r.Uncompared {
		return &failure{code: exitUnable, message: "it can't be told whether " + text + " is older than what its tag was trusted for", hint: "Run it as root, or remember it elsewhere, for yourself, with  --state DIR", err: r.Unremembered}
	}
	return changed
}

// verify finds out who signed an image.
func (a *app) verify(ctx context.Context, by *sign.Verifier, v *verifying, text string) (*sign.Result, error) {
	unable := func(err error) error {
		return &failure{code: exitUnable, message: "it can't be told who signed " + text, err: err}
	}
	if v.bundle != "" {
		ref, err := registryReference(text)
		if err != nil {
			return nil, err
		}
		progress := a.progress()
		defer progress.Stop()
		r, err := by.VerifyBundle(ctx, v.bundle, ref, counting(progress, "Checking the bundle"))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(v.bundle); err != nil {
				return nil, &failure{code: exitUsage, message: "there is no bundle " + v.bundle, hint: "Make one where the registry can be asked:\n  plimsoll trust bundle " + text + " -o api.tar", err: err}
			}
		}
		if err != nil {
			return nil, unable(untyped(err))
		}
		return r, nil
	}
	if r, err := a.verifiedHere(ctx, by, text); r != nil || err != nil {
		return r, err
	}
	ref, err := a.verified(ctx, text)
	if err != nil {
		return nil, err
	}
	r, err := by.Verify(ctx, ref)
	if errors.Is(err, image.ErrNotKept) {
		return nil, &failure{code: exitUnable, message: "it can't be told offline who signed " + text + ": not all that is needed was kept", hint: "Verify it once where its registry can be asked, without --offline.", err: err}
	}
	if err != nil {
		return nil, unable(err)
	}
	return r, nil
}

// verified is where the image is whose signatures are looked for: what the engine has of a
// name, by the digest that its registry gave it, or what the name leads to there.
func (a *app) verified(ctx context.Context, text string) (image.Reference, error) {
	ref, err := parseReference(text)
	if err != nil {
		return ref, err
	}
	switch ref.Source {
	case image.Registry:
		return ref, nil
	case image.Engine:
	default:
		return ref, &failure{code: exitUsage, message: text + " is in no registry, where signatures are", hint: "Name the image by the registry that it came from."}
	}
	named, err := reference.ParseNormalizedNamed(ref.At)
	if err != nil {
		return ref, &failure{code: exitUsage, message: fmt.Sprintf("%q is no name of an image", ref.At), hint: "Name it with its registry.", err: err}
	}
	elsewhere := image.Reference{Source: image.Registry, At: reference.TagNameOnly(named).String()}
	client, _, err := a.client(ctx)
	if err != nil {
		return ref, err
	}
	defer client.Close()
	has, err := inspectImage(ctx, client, ref.At)
	if far := new(engine.Error); errors.Is(err, engine.ErrNotFound) || errors.As(err, &far) && far.Status == 0 {
		return elsewhere, nil // there is none of that name, or no engine
	}
	if err != nil {
		return ref, err
	}
	if digest := digestOf(has.RepoDigests, named.Name()); digest != "" {
		// With its tag, which content trust signs.
		at := named.Name() + "@" + digest
		if t, is := reference.TagNameOnly(named).(reference.Tagged); is {
			at = named.Name() + ":" + t.Tag() + "@" + digest
		}
		return image.Reference{Source: image.Registry, At: at}, nil
	}
	return ref, &failure{code: exitUnable, message: "the engine's image " + text + " did not come from a registry of that name: it was built or loaded here, and nobody signed it", hint: "The policy of trust can say who may build it:  built: {by: [USER]}\nWhat is in the registry is verified by\n  plimsoll image verify registry:" + elsewhere.At + "\nand one that was loaded from a bundle by\n  plimsoll image verify --bundle FILE " + text}
}

// digestOf is the digest that the registry of a name gave an image, of those that an engine
// tells of it as NAME@DIGEST, "" where it gave none.
func digestOf(digests []string, name string) string {
	for _, one := range digests {
		if have, err := reference.ParseNormalizedNamed(one); err == nil && have.Name() == name {
			return strings.TrimPrefix(have.String(), name+"@")
		}
	}
	return ""
}

// recordVerified writes down what was found: that the image is trusted by its name, or that it is
// not any more. One that is only older than what its tag is trusted for stays what it is by
// others, and so does one in a bundle that has too few signatures, since who brings that could else
// stop what was verified. Who may not write there has verified all the same. The error is that the
// policy was changed meanwhile, as where a key was revoked, and does not trust it any more.
func (a *app) recordVerified(ctx context.Context, by *sign.Verifier, r *sign.Result, bundled bool) error {
	if err := a.writeVouched(by, r, !bundled); err != nil {
		a.note("what was found is not written down for the gate: " + err.Error())
		return nil
	}
	changed := a.changedMeanwhile(ctx, by, r)
	e := vouchEvent(r.Name, r.Config, r.Manifest, r.Decision)
	e.Detail["trusted"] = r.Trusted() && changed == nil
	if r.Rollback != "" {
		e.Detail["rollback"] = r.Rollback
	}
	if r.Place != "" {
		e.Detail["place"] = r.Place
	}
	a.record(ctx, "what was found", e)
	return changed
}

// changedMeanwhile takes back what was just written down where the policy is another by now:
// who revokes a key takes back what is written by then, and that may have been too early.
func (a *app) changedMeanwhile(ctx context.Context, by *sign.Verifier, r *sign.Result) error {
	info, err := os.Stat(by.Policy.File)
	if !r.Trusted() || err != nil || !info.Mode().IsRegular() { // a pipe can be read once
		return nil
	}
	now, err := readTrust(ctx, by.Policy.File)
	how := by.Verdict(r, r.Config)
	if err != nil || now.Reconsider(how, by.Now).Trusted() {
		return nil
	}
	_, err = now.Withdraw(a.verdicts(), by.Now, func(v *verdict.Verified) bool { return v.Name == how.Name && v.At.Equal(how.At) })
	return &failure{code: exitUnable, message: "the policy of trust was changed meanwhile, and what was found is not written down", hint: "Verify it again.", err: err}
}

// verifiedTable tells it to people.
func (a *app) verifiedTable(out *term.Printer, text string, r *sign.Result, explain bool) error {
	var b strings.Builder
	glyph, says := term.Pass, "is trusted: "+strings.Join(r.By, ", ")
	if !r.Until.IsZero() {
		says += ", until " + r.Until.UTC().Format(time.DateOnly)
	}
	if !r.Trusted() {
		glyph, says = term.Deny, "is not trusted: "+r.Steps[len(r.Steps)-1].Text
	}
	fmt.Fprintf(&b, "%s %s %s\n", out.Glyph(glyph), out.Paint(term.Bold, out.Escape(text)), out.Escape(says))
	fmt.Fprintf(&b, "    %s\n", out.Paint(term.Faint, string(cmp.Or(r.Manifest, r.Config))))
	if explain {
		for _, s := range r.Steps {
			g := term.Pass
			if !s.OK {
				g = term.Deny
			}
			fmt.Fprintf(&b, "%s %-9s %s\n", out.Glyph(g), s.Name, out.Escape(s.Text))
		}
	}
	if explain && r.Uncompared {
		fmt.Fprintf(&b, "%s %-9s %s\n", out.Glyph(term.Unknown), sign.StepReplay, out.Escape("what the tag was trusted for may not be read: "+r.Unremembered.Error()))
	}
	if explain || !r.Trusted() {
		for _, x := range r.Rejected {
			fmt.Fprintf(&b, "%s %-9s %s\n", out.Glyph(term.NotApplicable), "ignored", out.Escape(x.String()))
		}
	}
	_, err := out.Write([]byte(b.String()))
	return err
}

// verifiedJSON tells it to programs.
func verifiedJSON(out *term.Printer, text string, r *sign.Result, _ bool) error {
	type step struct {
		Step string `json:"step"`
		OK   bool   `json:"ok"`
		Text string `json:"text"`
	}
	type rejection struct {
		Kind   string `json:"kind"`
		Step   string `json:"step"`
		Where  string `json:"where"`
		Reason string `json:"reason"`
	}
	body := struct {
		Schema   string      `json:"schema"`
		Name     string      `json:"name"`
		Index    string      `json:"index,omitempty"`
		Manifest string      `json:"manifest,omitempty"`
		ID       string      `json:"id"`
		Platform string      `json:"platform"`
		Trusted  bool        `json:"trusted"`
		Policy   string      `json:"policy,omitempty"`
		By       []string    `json:"by"`
		Until    time.Time   `json:"until,omitzero"`
		Refused  string      `json:"refused,omitempty"`
		Rollback string      `json:"rollback,omitempty"`
		Unknown  []string    `json:"unknown,omitempty"` // steps that could not be done
		Steps    []step      `json:"steps"`
		Rejected []rejection `json:"rejected"`
	}{"plimsoll/verified/1", text, string(r.Index), string(r.Manifest), string(r.Config), r.Platform, r.Trusted(), "", append([]string{}, r.By...), r.Until, r.Refused, r.Rollback, nil, []step{}, []rejection{}}
	if r.Entry != nil {
		body.Policy = r.Entry.Place()
	}
	if r.Uncompared {
		body.Unknown = []string{sign.StepReplay}
	}
	for _, s := range r.Steps {
		body.Steps = append(body.Steps, step{s.Name, s.OK, s.Text})
	}
	for _, x := range r.Rejected {
		body.Rejected = append(body.Rejected, rejection{x.Kind, x.Step, x.Where, x.Reason})
	}
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(term.EscapeJSON(data), '\n'))
	return err
}
