package fastpath

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/http2"
)

// learn takes from SETTINGS what answers depend on. Wrong ones are errors to net/http, which ends the connection.
func (f *http2Filter) learn(flags http2.Flags, payload []byte) {
	if flags.Has(http2.FlagSettingsAck) {
		return
	}
	for ; len(payload) >= settingSize; payload = payload[settingSize:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(payload)) {
		case http2.SettingInitialWindowSize:
			f.window = int64(value)
		case http2.SettingHeaderTableSize:
			// The next header block must then begin with a change of the table's size, which only net/http's does.
			f.off = f.off || value < tableSize
		}
	}
}

// giveSettings passes SETTINGS on. Of several values of one setting the last one counts; net/http takes a second one
// for an attack.
func (f *http2Filter) giveSettings(stream uint32, payload []byte) {
	begin := len(f.toInner)
	f.toInner = appendFrameHead(f.toInner, 0, http2.FrameSettings, 0, stream)
	for i := 0; i < len(payload); i += settingSize {
		isLast := true
		for j := i + settingSize; j < len(payload) && isLast; j += settingSize {
			isLast = payload[i] != payload[j] || payload[i+1] != payload[j+1]
		}
		if isLast {
			f.give(payload[i : i+settingSize])
		}
	}
	f.setLength(begin)
}

// share takes a third of an enlarged window of the connection, and gives net/http the rest. A client that enlarges it
// once, as browsers do, gives back later what was sent: first to the filter what the filter has sent. Clients do so
// when half of the window is used, which net/http alone can reach.
func (f *http2Filter) share(frame []byte) {
	payload := frame[frameHead:]
	more := int64(binary.BigEndian.Uint32(payload) & math.MaxInt32)
	if f.full == 0 && more >= initialWindow {
		f.full = more / 3
	}
	ours := min(more, f.full-f.budget)
	if ours > 0 && ours == more {
		f.budget += ours
		return
	}
	f.budget += ours
	f.give(frame)
	binary.BigEndian.PutUint32(f.toInner[len(f.toInner)-4:], uint32(more-ours))
}
