package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// defaultTrust is where the policy of trust is.
const defaultTrust = "/etc/plimsoll/trust.yaml"

// verdicts is where what is known of images is.
func (a *app) verdicts() verdict.Folder {
	return verdict.Folder(filepath.Join(a.state, gate.VerdictFolder))
}

// imageTrust tells what was found of images' signatures, by the verdicts that image verify
// wrote (collect.Config.Trust); nil where there is no policy of trust.
func (a *app) imageTrust(policy string) func(id string, digests []string) (trust, unseen string) {
	if _, err := os.Stat(policy); err != nil {
		return nil
	}
	folder, now := a.verdicts(), a.world.Now()
	return func(id string, names []string) (string, string) {
		digests := []string{id}
		for _, name := range names {
			if _, digest, is := strings.Cut(name, "@"); is {
				digests = append(digests, digest)
			}
		}
		have, err := folder.Of(digests...)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return facts.Untrusted, ""
		case err != nil:
			return "", "what is known of it can't be read"
		case have.Verified == nil || !have.Verified.Ends().IsZero() && now.After(have.Verified.Ends()):
			return facts.Untrusted, ""
		}
		return facts.Trusted, ""
	}
}
