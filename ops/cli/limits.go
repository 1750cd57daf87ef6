package cli

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

// checkLimits refuses a number outside of what its flag's tags `min` and `max` allow, NaN among them, and says what
// they allow.
func checkLimits(flags []*kong.Flag) error {
	for _, f := range flags {
		if f.Target.Kind() == reflect.Pointer && f.Target.IsNil() { // left out, and without a default
			continue
		}
		given := reflect.Indirect(f.Target).Interface()
		for _, limit := range [...]struct {
			tag, words string
			broken     func(value, bound float64) bool
		}{
			{"min", "at least", func(value, bound float64) bool { return !(value >= bound) }},
			{"max", "at most", func(value, bound float64) bool { return !(value <= bound) }},
		} {
			if !f.Tag.Has(limit.tag) {
				continue
			}
			bound := f.Tag.Get(limit.tag)
			edge, err := numeric(given, bound)
			if err != nil {
				return fmt.Errorf("--%s: %s=%q: %w", f.Name, limit.tag, bound, err) // a mistake in the tag
			}
			value, _ := numeric(given, "")
			if limit.broken(value, edge) {
				return fmt.Errorf("--%s=%v is not allowed: %s %s", f.Name, given, limit.words, bound)
			}
		}
	}
	return nil
}

// numeric reads text as a value of v's type, or v itself when text is empty.
func numeric(v any, text string) (float64, error) {
	if d, ok := v.(time.Duration); ok {
		if text != "" {
			var err error
			if d, err = time.ParseDuration(text); err != nil {
				return 0, err
			}
		}
		return float64(d), nil
	}
	if text != "" {
		return strconv.ParseFloat(text, 64)
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return float64(r.Int()), nil
	case r.CanFloat():
		return r.Float(), nil
	default:
		return 0, fmt.Errorf("%T is no number", v)
	}
}

var (
	longFlag = regexp.MustCompile(`^--[a-z0-9-]+$`)
	negative = regexp.MustCompile(`^-[0-9.]`)
)

// joinNegatives makes `--photos -5` one argument, `--photos=-5`: kong takes "-5" for a flag, and its
// message would not be about the number.
func joinNegatives(args []string) []string {
	var joined []string
	for i, arg := range args {
		if i > 0 && negative.MatchString(arg) && longFlag.MatchString(args[i-1]) {
			joined[len(joined)-1] += "=" + arg
			continue
		}
		joined = append(joined, arg)
	}
	return joined
}
