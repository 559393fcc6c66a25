package act

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/nodegroups"
	"swell/scaler/ledger"
)

// ErrNotLeader says that another scaler has taken over since this one last wrote its intents.
var ErrNotLeader = errors.New("this scaler no longer holds the fence and must stop")

// Intent is a launch that is about to be called for.
type Intent struct {
	Token string    `json:"token"`
	Group string    `json:"group"`
	Zone  string    `json:"zone"`
	Count int       `json:"count"`
	At    time.Time `json:"at"` // machine time
	// Target is the desired capacity that the group is raised to where it may not be launched by token; zero is not known yet.
	// It was written before it was asked for, so that whoever asks again asks for no more.
	Target int `json:"target,omitempty"`
	// AnsweredAt is when the call was answered, machine time, and Instances are what it gave; zero while it is open.
	AnsweredAt time.Time  `json:"answeredAt,omitzero"`
	Instances  []Instance `json:"instances,omitempty"`
	// aimedAt is when Target was written, by this scaler; machine time.
	aimedAt time.Time
	// unsureAt is when a call with the token was last made whose outcome is not known; machine time.
	unsureAt time.Time
	// These go to the ledger only.
	Reason   string        `json:"-"`
	Rejected []string      `json:"-"`
	Pool     string        `json:"-"`
	Market   string        `json:"-"`
	Hourly   float64       `json:"-"`
	Inputs   ledger.Inputs `json:"-"`
}

// Instance is one that a launch gave.
type Instance struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Zone string `json:"zone"`
}

// Intents is the fence: launches are written to a ConfigMap by compare-and-swap before they are called for. A scaler
// that was overtaken cannot write and so cannot launch; one that starts finds what its predecessor had begun, and the
// client token makes asking again harmless. What was answered stays there for a while too, since AWS's lists may not show it
// yet to a scaler that starts.
type Intents struct {
	kube      kubernetes.Interface
	namespace string
	name      string
	holder    string

	mu      lock
	current *corev1.ConfigMap
	open    []Intent
	late    []Intent // answered of late
	behind  bool     // the ConfigMap may have other intents than open
}

const (
	intentsKey = "launches"
	lateKey    = "answered"
	holderKey  = "holder"
)

// mostBytes is what all values of a ConfigMap may take together, by the API server's validation.
const mostBytes = 1 << 20

// TakeOver claims the intents for holder and returns the launches that were begun and not finished.
func TakeOver(ctx context.Context, kube kubernetes.Interface, namespace, name, holder string) (*Intents, []Intent, error) {
	in := &Intents{mu: newLock(), kube: kube, namespace: namespace, name: name, holder: holder}
	maps := kube.CoreV1().ConfigMaps(namespace)
	for {
		m, err := maps.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{holderKey: holder}}
			m, err = maps.Create(ctx, m, metav1.CreateOptions{})
		case err == nil:
			m = m.DeepCopy()
			if m.Data == nil {
				m.Data = map[string]string{}
			}
			m.Data[holderKey] = holder
			m, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		}
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("taking over the launch intents in ConfigMap %s/%s: %w; let swell-scaler get, create and update it", namespace, name, err)
		}
		in.current = m
		open, err := in.list(intentsKey)
		if err != nil {
			return nil, nil, err
		}
		in.open = slices.Clone(open)
		in.late, err = in.list(lateKey)
		return in, open, err
	}
}

func (in *Intents) list(key string) ([]Intent, error) {
	var list []Intent
	if raw := in.current.Data[key]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &list); err != nil {
			return nil, fmt.Errorf("reading the launch intents in ConfigMap %s/%s: %w; delete its key %q once no launch is under way", in.namespace, in.name, err, key)
		}
	}
	return list, nil
}

// answered are the launches that were answered of late, oldest first, a predecessor's included.
func (in *Intents) answered() []Intent {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.forgetLate()
	return slices.Clone(in.late)
}

// forgetLate drops what AWS's lists show by now. The lock is held.
func (in *Intents) forgetLate() {
	slices.SortStableFunc(in.late, func(a, b Intent) int {
		return cmp.Or(a.AnsweredAt.Compare(b.AnsweredAt), cmp.Compare(a.Token, b.Token))
	})
	in.late = slices.DeleteFunc(in.late, func(i Intent) bool { return time.Since(i.AnsweredAt) > nodegroups.ListedWithin })
}

// lateWithin drops the oldest answers until the others take at most so many bytes, and gives these. The lock is held.
func (in *Intents) lateWithin(left int) (string, error) {
	if left -= len("[]"); left < 0 {
		in.late = nil
		return "", nil
	}
	var texts []string
	for i, late := range slices.Backward(in.late) {
		text, err := json.Marshal(late)
		if err != nil {
			return "", err
		}
		if left -= len(text) + len(","); left < 0 {
			in.late = slices.Clone(in.late[i+1:])
			break
		}
		texts = append(texts, string(text))
	}
	slices.Reverse(texts)
	return "[" + strings.Join(texts, ",") + "]", nil
}

