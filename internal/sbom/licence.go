package sbom

import (
	_ "embed"
	"strings"
	"sync"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/github/go-spdx/v2/spdxexp"
)

// licenceIDs are those that spdx.schema.json of CycloneDX 1.6 has (Apache-2.0, from the
// SPDX License List, CC0-1.0), one a line: the list that documents are validated by is
// older than go-spdx's, and an id that is not in it makes a document invalid.
//
//go:embed licences.txt
var licenceIDs string

var isLicenceID = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for id := range strings.FieldsSeq(licenceIDs) {
		known[id] = true
	}
	return known
})

// licences are ids and names, or one expression: CycloneDX does not have both.
func licences(list []string) *cdx.Licenses {
	var out cdx.Licenses
	for _, l := range list {
		switch {
		case l == "":
		case isLicenceID()[l]:
			out = append(out, cdx.LicenseChoice{License: &cdx.License{ID: l}})
		case len(list) == 1 && isExpression(l):
			out = append(out, cdx.LicenseChoice{Expression: l})
		default:
			out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: l}})
		}
	}
	if out == nil {
		return nil
	}
	return &out
}

// longestExpression bounds what is parsed, in bytes.
const longestExpression = 4096

// isExpression is true for a licence expression of SPDX (its specification, annex D) that
// says all by itself. One with a LicenseRef does not: what that means is in the document
// that it was taken from. (No listed id has "ref-" in it; a DocumentRef has, too.)
func isExpression(l string) bool {
	if l == "" || len(l) > longestExpression {
		return false
	}
	ok, _ := spdxexp.ValidateLicenses([]string{l})
	return ok && !strings.Contains(strings.ToLower(l), "ref-")
}

// conjunction joins licences that all hold, of which each is an expression.
func conjunction(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	parts := make([]string, len(list))
	for i, l := range list {
		parts[i] = "(" + l + ")"
		if strings.HasPrefix(l, licenceRef) {
			parts[i] = l
		}
	}
	return strings.Join(parts, " AND ")
}

// licenceRef begins the id of a licence that a document itself explains.
const licenceRef = "LicenseRef-"

// conjuncts takes apart what conjunction joined. An expression of another form is one.
func conjuncts(expression string) []string {
	var parts []string
	depth, from := 0, 0
	for i := 0; i <= len(expression); i++ {
		switch {
		case i == len(expression) || depth == 0 && strings.HasPrefix(expression[i:], " AND "):
			part := expression[from:i]
			if !strings.HasPrefix(part, licenceRef) || strings.ContainsRune(part, ' ') {
				if !enclosed(part) {
					return []string{expression}
				}
				part = part[1 : len(part)-1]
			}
			parts = append(parts, part)
			from = i + len(" AND ")
		case expression[i] == '(':
			depth++
		case expression[i] == ')':
			depth--
		}
	}
	if len(parts) == 1 {
		return []string{expression}
	}
	return parts
}

// enclosed is true for what one pair of parentheses is around.
func enclosed(s string) bool {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i == len(s)-1 && i > 0
		}
	}
	return false
}
