package pictures

import "fmt"

// Reason says why a file was refused. Its text is safe to show and to count by.
type Reason string

// The reasons for which Ingest refuses a file.
const (
	Empty         Reason = "empty"
	TooManyBytes  Reason = "too many bytes"
	UnknownFormat Reason = "not a picture format this site reads"
	TooManyPixels Reason = "too many pixels"
	NoPixels      Reason = "no pixels"
	TooNarrow     Reason = "too long and narrow"
	Damaged       Reason = "damaged"
)

// RefusedError is returned by Ingest for a file that it refuses, as opposed to a failure of the site such as a full
// disk. Problem and Remedy are sentences for the person who sent the file; Err is the decoder's error, for the log.
type RefusedError struct {
	Reason  Reason
	Problem string
	Remedy  string
	Err     error // May be nil.
}

// Error gives everything, for the log.
func (e *RefusedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("picture refused: %s %s (%v)", e.Problem, e.Remedy, e.Err)
	}
	return fmt.Sprintf("picture refused: %s %s", e.Problem, e.Remedy)
}

// Unwrap returns the decoder's error.
func (e *RefusedError) Unwrap() error { return e.Err }

func refuseEmpty() error {
	return &RefusedError{Reason: Empty, Problem: "The file is empty.", Remedy: "Send it again."}
}

func refuseBytes(limit int64) error {
	return &RefusedError{
		Reason:  TooManyBytes,
		Problem: fmt.Sprintf("The file is larger than %d MiB.", limit>>20),
		Remedy:  "Export it as a JPEG of somewhat lower quality.",
	}
}

func refuseFormat(looksLike string) error {
	problem := "The file is not a JPEG, PNG, GIF or WebP picture."
	if looksLike != "" {
		problem = fmt.Sprintf("The file looks like %s, not a JPEG, PNG, GIF or WebP picture.", looksLike)
	}
	return &RefusedError{Reason: UnknownFormat, Problem: problem, Remedy: "Export it as a JPEG and send that."}
}

func refuseHEIC() error {
	return &RefusedError{Reason: UnknownFormat, Problem: "HEIC is not enabled at this site.",
		Remedy: "Save it as JPEG and send that."}
}

func refusePixels(w, h, limit int) error {
	return &RefusedError{
		Reason: TooManyPixels,
		Problem: fmt.Sprintf("The picture is %d x %d pixels; %d megapixels are the most this site takes.", w, h,
			limit/1_000_000),
		Remedy: "Make it smaller and send it again.",
	}
}

func refuseNoPixels(w, h int) error {
	return &RefusedError{
		Reason:  NoPixels,
		Problem: fmt.Sprintf("The picture says it is %d x %d pixels.", w, h),
		Remedy:  "Export it again from the program that made it.",
	}
}

func refuseNarrow(w, h int) error {
	return &RefusedError{
		Reason: TooNarrow,
		Problem: fmt.Sprintf("The picture is %d x %d pixels: one side is more than %d times the other.", w, h,
			maxRatio),
		Remedy: "Crop it and send it again.",
	}
}

func refuseDamaged(err error) error {
	return &RefusedError{
		Reason:  Damaged,
		Problem: "The picture is damaged or incomplete.",
		Remedy:  "Send it again; if that does not help, open it in a picture program and export it anew.",
		Err:     err,
	}
}
