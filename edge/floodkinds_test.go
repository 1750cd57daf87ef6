package edge

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2"
)

// floodKind is what a connection sends, and what it is ended for.
type floodKind struct {
	flood func(*flooder)
	code  http2.ErrCode // ErrCodeNo: the connection goes on
}

var floods = map[string]floodKind{
	"rapid reset": {func(c *flooder) { // CVE-2023-44487
		c.repeat(floodFrames, func(i int) error {
			c.get(uint32(2*i+1), "/photos/never")
			return c.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		})
	}, http2.ErrCodeEnhanceYourCalm},
	"CONTINUATION": {func(c *flooder) { // CVE-2024-24549 and others
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
		c.repeat(floodFrames, func(int) error { return c.WriteContinuation(1, false, []byte{0x86}) })
	}, http2.ErrCodeEnhanceYourCalm},
	"long CONTINUATION": {func(c *flooder) {
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
		c.repeat(100, func(int) error { return c.WriteContinuation(1, false, make([]byte, 10_000)) })
	}, http2.ErrCodeEnhanceYourCalm},
	"empty CONTINUATION": {func(c *flooder) {
		c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}))
		c.repeat(floodFrames, func(int) error { return c.WriteContinuation(1, false, nil) })
	}, http2.ErrCodeEnhanceYourCalm},
	"PING": {func(c *flooder) { // CVE-2019-9512
		c.repeat(floodFrames, func(i int) error { return c.WritePing(false, [8]byte{byte(i)}) })
	}, http2.ErrCodeEnhanceYourCalm},
	"SETTINGS": {func(c *flooder) { // CVE-2019-9515
		c.repeat(floodFrames, func(int) error { return c.WriteSettings() })
	}, http2.ErrCodeEnhanceYourCalm},
	"SETTINGS that change all windows": {func(c *flooder) {
		for id := uint32(1); id < 200; id += 2 {
			c.get(id, "/photos/never")
		}
		c.repeat(floodFrames, func(i int) error {
			return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2 * 65535)})
		})
	}, http2.ErrCodeEnhanceYourCalm},
	"windows of a byte": {func(c *flooder) { // CVE-2019-9511
		c.must(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
		for id := uint32(1); id < 100; id += 2 {
			c.get(id, "/photos/large")
		}
		c.repeat(floodFrames, func(i int) error { return c.WriteWindowUpdate(uint32(i%50*2+1), 1) })
	}, http2.ErrCodeEnhanceYourCalm},
	"a window that is too large": {func(c *flooder) {
		c.repeat(2, func(int) error { return c.WriteWindowUpdate(0, 1<<31-1) })
	}, http2.ErrCodeFlowControl},
	"empty DATA": {func(c *flooder) { // CVE-2019-9518
		c.open(1, "/photos/never")
		c.repeat(floodFrames, func(int) error { return c.WriteData(1, false, nil) })
	}, http2.ErrCodeEnhanceYourCalm},
	"PRIORITY": {func(c *flooder) { // CVE-2019-9513
		c.repeat(floodFrames, func(i int) error {
			return c.WritePriority(uint32(2*i+1), http2.PriorityParam{StreamDep: uint32(2 * i), Weight: byte(i)})
		})
	}, http2.ErrCodeEnhanceYourCalm},
	"unknown frames": {func(c *flooder) {
		c.repeat(floodFrames, func(int) error { return c.WriteRawFrame(99, 0, 0, []byte("?")) })
	}, http2.ErrCodeEnhanceYourCalm},
	"header tables": {func(c *flooder) { // each block is 16 KB, and 62 MB when it is decoded
		c.get(1, "/photos/ansel", "x", strings.Repeat("y", 3900))
		c.repeat(100, func(i int) error {
			bomb := append(c.fields("GET", "/photos/ansel", nil), bytes.Repeat([]byte{0x80 | 62}, 16_000)...)
			return c.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 3), BlockFragment: bomb,
				EndStream: true, EndHeaders: true})
		})
		c.until(func() bool { return c.ended == 101 })
	}, http2.ErrCodeNo},
	"requests that are answered": {func(c *flooder) { // as fast as they can be taken
		c.must(c.WriteWindowUpdate(0, 1<<30))
		for n := range 100 {
			for i := range 100 {
				c.get(uint32(200*n+2*i+1), "/photos/ansel")
			}
			if !c.send() || !c.until(func() bool { return c.ended == 100*(n+1) }) {
				return
			}
		}
	}, http2.ErrCodeNo},
}