// bytesOf are what the values of a ConfigMap take, as the API server counts them.
func bytesOf(m *corev1.ConfigMap) int {
	n := 0
	for _, v := range m.Data {
		n += len(v)
	}
	for _, v := range m.BinaryData {
		n += len(v)
	}
	return n
}

// Declare writes intents; until it returns without an error none of them may be called for.
func (in *Intents) Declare(ctx context.Context, add []Intent) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.write(ctx, append(slices.Clone(in.open), add...))
}

// Aim writes down the desired capacity that an intent raises its group to; until it returns without an error that may not be
// asked for.
func (in *Intents) Aim(ctx context.Context, token string, target int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	open := slices.Clone(in.open)
	for i := range open {
		if open[i].Token == token {
			open[i].Target = target
		}
	}
	return in.write(ctx, open)
}

// aimed is the highest desired capacity that open intents of a group, but for one's, raise it to. Only a group of one zone is
// raised: a desired capacity cannot choose among zones.
func (in *Intents) aimed(group, but string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	most := 0
	for _, i := range in.open {
		if i.Token != but && i.Group == group {
			most = max(most, i.Target)
		}
	}
	return most
}

// launching says that launches of a group are open.
func (in *Intents) launching(group string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.ContainsFunc(in.open, func(i Intent) bool { return i.Group == group })
}

// Forget removes intents whose calls have ended; those that gave something are kept as answered. They are forgotten here at
// once, and in the ConfigMap with the next write or the next call, with whatever intents, should this one fail.
func (in *Intents) Forget(ctx context.Context, done []Intent) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(done) == 0 && !in.behind {
		return nil
	}
	in.behind = true
	in.open = slices.DeleteFunc(in.open, func(i Intent) bool {
		return slices.ContainsFunc(done, func(d Intent) bool { return d.Token == i.Token })
	})
	for _, d := range done {
		if !d.AnsweredAt.IsZero() && len(d.Instances)+d.Target > 0 {
			in.late = append(in.late, d)
		}
	}
	return in.write(ctx, slices.Clone(in.open))
}

// Check is an error when another scaler has taken over, or may have.
func (in *Intents) Check(ctx context.Context) error {
	_, err := in.read(ctx)
	return err
}

// read returns the ConfigMap, or an error when it is not this holder's.
func (in *Intents) read(ctx context.Context) (*corev1.ConfigMap, error) {
	m, err := in.kube.CoreV1().ConfigMaps(in.namespace).Get(ctx, in.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, in.gone()
	case err != nil:
		return nil, fmt.Errorf("reading the launch intents in ConfigMap %s/%s: %w; let swell-scaler get it", in.namespace, in.name, err)
	case m.Data[holderKey] != in.holder:
		return nil, fmt.Errorf("the launch intents in ConfigMap %s/%s are held by %s: %w", in.namespace, in.name, m.Data[holderKey], ErrNotLeader)
	}
	return m, nil
}

// gone is the error for a fence that was deleted: it does not tell who holds it, and starting again makes a new one.
func (in *Intents) gone() error {
	return fmt.Errorf("the launch intents in ConfigMap %s/%s were deleted, so it is not known who holds them: %w", in.namespace, in.name, ErrNotLeader)
}

func (in *Intents) write(ctx context.Context, open []Intent) error {
	slices.SortFunc(open, func(a, b Intent) int { return cmp.Compare(a.Token, b.Token) })
	raw, err := json.Marshal(open)
	if err != nil {
		return fmt.Errorf("writing the launch intents: %w", err)
	}
	m := in.current.DeepCopy()
	m.Data[intentsKey], m.Data[lateKey] = string(raw), ""
	taken := bytesOf(m)
	if taken > mostBytes {
		return fmt.Errorf("writing %d launch intents to ConfigMap %s/%s: they take %d bytes of at most %d; the next plan tries again, once some of them were answered",
			len(open), in.namespace, in.name, taken, mostBytes)
	}
	in.forgetLate()
	if m.Data[lateKey], err = in.lateWithin(mostBytes - taken); err != nil {
		return fmt.Errorf("writing the answered launches: %w", err)
	}
	in.behind = true // until the answer: one that is lost may have had its effect
	m, err = in.kube.CoreV1().ConfigMaps(in.namespace).Update(ctx, m, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return in.afterConflict(ctx, open)
	}
	if apierrors.IsNotFound(err) {
		return in.gone()
	}
	if err != nil {
		return fmt.Errorf("writing the launch intents to ConfigMap %s/%s: %w; let swell-scaler update it", in.namespace, in.name, err)
	}
	in.current, in.open, in.behind = m, open, false
	return nil
}

// afterConflict tells a write of our own whose answer was lost, which is tried again, from another scaler's.
func (in *Intents) afterConflict(ctx context.Context, open []Intent) error {
	m, err := in.read(ctx)
	if err != nil {
		return fmt.Errorf("writing the launch intents: %w", err)
	}
	in.current = m
	return in.write(ctx, open)
}
