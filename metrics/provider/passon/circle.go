package passon

import (
	"context"
	"net/http"
)

// passedOn is the header of a request that swell-metrics has passed on.
const passedOn = "Swell-Passed-On"

type passedOnKey struct{}

// NoCircle marks requests that swell-metrics has passed on, so that they are not passed on once more: where the other
// server's address is swell-metrics' own, one request would become thousands.
func NoCircle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(passedOn) != "" {
			r = r.WithContext(context.WithValue(r.Context(), passedOnKey{}, true))
		}
		next.ServeHTTP(w, r)
	})
}
