package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrTooLong is an answer that is longer than it may be: whoever reads untrusted documents
// of a server says so in words of its own.
var ErrTooLong = errors.New("the answer is longer than it may be")

// Service is a server that is no registry, and asks for credentials as registries do, such
// as one of Docker Content Trust. What holds for registries holds for it.
type Service struct {
	*session
	most int64
}

// OpenService begins to speak to a host, HOST[:PORT], and gets what that wants to see of
// credentials for a scope, such as repository:NAME:pull. No document has more bytes than most.
func OpenService(ctx context.Context, host, scope string, most int64, r Registries) (*Service, error) {
	o := Options{Registries: r.withDefaults(), Limits: Limits{Document: most + 1}}
	o.Limits = o.Limits.withDefaults()
	s, err := begin(ctx, o, server{host: host}, scope, "")
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", shown(host), err)
	}
	return &Service{session: s, most: most}, nil
}

// Close gives the connections back.
func (s *Service) Close() error {
	s.web.close()
	return nil
}

// Get reads the document at a path, of no more than so many bytes. The error is ErrNotFound
// where there is none, and ErrTooLong.
func (s *Service) Get(ctx context.Context, path string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.web.o.whole())
	defer cancel()
	resp, err := s.get(ctx, path, "", nil, http.StatusOK)
	if err != nil {
		return nil, missing(err)
	}
	defer resp.Body.Close()
	most = min(most, s.most)
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, told(err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s%s: %w: %d bytes is the most", s.base.Host, path, ErrTooLong, most)
	}
	return data, nil
}
