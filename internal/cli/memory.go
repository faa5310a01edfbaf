package cli

import "runtime/debug"

// room says how much garbage may lie about before it is collected, for so many
// containers. A run over a few makes little that lasts and ends soon: collecting
// at 4 MiB, as Go begins, would cost a tenth of its time (measured). What is
// known of a crowd lives to the end, and there memory counts before time.
func (a *app) room(containers int) {
	if a.world.Getenv("GOGC") != "" {
		return
	}
	const most, least, few = 400, 100, 500 // percent of what lasts
	debug.SetGCPercent(max(least, most*few/max(few, containers)))
}
