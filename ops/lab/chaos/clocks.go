package chaos

import "flickrkillr/ops/lab/mutant"

// wrongClocks make a program whose clock is wrong. Of three processes with successive ids one is an hour behind, one is
// right, and one is an hour ahead. In the environment clocksLeap they change places every 7 s, so that leaps fall
// before and after heartbeats. The monotonic clock, by which timers run, stays right, as on a machine whose clock is
// set.
var wrongClocks = []mutant.Edit{
	mutant.ReplaceLibrary("time/time.go", "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n",
		"	sec, nsec, mono := runtimeNow()\n	sec += wrongBy(mono)\n	if mono == 0 {\n"),
	mutant.ReplaceLibrary("time/zoneinfo_unix.go", "func initLocal() {\n", `var (
	pid      = int64(syscall.Getpid())
	_, leaps = syscall.Getenv("CHAOS_CLOCKS_LEAP")
)

func wrongBy(mono int64) (seconds int64) {
	turn := pid
	if leaps {
		turn += mono / 7e9
	}
	return (turn%3 - 1) * 3600
}

func initLocal() {
`),
}

// clocksLeap is the environment in which wrongClocks leap.
const clocksLeap = "CHAOS_CLOCKS_LEAP=1"
