package workload

import (
	"regexp"
	"sync"
)

// lazy compiles an expression when it is first used: compiling all of them
// would make every start of the program slower.
func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
