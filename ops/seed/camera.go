package seed

import (
	"math"

	"flickrkillr/ops/seed/landscape"
)

// body is a camera with the lenses that its owners have.
type body struct {
	name   string
	lenses []lens
	film   bool // Records no exposure.
}

// lens has focal lengths in millimetres and the smallest f-number.
type lens struct {
	name       string
	from, to   float32
	widest     float32
	fixedPhone bool // A telephone's: one aperture.
}

// exposure is the camera data of a photo. Zero values are unknown.
type exposure struct {
	camera, lens, seconds string
	aperture, focal       float32
	iso                   int32
}

func bodies() []body {
	return []body{
		{
			"Canon EOS R6",
			[]lens{
				{"RF24-105mm F4 L IS USM", 24, 105, 4, false}, {"RF70-200mm F2.8 L IS USM", 70, 200, 2.8, false},
				{"RF16mm F2.8 STM", 16, 16, 2.8, false},
			},
			false,
		},
		{
			"Canon EOS 5D Mark IV",
			[]lens{
				{"EF16-35mm f/4L IS USM", 16, 35, 4, false}, {"EF70-200mm f/4L USM", 70, 200, 4, false},
				{"EF50mm f/1.8 STM", 50, 50, 1.8, false},
			},
			false,
		},
		{
			"NIKON Z 6_2",
			[]lens{
				{"NIKKOR Z 24-70mm f/4 S", 24, 70, 4, false}, {"NIKKOR Z 14-30mm f/4 S", 14, 30, 4, false},
				{"NIKKOR Z 20mm f/1.8 S", 20, 20, 1.8, false},
			},
			false,
		},
		{
			"NIKON D750",
			[]lens{{"AF-S NIKKOR 24-120mm f/4G ED VR", 24, 120, 4, false}, {"14.0-24.0 mm f/2.8", 14, 24, 2.8, false}},
			false,
		},
		{
			"FUJIFILM X-T5",
			[]lens{
				{"XF23mmF1.4 R LM WR", 23, 23, 1.4, false}, {"XF16-80mmF4 R OIS WR", 16, 80, 4, false},
				{"XF10-24mmF4 R OIS WR", 10, 24, 4, false},
			},
			false,
		},
		{"FUJIFILM X100V", []lens{{"", 23, 23, 2, false}}, false},
		{
			"SONY ILCE-7M4",
			[]lens{
				{"FE 24-105mm F4 G OSS", 24, 105, 4, false}, {"FE 20mm F1.8 G", 20, 20, 1.8, false},
				{"FE 70-200mm F4 G OSS", 70, 200, 4, false},
			},
			false,
		},
		{
			"OM Digital Solutions OM-1",
			[]lens{{"OM 12-40mm F2.8 II", 12, 40, 2.8, false}, {"OLYMPUS M.7-14mm F2.8", 7, 14, 2.8, false}}, false,
		},
		{
			"PENTAX K-1",
			[]lens{
				{"HD PENTAX-D FA 15-30mm F2.8ED SDM WR", 15, 30, 2.8, false},
				{"smc PENTAX-FA 43mm F1.9 Limited", 43, 43, 1.9, false},
			},
			false,
		},
		{"RICOH GR III", []lens{{"GR LENS 18.3mm F2.8", 18.3, 18.3, 2.8, false}}, false},
		{"LEICA Q2", []lens{{"SUMMILUX 1:1.7/28 ASPH.", 28, 28, 1.7, false}}, false},
		{
			"Apple iPhone 13 Pro",
			[]lens{
				{"iPhone 13 Pro back triple camera 5.7mm f/1.5", 5.7, 5.7, 1.5, true},
				{"iPhone 13 Pro back triple camera 9mm f/2.8", 9, 9, 2.8, true},
			},
			false,
		},
		{"Google Pixel 7", []lens{{"Pixel 7 back camera 6.81mm f/1.85", 6.81, 6.81, 1.85, true}}, false},
		{"Hasselblad X1D II 50C", []lens{{"XCD 45", 45, 45, 3.5, false}, {"XCD 30", 30, 30, 3.5, false}}, false},
		{"Nikon FM2", []lens{{"Nikkor 28mm f/2.8 AI-S", 28, 28, 2.8, false}}, true},
		{"Mamiya 7 II", []lens{{"N 80mm f/4 L", 80, 80, 4, false}}, true},
	}
}

// brightness of a light as an exposure value at ISO 100 (full sun is 15 by the sunny 16 rule).
func brightness(l landscape.Light) float64 {
	switch l {
	case landscape.Noon:
		return 14.5
	case landscape.Overcast:
		return 12.5
	case landscape.Golden:
		return 12
	case landscape.Dawn, landscape.Sunset:
		return 10
	case landscape.BlueHour:
		return 5.5
	}
	return -4.5 // Night, under stars.
}

// expose takes a photo with a lens of a body, in a light.
func expose(d *dice, b body, l landscape.Light) exposure {
	e := exposure{camera: b.name}
	lens := b.lenses[d.few(len(b.lenses))]
	e.lens = lens.name
	if b.film {
		return e
	}
	e.focal = lens.from
	if lens.to > lens.from && !d.chance(0.3) {
		e.focal = float32(math.Round(float64(lens.from) + d.Float64()*float64(lens.to-lens.from)))
	}
	ev := brightness(l) + d.Float64()*1.5 - 0.75
	e.aperture, e.iso = lens.widest, 100
	switch {
	case l == landscape.Night:
		e.iso = one(d, []int32{1600, 3200, 3200, 6400})
	case lens.fixedPhone:
		e.iso = one(d, []int32{32, 50, 64, 80, 125})
	default:
		e.aperture = max(lens.widest, one(d, []float32{4, 5.6, 8, 8, 11, 11, 16}))
		e.iso = one(d, []int32{64, 100, 100, 200, 400})
	}
	seconds := float64(e.aperture) * float64(e.aperture) / math.Exp2(ev) * 100 / float64(e.iso)
	e.seconds = shutter(seconds)
	return e
}

// shutter is the nearest speed on a camera's dial.
func shutter(seconds float64) string {
	speeds := [...]string{
		"1/8000", "1/4000", "1/3200", "1/2000", "1/1600", "1/1250", "1/1000", "1/800", "1/640", "1/500", "1/400",
		"1/320", "1/250", "1/200", "1/160", "1/125", "1/100", "1/80", "1/60", "1/50", "1/40", "1/30", "1/25", "1/20",
		"1/15", "1/13", "1/10", "1/8", "1/6", "1/5", "1/4",
	}
	values := [...]float64{
		8000, 4000, 3200, 2000, 1600, 1250, 1000, 800, 640, 500, 400, 320, 250, 200,
		160, 125, 100, 80, 60, 50, 40, 30, 25, 20, 15, 13, 10, 8, 6, 5, 4,
	}
	if seconds > 0.28 {
		long := [...]string{
			"0.3", "0.5", "0.8", "1", "1.3", "2", "3.2", "4", "6", "8", "10", "13", "15", "20", "25", "30",
		}
		amounts := [...]float64{0.3, 0.5, 0.8, 1, 1.3, 2, 3.2, 4, 6, 8, 10, 13, 15, 20, 25, 30}
		for i, v := range amounts {
			if seconds <= v*1.12 {
				return long[i]
			}
		}
		return "30"
	}
	for i, v := range values {
		if seconds <= 1.12/v {
			return speeds[i]
		}
	}
	return "1/4"
}
