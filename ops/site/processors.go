package site

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// usualPriority is what Linux says of a process that nobody has given another priority.
const usualPriority = 20

// processorTimes are the times of all processors together since the machine started, in the kernel's unit.
type processorTimes struct{ busy, all uint64 }

// readProcessorTimes reads them from /proc/stat. Where there is none, nothing is known, and no time is used.
func readProcessorTimes() processorTimes {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return processorTimes{}
	}
	priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	return parseProcessorTimes(string(text), err == nil && priority < usualPriority)
}

// parseProcessorTimes reads the first line, proc(5): user, nice, system, idle, iowait, irq, softirq, steal. Work of a
// lower priority (nice), such as decoding pictures, gives way to renderers, so it does not count as busy; unless low
// says that they have a low priority, too.
func parseProcessorTimes(stat string, low bool) (t processorTimes) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return t
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return processorTimes{}
		}
		t.all += n
		switch {
		case i == 3, i == 4, i == 1 && !low:
		default:
			t.busy += n
		}
	}
	return t
}

// usedSince is the part of the time since earlier in which processors were busy, 0 to 1.
func (t processorTimes) usedSince(earlier processorTimes) float64 {
	if earlier.all == 0 || t.all <= earlier.all || t.busy < earlier.busy {
		return 0
	}
	return float64(t.busy-earlier.busy) / float64(t.all-earlier.all)
}
