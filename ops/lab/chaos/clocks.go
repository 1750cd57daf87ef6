package chaos

import (
	"strconv"
	"strings"

	"flickrkillr/ops/lab/mutant"
)

// wrongClocks make a program whose clock is wrong by the environment of clockOf. In the environment clocksLeap it
// changes every 7 s, so that leaps fall before and after heartbeats. The monotonic clock, by which timers run, stays
// right, as on a machine whose clock is set.
var wrongClocks = []mutant.Edit{
	mutant.ReplaceLibrary("time/time.go", "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n",
		"	sec, nsec, mono := runtimeNow()\n	sec += wrongBy(mono)\n	if mono == 0 {\n"),
	mutant.ReplaceLibrary("time/zoneinfo_unix.go", "func initLocal() {\n", `var (
	turn, _  = syscall.Getenv("CHAOS_CLOCK")
	_, leaps = syscall.Getenv("CHAOS_CLOCKS_LEAP")
)

func wrongBy(mono int64) (seconds int64) {
	if turn == "" {
		return 0
	}
	n := int64(turn[0] - '0')
	if leaps {
		n += mono / 7e9
	}
	return (n%3 - 1) * 3600
}

func initLocal() {
`),
}

// clocksLeap is the environment in which wrongClocks leap.
const clocksLeap = "CHAOS_CLOCKS_LEAP=1"

// clockOf says which clock the process with a name has: of each role the first is an hour ahead, the second an hour
// behind, the third is right, and so on.
func clockOf(name string) []string {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return nil
	}
	return []string{"CHAOS_CLOCK=" + strconv.Itoa([]int{1, 2, 0}[n%3])}
}
