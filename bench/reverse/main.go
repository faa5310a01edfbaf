// Command reverse is what a gate is measured against: a reverse proxy between two
// unix sockets, of nothing but the standard library's, that looks at nothing.
//
//	reverse LISTEN ENGINE
//
// It keeps as many connections to the engine open as there are clients, which a
// proxy for one host must be told to do.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reverse LISTEN ENGINE")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "reverse:", err)
		os.Exit(1)
	}
}

// idle is more than the clients of any measurement.
const idle = 1024

func serve(socket, engine string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: idle,
			DisableCompression:  true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", engine)
			},
		},
	}
	return http.Serve(listener, proxy)
}
