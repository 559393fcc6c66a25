package ui

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
)

const (
	// rememberRefusal is how long a token that is none is remembered.
	rememberRefusal = 30 * time.Second
	// rememberReader is how long a token that was let in is asked about without waiting in the line.
	rememberReader = 15 * time.Minute
	// mostAnswers and mostReaders bound what is remembered of tokens.
	mostAnswers = 4096
	mostReaders = 1024
	// waitInLine is how long a token that was not seen before may wait for its review.
	waitInLine = 12 * time.Second
)

var (
	// errBusy is that too many tokens wait to be looked at.
	errBusy = errors.New("too many ask at once")
	// errNoAnswer is that the API server does not say whose a token is.
	errNoAnswer = errors.New("the API server does not answer")
)

// tokens finds whose a token is by the API server's TokenReview. Who sends tokens that are none waits in a line, one place after
// another by where requests come from; who was let in before does not. Tokens are kept as hashes with a key of this process only.
type tokens struct {
	kube    kubernetes.Interface
	line    *line
	flights singleflight.Group
	key     [sha256.Size]byte

	mu      sync.Mutex
	answers map[string]tokenAnswer
	readers map[string]time.Time // until when
}

// tokenAnswer is the API server's; a nil user is nobody.
type tokenAnswer struct {
	user  *user.DefaultInfo
	until time.Time
}

func newTokens(kube kubernetes.Interface) *tokens {
	t := &tokens{kube: kube, line: newLine(ReviewRate, ReviewBurst), answers: map[string]tokenAnswer{}, readers: map[string]time.Time{}}
	_, _ = rand.Read(t.key[:]) // it never fails
	return t
}

func (t *tokens) hash(token string) string {
	h := hmac.New(sha256.New, t.key[:])
	h.Write([]byte(token))
	return string(h.Sum(nil))
}

// asker is who sends a request: from where, and the hash of the token that was found to be somebody's.
type asker struct{ from, token string }

// askerKey finds the asker in a request's context.
type askerKey struct{}

// AuthenticateToken answers as authenticator.Token does. Its errors are errBusy and errNoAnswer.
func (t *tokens) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	key := t.hash(token)
	asks, _ := ctx.Value(askerKey{}).(*asker)
	for {
		if a, known := t.remembered(key, time.Now()); known {
			if a.user == nil {
				return nil, false, nil
			}
			asks.token = key
			return &authenticator.Response{User: a.user}, true, nil
		}
		flight := t.flights.DoChan(key, func() (any, error) { return nil, t.review(ctx, asks.from, key, token) })
		select {
		case <-ctx.Done():
			return nil, false, errBusy
		case done := <-flight:
			if done.Err != nil && (!errors.Is(done.Err, context.Canceled) || ctx.Err() != nil) {
				return nil, false, done.Err
			} // else whoever asked first went away, or there is an answer
		}
	}
}

// review asks the API server, and remembers what it says.
func (t *tokens) review(ctx context.Context, from, key, token string) error {
	if !t.isReader(key, time.Now()) {
		waiting, cancel := context.WithTimeout(ctx, waitInLine)
		err := t.line.wait(waiting, from)
		cancel()
		if ctx.Err() != nil {
			return context.Canceled
		}
		if err != nil {
			return errBusy
		}
	}
	// the answer is for all who sent this token: it does not end with the first
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewWithin)
	defer cancel()
	said, err := t.kube.AuthenticationV1().TokenReviews().Create(asking, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	now := time.Now()
	if !said.Status.Authenticated {
		t.remember(key, tokenAnswer{until: now.Add(rememberRefusal)}, now)
		return nil
	}
	who := &user.DefaultInfo{Name: said.Status.User.Username, UID: said.Status.User.UID, Groups: said.Status.User.Groups, Extra: map[string][]string{}}
	for name, values := range said.Status.User.Extra {
		who.Extra[name] = values
	}
	t.remember(key, tokenAnswer{user: who, until: now.Add(rememberAccess)}, now)
	return nil
}

func (t *tokens) remembered(key string, now time.Time) (tokenAnswer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, known := t.answers[key]
	return a, known && now.Before(a.until)
}

func (t *tokens) remember(key string, a tokenAnswer, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.answers) >= mostAnswers {
		for k, old := range t.answers {
			if now.After(old.until) {
				delete(t.answers, k)
			}
		}
	}
	for k := range t.answers { // any: an answer is asked for again
		if len(t.answers) < mostAnswers {
			break
		}
		delete(t.answers, k)
	}
	t.answers[key] = a
	if a.user == nil {
		delete(t.readers, key)
	}
}

func (t *tokens) isReader(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Before(t.readers[key])
}

// letIn notes that a token, by its hash, is a reader's, who has the right too.
func (t *tokens) letIn(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.readers[key]; !known && len(t.readers) >= mostReaders {
		oldest := ""
		for k, until := range t.readers {
			if oldest == "" || until.Before(t.readers[oldest]) {
				oldest = k
			}
		}
		delete(t.readers, oldest)
	}
	t.readers[key] = now.Add(rememberReader)
}
