package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// WithMode is a policy file with another mode; every other byte of it stays. It does not
// check what else is in the file.
func WithMode(name string, data []byte, mode string) ([]byte, error) {
	root, err := strict.YAMLNode(name, data)
	if err != nil {
		return nil, err
	}
	byHand := func(why string) error {
		return &Failure{Message: fmt.Sprintf("the mode in %s can't be changed: %s", name, why), Hint: "Write the line  mode: " + mode + "  into it"}
	}
	if root.Kind != yaml.MappingNode {
		return nil, byHand("it holds no keys")
	}
	var schema, value *yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "mode":
			value = root.Content[i+1]
		case "schema":
			schema = root.Content[i]
		}
	}
	var out []byte
	switch {
	case value != nil:
		at, ok := offset(data, value)
		old := value.Value
		switch value.Style &^ yaml.TaggedStyle {
		case yaml.DoubleQuotedStyle:
			old = `"` + old + `"`
		case yaml.SingleQuotedStyle:
			old = `'` + old + `'`
		}
		if !ok || value.Kind != yaml.ScalarNode || old == "" || !bytes.HasPrefix(data[at:], []byte(old)) {
			return nil, byHand("it is not written as one word")
		}
		out = append(append(bytes.Clone(data[:at]), mode...), data[at+len(old):]...)
	case schema == nil || root.Style&yaml.FlowStyle != 0:
		return nil, byHand("it is not there")
	default:
		at, ok := offset(data, schema)
		line := bytes.LastIndexByte(data[:max(at, 0)], '\n') + 1
		if !ok || len(bytes.TrimLeft(data[line:at], " ")) > 0 {
			return nil, byHand("it is not there")
		}
		// Before the schema, as deep as that is.
		out = append(append(bytes.Clone(data[:line]), fmt.Sprintf("%smode: %s\n", data[line:at], mode)...), data[line:]...)
	}
	var said struct {
		Mode string `yaml:"mode"`
	}
	again, err := strict.YAMLNode(name, out)
	if err == nil {
		err = again.Decode(&said)
	}
	if err != nil || said.Mode != mode {
		return nil, byHand("what came of it is not what was meant")
	}
	return out, nil
}

// offset finds where a node begins. YAML counts columns in characters.
func offset(data []byte, n *yaml.Node) (int, bool) {
	at := 0
	for range n.Line - 1 {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			return 0, false
		}
		at += next + 1
	}
	line, _, _ := bytes.Cut(data[at:], []byte("\n"))
	column := 1
	for i := range string(line) {
		if column == n.Column {
			return at + i, true
		}
		column++
	}
	return 0, false
}

// SetMode writes another mode into the policy file that the record names, and has the gate
// read it. If the gate does not take it, the file is put back. The error is a *Failure.
func (h *Host) SetMode(ctx context.Context, mode string) error {
	if h.UID != 0 {
		return notRoot("gate " + mode)
	}
	r, err := h.ReadRecord()
	if err != nil {
		return err
	}
	// What is linked to from here is the file that is meant.
	path, err := filepath.EvalSymlinks(h.at(r.Policy))
	if err != nil {
		return &Failure{Message: "the policy can't be found", Hint: "plimsoll gate install  writes one", Err: err}
	}
	had, err := os.Stat(path)
	var old []byte
	if err == nil {
		old, err = os.ReadFile(path)
	}
	if err != nil {
		return &Failure{Message: "the policy can't be read", Err: err}
	}
	data, err := WithMode(r.Policy, old, mode)
	if err != nil {
		return err
	}
	made := r.PolicyMade != "" && r.PolicyMade == digest(old)
	put := func(content []byte) error {
		if made {
			r.PolicyMade = digest(content)
			if err := h.keep(r); err != nil {
				return err
			}
		}
		if err := h.replace(path, content, had); err != nil {
			return err
		}
		if _, err := h.run(ctx, "systemctl", "reload", Service); err != nil {
			return err
		}
		_, err := h.Standing(ctx, digest(content))
		return err
	}
	if err = put(data); err == nil {
		if now, asked := h.Standing(ctx, digest(data)); asked != nil || now != mode {
			err = errors.Join(fmt.Errorf("it goes on in the mode %s: is it run with --mode?", now), asked)
		}
	}
	if err == nil {
		return nil
	}
	f := &Failure{Message: "the gate does not take the mode " + mode + ", and the policy is as it was", Hint: seeLog, Err: err}
	ctx = context.WithoutCancel(ctx)
	if back := put(old); back != nil {
		f.Hint = "The gate has not read that either. " + seeLog
		f.Err = errors.Join(err, back)
	}
	return f
}

// replace writes a file anew, with the owner and mode that it had.
func (h *Host) replace(path string, data []byte, had fs.FileInfo) error {
	here := Host{Root: "/"} // links were followed
	if err := here.write(path, data, had.Mode().Perm()); err != nil {
		return err
	}
	uid, gid, ok := owner(had)
	if !ok {
		return nil
	}
	return os.Lchown(path, uid, gid)
}

func owner(info fs.FileInfo) (uid, gid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}
