package main

import (
	"fmt"
	"strings"
)

// figure is one row: a number and, unless it is 0, its bar.
type figure struct {
	what   string
	number float64
	unit   string // behind the number, with its space; may be empty
	bar    float64
	least  bool // bar is the least, not the most
	none   bool // the bar is 0
	detail string
}

func (f figure) numeral() string {
	if f.none {
		return fmt.Sprintf("%.0f%s", f.number, f.unit)
	}
	return fmt.Sprintf("%.2f%s", f.number, f.unit)
}

func (f figure) missed() bool {
	if f.none {
		return f.number != 0
	}
	return f.bar != 0 && !(f.number <= f.bar && !f.least || f.number >= f.bar && f.least)
}

// table has a row for each figure.
func table(figures []figure) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("| figure | measured | bar | |\n|---|---:|---:|---|")
	for _, f := range figures {
		bar, number := "", f.numeral()
		if f.bar != 0 || f.none {
			bar = fmt.Sprintf("%g%s", f.bar, f.unit)
			if f.least {
				bar = "at least " + bar
			}
		}
		if f.missed() {
			number = "**" + number + "**"
		}
		line("| %s | %s | %s | %s |", f.what, number, bar, f.detail)
	}
	return b.String()
}
