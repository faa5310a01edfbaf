package http1

// The classes of bytes. A table of them is built when the program starts.
const (
	tokenByte  = 1 << iota // RFC 9110, section 5.6.2: names, methods
	valueByte              // section 5.5: field values, with obs-text and HTAB
	targetByte             // printable ASCII but "#": RFC 9112, section 3.2
	hostByte               // what net/http takes in Host
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
			t[c] = tokenByte | valueByte | targetByte | hostByte
		case c > ' ' && c < 0x7f:
			t[c] = valueByte | targetByte
		case c == ' ', c == '\t', c >= 0x80:
			t[c] = valueByte
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= tokenByte
	}
	for _, c := range "!$%&'()*+,-.:;=[]_~" {
		t[c] |= hostByte
	}
	t['#'] &^= targetByte
	return t
}()

// all says whether s is nothing but bytes of a class, and where not.
func all(s string, of uint8) (int, bool) {
	for i := range len(s) {
		if class[s[i]]&of == 0 {
			return i, false
		}
	}
	return len(s), true
}

func isToken(s string) bool {
	_, ok := all(s, tokenByte)
	return ok && s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// hexDigit gives the value of a digit, or false.
func hexDigit(c byte) (int64, bool) {
	switch {
	case isDigit(c):
		return int64(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10, true
	}
	return 0, false
}

func isHex(c byte) bool {
	_, ok := hexDigit(c)
	return ok
}

// trim takes optional whitespace away: RFC 9110, section 5.6.3.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
