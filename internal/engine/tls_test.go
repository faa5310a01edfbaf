package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// authority is a certificate authority made for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// issue makes a certificate for both sides of TLS.
func (a *authority) issue(t *testing.T, name string, ips []net.IP) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write puts the authority and a certificate into a folder under docker's names.
func (a *authority) write(t *testing.T, dir string, c tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, kind string, der []byte) {
		writeFile(t, filepath.Join(dir, name), string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	put("ca.pem", "CERTIFICATE", a.cert.Raw)
	put("cert.pem", "CERTIFICATE", c.Certificate[0])
	put("key.pem", "PRIVATE KEY", key)
}

// serveTLS is an engine that demands a certificate of the authority.
func serveTLS(t *testing.T, ca *authority, cert tls.Certificate) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		io.WriteString(w, "OK")
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, version2010) })
	mux.HandleFunc("/v1.41/info", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ID":"x"}`) })
	server := &http.Server{
		Handler:  mux,
		ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		},
	}
	ended := make(chan struct{})
	go func() { defer close(ended); server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { server.Close(); <-ended })
	return "tcp://" + l.Addr().String()
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	good := serveTLS(t, ca, ca.issue(t, "localhost", here))
	misnamed := serveTLS(t, ca, ca.issue(t, "harbour-9", nil))
	plain := "tcp://" + servePlain(t)

	ours, theirs, lone := t.TempDir(), t.TempDir(), t.TempDir()
	ca.write(t, ours, ca.issue(t, "client", nil))
	stranger.write(t, theirs, stranger.issue(t, "client", nil))
	ca.write(t, lone, ca.issue(t, "client", nil))
	files := func(caDir, certDir string) *TLS {
		return &TLS{CAFile: caDir + "/ca.pem", CertFile: certDir + "/cert.pem", KeyFile: certDir + "/key.pem"}
	}
	for _, tc := range []struct {
		name, address string
		tls           *TLS
		message, hint string
	}{
		{"both sides known", good, files(ours, ours), "", ""},
		{"plain", plain, nil, "", ""},
		{"anybody will do", misnamed, &TLS{SkipVerify: true, CertFile: ours + "/cert.pem", KeyFile: ours + "/key.pem"}, "", ""},
		{"an engine of another authority", good, files(theirs, ours), "certificate signed by unknown authority", "not from the authority in"},
		{"an engine of another name", misnamed, files(ours, ours), "127.0.0.1", "Its certificate is for another name"},
		{"a client of another authority", good, files(ours, theirs), "tls:", "It does not take our certificate"},
		{"a client without a certificate", good, &TLS{CAFile: ours + "/ca.pem"}, "certificate required", "It does not take our certificate"},
		{"TLS to a plain engine", plain, files(ours, ours), "server gave HTTP response to HTTPS client", "It does not speak TLS on that port"},
		{"plain to a TLS engine", good, nil, "expects TLS", "export DOCKER_TLS_VERIFY=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clientOf(t, Config{Endpoint: Endpoint{Address: tc.address, Source: "--host", TLS: tc.tls}})
			raw, err := c.Info(t.Context())
			if tc.hint == "" {
				if err != nil || string(raw) != `{"ID":"x"}` {
					t.Errorf("got %s (%v)", raw, err)
				}
				return
			}
			wantError(t, err, tc.message, tc.hint)
		})
	}
}

// servePlain is the same engine in the open.
func servePlain(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		io.WriteString(w, map[string]string{"/_ping": "OK", "/version": version2010, "/v1.41/info": `{"ID":"x"}`}[r.URL.Path])
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return l.Addr().String()
}

func TestTLSFiles(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	ca.write(t, dir, ca.issue(t, "client", nil))
	writeFile(t, filepath.Join(dir, "empty.pem"), "no certificate")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, tc := range []struct {
		name    string
		tls     TLS
		message string
	}{
		{"good", TLS{CAFile: at("ca.pem"), CertFile: at("cert.pem"), KeyFile: at("key.pem")}, ""},
		{"no authority", TLS{CAFile: at("none.pem")}, "no such file"},
		{"an empty authority", TLS{CAFile: at("empty.pem")}, "there is no certificate in"},
		{"no key", TLS{CertFile: at("cert.pem")}, "both needed"},
		{"no certificate", TLS{KeyFile: at("key.pem")}, "both needed"},
		{"another key", TLS{CertFile: at("ca.pem"), KeyFile: at("key.pem")}, "can't be used"},
	} {
		_, err := New(Config{Endpoint: Endpoint{Address: "tcp://a:1", TLS: &tc.tls}})
		if tc.message == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		wantError(t, err, tc.message, "DOCKER_CERT_PATH")
	}
}
