package setup

import (
	"os"
	"os/exec"

	"flickrkillr/ops/stack"
)

// FindChromium returns the path of a Chromium or Chrome, or a *stack.MissingError. One without windows is preferred,
// as it takes half the processor time for the same pages.
func FindChromium() (string, error) {
	for _, name := range []string{
		"chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome-stable",
		"google-chrome", "chrome",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	for _, path := range []string{
		"/snap/bin/chromium",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", &stack.MissingError{Program: "Chromium"}
}
