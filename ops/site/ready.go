package site

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// readyPoll is the time between two tries of Await.
const readyPoll = 10 * time.Millisecond

// Await tries until try succeeds, ctx ends, or failed is closed (nil: never). It returns the error of the last try.
func Await(ctx context.Context, failed <-chan struct{}, try func(context.Context) error) error {
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-failed:
			return err
		case <-time.After(readyPoll):
		}
	}
}

// Get asks for a page and reads it whole. Anything but a 200 is an error.
func Get(ctx context.Context, client *http.Client, url string) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return body, nil
}

// debugClient asks debug listeners. It keeps no connections.
var debugClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
