package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// images are how many different images the containers are made from; they
// differ in a label.
const images = 5

// population is the containers that there are.
type population struct {
	containers, running, images, execs int
}

func (p population) String() string {
	return fmt.Sprintf("%d containers (%d run) of %d images, %d exec", p.containers, p.running, p.images, p.execs)
}

// filler puts containers into an engine.
type filler struct {
	lab  *lab.Engine
	http *http.Client
	have population
}

func newFiller(e *lab.Engine) *filler {
	return &filler{lab: e, http: &http.Client{Transport: unixTransport(e.Socket()), Timeout: 2 * time.Minute}}
}

// call makes one request. Answers of 400 and above are errors.
func (f *filler) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, err
}

// begin makes the images.
func (f *filler) begin(ctx context.Context) error {
	for i := range images {
		if err := f.lab.Busybox(ctx, imageName(i), fmt.Sprintf("LABEL variant=%d", i)); err != nil {
			return err
		}
	}
	return nil
}

func imageName(i int) string { return fmt.Sprintf("bench/image-%d:1", i%images) }

// grow adds containers until there are so many, and so many of them run. The
// first that runs gets a process by exec, which stays.
func (f *filler) grow(ctx context.Context, containers, running int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := f.have.containers; i < containers; i++ {
		start := i-f.have.containers < running-f.have.running
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f.add(ctx, i, start); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("making containers: %w", context.Cause(ctx))
	}
	if f.have.execs == 0 && running > 0 {
		if err := f.exec(ctx, containerName(0)); err != nil {
			return err
		}
	}
	f.have = population{containers: containers, running: running, images: images, execs: min(1, running)}
	return nil
}

func containerName(i int) string { return fmt.Sprintf("bench-%03d", i) }

// add makes one container. They differ as containers on a host do: limits,
// mounts, ports, users and capabilities come and go in steps that share no
// factor.
func (f *filler) add(ctx context.Context, i int, start bool) error {
	host := map[string]any{"NetworkMode": "none"}
	body := map[string]any{"Image": imageName(i), "HostConfig": host, "Labels": map[string]string{"number": fmt.Sprint(i)},
		"Env": []string{"PATH=/bin", "DB_HOST=db", "DB_PASSWORD=not-a-real-one"}}
	if i%2 == 0 {
		host["Memory"], host["PidsLimit"] = 64<<20, 100
	}
	if i%3 == 0 {
		host["Binds"] = []string{"/usr/share:/data:ro", fmt.Sprintf("bench-%d:/var/data", i%20)}
	}
	if i%5 == 0 {
		host["CapDrop"], host["CapAdd"] = []string{"ALL"}, []string{"NET_BIND_SERVICE"}
		body["User"] = "65534:65534"
	}
	if i%7 == 0 {
		host["SecurityOpt"], host["ReadonlyRootfs"] = []string{"no-new-privileges"}, true
		host["Tmpfs"] = map[string]string{"/tmp": "rw,noexec,size=16m"}
	}
	if i%11 == 0 {
		body["ExposedPorts"] = map[string]any{"80/tcp": struct{}{}}
		host["RestartPolicy"] = map[string]any{"Name": "on-failure", "MaximumRetryCount": 5}
	}
	name := url.Values{"name": {containerName(i)}}
	if _, err := f.call(ctx, http.MethodPost, "/containers/create?"+name.Encode(), body); err != nil {
		return err
	}
	if !start {
		return nil
	}
	_, err := f.call(ctx, http.MethodPost, "/containers/"+containerName(i)+"/start", nil)
	return err
}

func (f *filler) exec(ctx context.Context, container string) error {
	answer, err := f.call(ctx, http.MethodPost, "/containers/"+container+"/exec", map[string]any{"Cmd": []string{"sleep", "86400"}})
	if err != nil {
		return err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(answer, &made); err != nil || made.ID == "" {
		return errors.New("making an exec: the engine gave no id")
	}
	_, err = f.call(ctx, http.MethodPost, "/exec/"+made.ID+"/start", map[string]any{"Detach": true})
	return err
}

// engineVersion is an engine's, with that of its API, and where it keeps its data.
type engineVersion struct{ Version, APIVersion, storage string }

func (v engineVersion) String() string {
	return fmt.Sprintf("Docker %s (API %s), its data by %s", v.Version, v.APIVersion, v.storage)
}

// path is one with the API's version, as clients ask for it.
func (v engineVersion) path(rest string) string { return "/v" + v.APIVersion + rest }

func (f *filler) version(ctx context.Context) (v engineVersion, err error) {
	answer, err := f.call(ctx, http.MethodGet, "/version", nil)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(answer, &v); err != nil {
		return v, fmt.Errorf("reading the engine's version: %w", err)
	}
	var info struct {
		Driver       string
		DriverStatus [][2]string
	}
	if answer, err = f.call(ctx, http.MethodGet, "/info", nil); err != nil {
		return v, err
	}
	if err := json.Unmarshal(answer, &info); err != nil {
		return v, fmt.Errorf("reading the engine's description: %w", err)
	}
	v.storage = info.Driver
	for _, s := range info.DriverStatus {
		if s[0] == "Backing Filesystem" {
			v.storage += " on " + s[1]
		}
	}
	return v, nil
}

// remove removes containers, by name or id.
func (f *filler) remove(ctx context.Context, names []string) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	errs := make([]error, len(names))
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_, errs[i] = f.call(ctx, http.MethodDelete, "/containers/"+name+"?force=1&v=1", nil)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// clear removes the containers that grow made.
func (f *filler) clear(ctx context.Context) error {
	names := make([]string, f.have.containers)
	for i := range names {
		names[i] = containerName(i)
	}
	f.have = population{}
	return f.remove(ctx, names)
}

// end removes the containers and the images.
func (f *filler) end(ctx context.Context) error {
	errs := []error{f.clear(ctx)}
	for i := range images {
		_, err := f.call(ctx, http.MethodDelete, "/images/"+imageName(i)+"?force=1", nil)
		errs = append(errs, err)
	}
	f.http.CloseIdleConnections()
	return errors.Join(errs...)
}
