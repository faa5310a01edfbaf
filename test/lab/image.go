package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Busybox makes an image of Debian's busybox-static in the engine, under name
// (such as "web:1"), in a fifth of a second and without a registry. Changes
// are Dockerfile instructions that docker import takes: CMD, ENTRYPOINT, ENV,
// EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR. The
// image has every applet in /bin and the users root and nobody; it does
// nothing by default, for as long as it may.
func (e *Engine) Busybox(ctx context.Context, name string, changes ...string) error {
	return importBusybox(ctx, name, changes, func(layer []byte, args []string) error {
		_, err := e.docker(ctx, bytes.NewReader(layer), args...)
		return err
	})
}

// Busybox makes the same image in the host's engine.
func (h *Host) Busybox(ctx context.Context, name string, changes ...string) error {
	return importBusybox(ctx, name, changes, func(layer []byte, args []string) error {
		cmd := h.Command(ctx, "docker", args...)
		cmd.Stdin = bytes.NewReader(layer)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker import: %w: %s", err, out)
		}
		return nil
	})
}

func importBusybox(ctx context.Context, name string, changes []string, docker func(layer []byte, args []string) error) error {
	layer, err := busyboxLayer(ctx)
	if err != nil {
		return err
	}
	args := []string{"import", "--change", "ENV PATH=/bin", "--change", `CMD ["sleep","2147483647"]`}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	if err := docker(layer, append(args, "-", name)); err != nil {
		return fmt.Errorf("making the image %s: %w", name, err)
	}
	return nil
}

// busyboxLayer is the image's only layer, an uncompressed tar archive.
func busyboxLayer(ctx context.Context) ([]byte, error) {
	path, err := lookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("%w: run `lab install`, or install Debian's package busybox-static", err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading busybox: %w", err)
	}
	list := exec.CommandContext(ctx, path, "--list")
	list.SysProcAttr = apart()
	applets, err := list.Output()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("asking busybox for its applets: %w", err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	put := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err == nil {
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
	}
	for _, dir := range []string{"bin/", "etc/", "root/", "home/", "proc/", "sys/", "dev/", "run/", "var/", "www/"} {
		put(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	put(tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil)
	put(tar.Header{Name: "etc/passwd", Mode: 0o644},
		[]byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"))
	put(tar.Header{Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nnogroup:x:65534:\n"))
	put(tar.Header{Name: "www/index.html", Mode: 0o644}, []byte("ok\n"))
	put(tar.Header{Name: "bin/busybox", Mode: 0o755}, program)
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			put(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("packing busybox: %w", err)
	}
	return buf.Bytes(), nil
}
