package main

import (
	"maps"
	"strings"
	"time"
)

// remembering is what the benchmarks of packages trail and inventory say.
type remembering struct {
	ofRaw   float64 // durable appends with 64 writers, by the same bytes alone
	appends float64 // a second
	sync    float64 // events that share an fdatasync
	ofEmpty float64 // appends to a trail of a million events, by those to an empty one
	verify  float64 // events a second
	open    float64 // milliseconds, of a million events
	list    float64 // milliseconds, the slowest question to an inventory of a million events
}

func measureRemembering() (remembering, error) {
	values, err := benchmarks("internal/trail", "Append|Million", "1x", benchmarkRuns)
	if err != nil {
		return remembering{}, err
	}
	lists, err := benchmarks("internal/inventory", "List", "20x", 1)
	if err != nil {
		return remembering{}, err
	}
	maps.Copy(values, lists)
	return rememberingOf(values)
}

func rememberingOf(values map[string][]float64) (remembering, error) {
	wanted := []string{"Append of-raw", "Append events/s", "Append events/sync", "Million of-empty", "Million events/s", "Million ms/open", "List/now ns/op"}
	if err := lacking(values, wanted); err != nil {
		return remembering{}, err
	}
	of := func(i int) float64 { return median(values[wanted[i]]) }
	r := remembering{of(0), of(1), of(2), of(3), of(4), of(5), 0}
	for name := range values {
		if strings.HasPrefix(name, "List/") && strings.HasSuffix(name, " ns/op") {
			r.list = max(r.list, median(values[name])/float64(time.Millisecond))
		}
	}
	return r, nil
}
