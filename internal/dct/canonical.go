package dct

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// maxNumber is the largest number that every reader of JSON takes for the same.
const maxNumber = 1 << 53

// canonical writes a value as it is signed: keys in the order of their bytes, nothing between
// them, in strings no escapes but those of " and \, and whole numbers (the OLPC's Canonical
// JSON, as Notary has it). Numbers with a point or an exponent cannot be written so.
func canonical(out *bytes.Buffer, v *strict.Value) error {
	switch v.Kind {
	case strict.Object:
		members := slices.Clone(v.Members)
		slices.SortFunc(members, func(a, b strict.Member) int { return strings.Compare(a.Key, b.Key) })
		out.WriteByte('{')
		for i, m := range members {
			if i > 0 {
				out.WriteByte(',')
			}
			quote(out, m.Key)
			out.WriteByte(':')
			if err := canonical(out, m.Value); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case strict.Array:
		out.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := canonical(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case strict.String:
		quote(out, v.Text())
	case strict.Number:
		n, err := strconv.ParseInt(v.Text(), 10, 64)
		if err != nil || n > maxNumber || n < -maxNumber || strconv.FormatInt(n, 10) != v.Text() {
			return v.Fail(fmt.Sprintf("%.40s is no whole number that can be signed", v.Text()), "")
		}
		out.WriteString(v.Text())
	default: // true, false and null
		out.WriteString(v.Text())
	}
	return nil
}

// quote writes a string of Canonical JSON.
func quote(out *bytes.Buffer, s string) {
	out.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			out.WriteByte('\\')
		}
		out.WriteByte(s[i])
	}
	out.WriteByte('"')
}
