package caller

import "testing"

// BenchmarkOf looks at another process that lives, which is what costs most.
func BenchmarkOf(b *testing.B) {
	s := &Source{}
	c, conn, _ := listen(b).caller(b, s, nil, "connect", "hold")
	seen(b, c)
	b.ReportAllocs()
	for b.Loop() {
		if c, err := s.Of(conn.UnixConn); err != nil || !c.Seen {
			b.Fatal(c, err)
		}
	}
}
