package strict

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// AgePattern is the form of an age, for schemas.
const AgePattern = `^([1-9][0-9]{0,4})([hdw])$`

var agePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(AgePattern) })

// Age reads an age as policies have them: a number of hours, days or weeks, such as 12h, 30d
// or 4w.
func Age(text string) (time.Duration, error) {
	m := agePattern().FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%.100q is no age, such as 12h, 30d or 4w", text)
	}
	n, _ := strconv.Atoi(m[1]) // it has at most five digits
	return time.Duration(n) * map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]], nil
}
