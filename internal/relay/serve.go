package relay

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// leaving is how long those who are served may take to end when the listener does: an
// engine that is asked for something may yet answer, and one that hangs never does.
const leaving = 2 * time.Second

// restAccept is how long a listener rests that can't accept, as for want of descriptors.
const restAccept = 50 * time.Millisecond

// Serve has the connections of a listener served until ctx ends or the listener fails;
// the error is that one's. Connections that are served then are closed, and waited for:
// their context ends only a little later, so that what an engine was asked for can be
// heard of. They must be a Conn. Failed is told what keeps one from being accepted, for
// now.
func Serve(ctx context.Context, l net.Listener, failed func(error), serve func(context.Context, Conn)) error {
	ctx, cancel := context.WithCancel(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var sessions sync.WaitGroup
	open := &openConns{list: map[net.Conn]bool{}}
	defer func() {
		cancel()
		open.close()
		last := time.AfterFunc(leaving, stop)
		sessions.Wait()
		last.Stop()
		stop()
	}()
	go func() {
		<-ctx.Done()
		l.Close()
	}()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil && !errors.Is(err, net.ErrClosed):
			failed(err)
			select {
			case <-ctx.Done():
			case <-time.After(restAccept):
			}
			continue
		case err != nil:
			return err
		}
		conn, ok := c.(Conn)
		if !ok || !open.add(c) {
			c.Close()
			continue
		}
		sessions.Go(func() {
			defer open.drop(c)
			serve(serving, conn)
		})
	}
}

// openConns are the clients' connections that are served.
type openConns struct {
	mu   sync.Mutex
	list map[net.Conn]bool // nil once closed
}

func (o *openConns) add(c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.list == nil {
		return false
	}
	o.list[c] = true
	return true
}

func (o *openConns) drop(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.list, c)
}

func (o *openConns) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.list {
		c.Close()
	}
	o.list = nil
}
