package rules

import (
	"fmt"
	"slices"
)

// recommendations are, by benchmark, the numbers of the recommendations: how many
// there are below each section or part of one.
var recommendations = map[string][]struct {
	below string
	count int
}{
	"cis-1.8":  {{"1.1", 18}, {"1.2", 2}, {"2", 19}, {"3", 24}, {"4", 12}, {"5", 32}, {"6", 2}, {"7", 9}},
	"cis-1.6":  {{"1.1", 18}, {"1.2", 2}, {"2", 18}, {"3", 24}, {"4", 12}, {"5", 32}, {"6", 2}, {"7", 9}},
	"cis-1.13": {{"1", 15}, {"2", 24}, {"3", 20}, {"4", 11}, {"5", 31}, {"6", 5}},
}

// Recommendations are the ids of a benchmark's recommendations, in its order: of
// the CIS Docker Benchmark in its versions 1.8, 1.6 and 1.13.
func Recommendations(benchmark string) []string {
	var ids []string
	for _, part := range recommendations[benchmark] {
		for n := range part.count {
			ids = append(ids, fmt.Sprintf("%s.%d", part.below, n+1))
		}
	}
	return slices.Clip(ids)
}
