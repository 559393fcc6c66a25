package aws

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiError is a refusal in a service's own words.
type apiError struct {
	Status  int
	Code    string
	Message string
}

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, "ValidationError", format, args...)
}

// Call is one line of calls.jsonl.
type Call struct {
	At         time.Time `json:"at"`
	Action     string    `json:"action"`
	Group      string    `json:"group"`
	Count      int       `json:"count"`
	Token      string    `json:"token"`
	Status     int       `json:"status"`
	Code       string    `json:"code"`
	DurationUS int64     `json:"duration_us"`
	Instances  []string  `json:"instances"`
}

// request is one call of an action.
type request struct {
	http *http.Request
	now  time.Time
	form url.Values // of the query protocols
	body []byte     // of SQS
	call Call
}

// service is one of the emulated services: how its calls are found and its answers written.
type service struct {
	name    string
	actions map[string]func(*Emulator, *request) (any, *apiError)
	throttle,
	denied apiError
	write func(w http.ResponseWriter, action, id string, result any)
	fail  func(w http.ResponseWriter, id string, err *apiError)
}

// ServeHTTP answers a call of any of the services, or of /_control/.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_control/") {
		e.control(w, r)
		return
	}
	started := time.Now()
	id := rand.Text()
	req := &request{http: r, now: e.now()}
	s, action, failure := req.read()
	req.call = Call{At: req.now, Action: action, Instances: []string{}}
	var result any
	if failure == nil {
		result, failure = e.answer(s, action, req)
	}
	req.call.Status = http.StatusOK
	if failure != nil {
		req.call.Status, req.call.Code = failure.Status, failure.Code
	}
	req.call.DurationUS = time.Since(started).Microseconds()
	e.mu.Lock()
	if err := e.journal.call(req.call); err != nil {
		e.log.Error("the call was not logged", "error", err)
	}
	e.mu.Unlock()
	w.Header().Set("X-Amzn-Requestid", id)
	if failure != nil {
		s.fail(w, id, failure)
		return
	}
	s.write(w, action, id, result)
}

func (e *Emulator) answer(s *service, action string, req *request) (any, *apiError) {
	handle, ok := s.actions[action]
	if !ok {
		return nil, refuse(http.StatusBadRequest, "InvalidAction", "The action %s is not valid for this web service.", action)
	}
	e.mu.Lock()
	f := e.faultOfCall(s.name, action, req.now)
	e.mu.Unlock()
	if f != nil {
		usual := s.throttle
		if f.Kind == FaultDeny {
			usual = s.denied
			usual.Message = fmt.Sprintf("%sUser: %s is not authorized to perform: %s:%s because no identity-based policy allows the %s:%s action", usual.Message, callerARN, s.name, action, s.name, action)
		}
		return nil, &apiError{Status: usual.Status, Code: f.code(usual.Code), Message: f.message(usual.Message)}
	}
	if s == &ec2Service && req.form.Get("DryRun") == "true" {
		return nil, refuse(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return handle(e, req)
}

// read finds the service and the action of a call.
func (r *request) read() (*service, string, *apiError) {
	body, err := io.ReadAll(io.LimitReader(r.http.Body, 1<<20))
	if err != nil {
		return &autoscalingService, "", refuse(http.StatusBadRequest, "MalformedQueryString", "The request body could not be read.")
	}
	if action := strings.TrimPrefix(r.http.URL.Path, "/"); savingsService.actions[action] != nil {
		r.body = body
		return &savingsService, action, signed(r.http)
	}
	if target := r.http.Header.Get("X-Amz-Target"); target != "" {
		r.body = body
		name, action, _ := strings.Cut(target, ".")
		if name == "ServiceQuotasV20190624" {
			return &quotasService, action, signed(r.http)
		}
		if name == "AWSPriceListService" {
			return &pricingService, action, signed(r.http)
		}
		if name != "AmazonSQS" {
			return &sqsService, action, refuse(http.StatusBadRequest, "UnknownOperationException", "The target %s is not known.", target)
		}
		return &sqsService, action, signed(r.http)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return &autoscalingService, "", refuse(http.StatusBadRequest, "MalformedQueryString", "The query string contains a syntax error.")
	}
	r.form = form
	action := form.Get("Action")
	switch form.Get("Version") {
	case "2011-01-01":
		return &autoscalingService, action, signed(r.http)
	case "2016-11-15":
		return &ec2Service, action, signed(r.http)
	case "2011-06-15":
		return &stsService, action, signed(r.http)
	case "2010-05-08":
		return &iamService, action, signed(r.http)
	}
	return &autoscalingService, action, refuse(http.StatusBadRequest, "NoSuchVersion", "The requested version (%s) is not valid.", form.Get("Version"))
}

// signed refuses a call that carries no signature; whose it is, is not checked.
func signed(r *http.Request) *apiError {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		return refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	return nil
}

// list returns the values of prefix1, prefix2, … in order.
func (r *request) list(prefix string) []string {
	var out []string
	for n := 1; ; n++ {
		v, ok := r.form[prefix+strconv.Itoa(n)]
		if !ok {
			return out
		}
		out = append(out, v[0])
	}
}

// number reads an integer parameter within bounds; missing is usual.
func (r *request) number(name string, usual, low, high int) (int, *apiError) {
	text := r.form.Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalid("1 validation error detected: Value '%s' at '%s' is not an integer", text, name)
	}
	field := strings.ToLower(name[:1]) + name[1:]
	if n < low {
		return 0, invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value greater than or equal to %d", n, field, low)
	}
	if n > high {
		return 0, invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value less than or equal to %d", n, field, high)
	}
	return n, nil
}

// filter is a name with the values of which one must be met.
type filter struct {
	Name   string
	Values []string
}

// filters reads prefix1.Name with prefix1 + values + 1 and so on.
func (r *request) filters(prefix, values string) []filter {
	var out []filter
	for n := 1; ; n++ {
		at := prefix + strconv.Itoa(n)
		name, ok := r.form[at+".Name"]
		if !ok {
			return out
		}
		out = append(out, filter{Name: name[0], Values: r.list(at + values)})
	}
}

// page cuts a page of at most size out of sorted items. The token names the action and the last key before it.
func page[T any](items []T, key func(T) string, action, token string, size int) ([]T, string, *apiError) {
	start := 0
	if token != "" {
		after, ok := openToken(action, token)
		if !ok {
			return nil, "", refuse(http.StatusBadRequest, "InvalidNextToken", "The token '%s' is invalid.", token)
		}
		for start < len(items) && key(items[start]) <= after {
			start++
		}
	}
	rest := items[start:]
	if len(rest) <= size {
		return rest, "", nil
	}
	return rest[:size], closeToken(action, key(rest[size-1])), nil
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("encoding an answer: %v", err)) // only plain structs get here
	}
	writeAll(w, status, contentType, append(raw, '\n'))
}

// Operations of every service that the emulator answers, sorted.
func Operations() map[string][]string {
	out := map[string][]string{}
	for _, s := range []*service{&autoscalingService, &ec2Service, &sqsService, &stsService, &iamService, &quotasService, &savingsService, &pricingService} {
		out[s.name] = slices.Sorted(maps.Keys(s.actions))
	}
	return out
}
