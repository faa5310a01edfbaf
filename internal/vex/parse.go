package vex

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// maxID bounds an id, in bytes.
const maxID = 1024

// parse reads a document. What is of neither form is errForm.
func parse(file string, data []byte) ([]Statement, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '[' {
		return nil, fmt.Errorf("%s: %w", file, errForm)
	}
	var form struct {
		BOM string `json:"bomFormat"`
		// Context is a list in other documents of JSON-LD.
		Context any `json:"@context"`
	}
	if _, err := strict.Decode(file, data, &form); err != nil {
		return nil, err
	}
	context, _ := form.Context.(string)
	switch {
	case form.BOM == "CycloneDX":
		return parseCycloneDX(file, data)
	case context == "https://openvex.dev/ns/v0.2.0":
		return parseOpenVEX(file, data)
	case context == "https://openvex.dev/ns" || strings.HasPrefix(context, "https://openvex.dev/ns/"):
		return nil, wrong(file, "@context", fmt.Sprintf("is %.100q, and https://openvex.dev/ns/v0.2.0 is read", context))
	}
	return nil, fmt.Errorf("%s: %w", file, errForm)
}

// wrong is the error of a field.
func wrong(file, field, why string) error {
	return &strict.Error{File: file, Field: field, Msg: fmt.Sprintf("%q %s", field, why)}
}

// badID says why a word is no id, "" for one that is.
func badID(s string) string {
	switch {
	case s == "":
		return "is missing"
	case len(s) > maxID:
		return fmt.Sprintf("has %d bytes, and %d is the most", len(s), maxID)
	case strings.IndexFunc(s, unicode.IsControl) >= 0:
		return "has a control character"
	}
	return ""
}

// openProduct is a product, or a part of one.
type openProduct struct {
	ID          string `json:"@id"`
	Identifiers struct {
		PURL string `json:"purl"`
	} `json:"identifiers"`
}

// openVEX is a document of OpenVEX, with what is read of it.
type openVEX struct {
	ID         string    `json:"@id"`
	Author     string    `json:"author"`
	Timestamp  time.Time `json:"timestamp"`
	Statements []struct {
		Vulnerability struct {
			Name    string   `json:"name"`
			Aliases []string `json:"aliases"`
		} `json:"vulnerability"`
		Timestamp time.Time `json:"timestamp"`
		Updated   time.Time `json:"last_updated"`
		Products  []struct {
			openProduct
			Parts []openProduct `json:"subcomponents"`
		} `json:"products"`
		Status        Status `json:"status"`
		Justification string `json:"justification"`
		Impact        string `json:"impact_statement"`
		Action        string `json:"action_statement"`
	} `json:"statements"`
}

// openReasons are OpenVEX's words for why a product is not affected.
var openReasons = []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path", "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}

func parseOpenVEX(file string, data []byte) ([]Statement, error) {
	var d openVEX
	if _, err := strict.Decode(file, data, &d); err != nil {
		return nil, err
	}
	if len(d.Statements) == 0 {
		return nil, wrong(file, "statements", "is missing or empty")
	}
	list := make([]Statement, len(d.Statements))
	for i := range d.Statements {
		in, field := &d.Statements[i], fmt.Sprintf("statements[%d]", i)
		s := Statement{IDs: append([]string{in.Vulnerability.Name}, in.Vulnerability.Aliases...), Status: in.Status, Justification: in.Justification, Impact: in.Impact, Action: in.Action,
			Time: d.Timestamp, Author: d.Author, Document: d.ID, File: file, Index: i}
		// A statement without times of its own is of the document's; it is not newer because
		// something else in the document has changed.
		for _, t := range []time.Time{in.Timestamp, in.Updated} {
			if !t.IsZero() {
				s.Time = t
			}
		}
		for n, id := range s.IDs {
			at := field + ".vulnerability.name"
			if n > 0 {
				at = fmt.Sprintf("%s.vulnerability.aliases[%d]", field, n-1)
			}
			if why := badID(id); why != "" {
				return nil, wrong(file, at, why)
			}
		}
		switch {
		case !slices.Contains(statuses, s.Status):
			return nil, wrong(file, field+".status", fmt.Sprintf("is %.50q, which is none", s.Status))
		case s.Justification != "" && !slices.Contains(openReasons, s.Justification):
			return nil, wrong(file, field+".justification", fmt.Sprintf("is %.100q, which is none", s.Justification))
		case s.Status == NotAffected && s.Justification == "" && strings.TrimSpace(s.Impact) == "":
			return nil, wrong(file, field, "says not_affected and not why, in justification or impact_statement")
		case len(in.Products) == 0:
			return nil, wrong(file, field+".products", "is missing or empty, so that it is not said what the statement is about")
		}
		for n, p := range in.Products {
			at := fmt.Sprintf("%s.products[%d]", field, n)
			wholes, err := p.targets(file, at)
			if err != nil {
				return nil, err
			}
			var parts []target
			if len(p.Parts) > 0 {
				parts = []target{}
			}
			for m, part := range p.Parts {
				list, err := part.targets(file, fmt.Sprintf("%s.subcomponents[%d]", at, m))
				if err != nil {
					return nil, err
				}
				parts = append(parts, list...)
			}
			for _, whole := range wholes {
				s.products = append(s.products, product{whole, parts})
			}
		}
		list[i] = s
	}
	return list, nil
}

// targets are those that a product is named by. One without a package URL, by a CPE alone for
// example, is none that could be compared.
func (p openProduct) targets(file, field string) ([]target, error) {
	var list []target
	for _, by := range []struct{ field, text string }{{"@id", p.ID}, {"identifiers.purl", p.Identifiers.PURL}} {
		if by.text == "" || by.field == "@id" && !strings.HasPrefix(by.text, "pkg:") {
			continue // an id may be any IRI
		}
		t, err := targetOf(by.text)
		if err != nil {
			return nil, wrong(file, field+"."+by.field, fmt.Sprintf("is no package URL: %.200q", by.text))
		}
		list = append(list, t)
	}
	return list, nil
}
