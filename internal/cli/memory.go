package cli

import "runtime/debug"

// crowd is how many containers are so many that memory counts before time.
const crowd = 300

// room says how much garbage may lie about before it is collected, for so many
// containers. A run over a few makes little that lasts and ends soon: collecting
// at 4 MiB, as Go begins, would cost a tenth of its time (measured). What is
// known of a crowd lives to the end.
func (a *app) room(containers int) {
	if a.world.Getenv("GOGC") != "" {
		return
	}
	percent := 400
	if containers >= crowd {
		percent = 100
	}
	debug.SetGCPercent(percent)
}
