package gate

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/relay"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// What the gate asks of the engine on its own account, and its Client does not.

// own makes a request without a body, on a connection of its own, and has the answer read.
func (g *Gate) own(ctx context.Context, method, target string, read func(status int, body io.Reader) error) error {
	return relay.Ask(ctx, g.dial, method, "plimsoll", target, read)
}

// done is for what only has to be done; also says what else is as good.
func done(also ...int) func(int, io.Reader) error {
	return func(status int, _ io.Reader) error {
		for _, ok := range also {
			if status == ok {
				return nil
			}
		}
		if status >= 300 {
			return fmt.Errorf("the engine says %d", status)
		}
		return nil
	}
}

// remove takes away a container that was made and must not be.
func (g *Gate) remove(ctx context.Context, id string) error {
	if err := g.own(ctx, http.MethodDelete, "/containers/"+id+"?force=1&v=1", done(http.StatusNotFound)); err != nil {
		return fmt.Errorf("removing the container: %w", err)
	}
	return nil
}

// stop stops a container as a restart would that has such a query.
func (g *Gate) stop(ctx context.Context, id, query string) error {
	if err := g.own(ctx, http.MethodPost, "/containers/"+id+"/stop?"+query, done(http.StatusNotModified)); err != nil {
		return fmt.Errorf("stopping the container: %w", err)
	}
	return nil
}

// maxPasswd bounds a passwd file: what is longer is of no use to who starts a process
// either.
const maxPasswd = 1 << 20

// rootNames finds the names by which a container's files call root: the engine looks names
// up there when it starts a process, and takes what is no number for 0 (libcontainer's
// user/user.go). Where they cannot be read, it is an error.
func (g *Gate) rootNames(ctx context.Context, id string) (map[string]bool, error) {
	var passwd []byte
	err := g.own(ctx, http.MethodGet, "/containers/"+id+"/archive?path="+url.QueryEscape("/etc/passwd"), func(status int, body io.Reader) error {
		if status == http.StatusNotFound {
			return nil // then numbers are all that there is
		}
		if status != http.StatusOK {
			return fmt.Errorf("the engine says %d", status)
		}
		files := tar.NewReader(body)
		head, err := files.Next()
		if err != nil {
			return err
		}
		if head.Typeflag != tar.TypeReg || head.Size > maxPasswd {
			return errors.New("it is no file, or too long")
		}
		passwd, err = io.ReadAll(files)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading /etc/passwd of the container: %w", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(passwd)) {
		fields := append(strings.Split(strings.TrimSpace(line), ":"), "", "")
		if uid, _ := strconv.Atoi(fields[2]); uid == 0 {
			names[fields[0]] = true
		}
	}
	return names, nil
}

// users finds out which of the users of a container and its sessions are root under another
// name, where a rule that is enforced wants to know.
func (g *Gate) users(ctx context.Context, p *Policy, s *workload.Spec) error {
	if !p.enforced["user-root"] && !p.enforced["exec-as-root"] {
		return nil
	}
	users := []*string{&s.User}
	for i := range s.Live.Execs {
		users = append(users, &s.Live.Execs[i].User)
	}
	var names map[string]bool
	for _, user := range users {
		if strings.Trim(*user, "0123456789") == "" {
			continue
		}
		if names == nil {
			var err error
			if names, err = g.rootNames(ctx, s.ID); err != nil {
				return err
			}
		}
		if names[*user] {
			*user = "0"
		}
	}
	return nil
}
