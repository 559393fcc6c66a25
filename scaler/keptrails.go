package scaler

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/guardrail"
	"swell/scaler/plan"
)

const (
	// railsName is the ConfigMap with what is watched, so that a successor goes on with it.
	railsName = "swell-scaler-guard-rails"
	// railsHolder is its annotation with who writes it.
	railsHolder = "capacity.swell/holder"
	// mostRails bounds all records together, below what a ConfigMap holds, and mostRail each; bytes.
	mostRails = 900 << 10
	mostRail  = 64 << 10
)

// railStore is the ConfigMap of guard rails. It is written by one at a time, and nothing is written over what is newer: neither by
// this scaler nor by one that another has taken over from.
type railStore struct {
	kube              kubernetes.Interface
	namespace, holder string
	check             func(context.Context) error // is an error when another scaler has taken over

	mu    sync.Mutex
	as    *corev1.ConfigMap // as it was read or written last; nil is that it is not there
	saved int64             // the newest turn that was written
}

func (l *Loop) newRailStore() *railStore {
	return &railStore{kube: l.kube, namespace: l.namespace(), holder: l.options.Identity, check: func(ctx context.Context) error { return l.actor.Check(ctx) }}
}

// takeOver reads what is kept, and writes itself down as the holder: a predecessor that still writes is refused from then on.
func (s *railStore) takeOver(ctx context.Context, log *slog.Logger) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for range 5 {
		if err = s.read(ctx); err != nil {
			return nil, err
		}
		var data map[string]string
		if s.as != nil {
			data = maps.Clone(s.as.Data)
		}
		if err = s.write(ctx, data); err == nil || !lost(err) {
			if err != nil { // each save tries it again
				log.Warn("taking over the guard rails", "error", err)
			}
			return data, nil
		}
	}
	return nil, err
}

// save replaces what is kept, unless a newer turn was written already.
func (s *railStore) save(ctx context.Context, turn int64, data map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn <= s.saved {
		return nil
	}
	var err error
	for range 3 {
		if err = s.check(ctx); err != nil { // after s.as was read: whoever took over since has changed it
			return err
		}
		if err = s.write(ctx, data); err == nil {
			s.saved = turn
			return nil
		}
		if !lost(err) {
			return err
		}
		if err := s.read(ctx); err != nil {
			return err
		}
	}
	return err
}

// lost says that somebody else wrote or deleted the ConfigMap meanwhile.
func lost(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

func (s *railStore) read(ctx context.Context) error {
	m, err := s.kube.CoreV1().ConfigMaps(s.namespace).Get(ctx, railsName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		s.as = nil
	case err != nil:
		return fmt.Errorf("reading ConfigMap %s/%s: %w; let swell-scaler get ConfigMaps there", s.namespace, railsName, err)
	default:
		s.as = m
	}
	return nil
}

// write is refused where the ConfigMap is not as it was read.
func (s *railStore) write(ctx context.Context, data map[string]string) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	var m *corev1.ConfigMap
	var err error
	switch {
	case s.as == nil && len(data) == 0:
		return nil
	case s.as == nil:
		m, err = client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: railsName, Annotations: map[string]string{railsHolder: s.holder},
			Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler"}}, Data: data}, metav1.CreateOptions{})
	case maps.Equal(s.as.Data, data) && s.as.Annotations[railsHolder] == s.holder:
		return nil
	default:
		to := s.as.DeepCopy()
		to.Data = data
		metav1.SetMetaDataAnnotation(&to.ObjectMeta, railsHolder, s.holder)
		m, err = client.Update(ctx, to, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w; let swell-scaler get, create and update ConfigMaps there", s.namespace, railsName, err)
	}
	s.as = m
	return nil
}

// keptRail is a record as it is kept.
type keptRail struct {
	Object string `json:"object"`
	guardrail.Record
}

// railKey is an object's in the ConfigMap, short whatever its name is.
func railKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// oldRailKey is what earlier builds kept it under.
func oldRailKey(key string) string { return strings.NewReplacer(" ", ".", "/", ".").Replace(key) }

// recordOf takes what is kept of an object, or a new record.
func (r *rails) recordOf(key string) (*guardrail.Record, error) {
	kept := keptRail{Object: key}
	raw := cmp.Or(r.kept[railKey(key)], r.kept[oldRailKey(key)])
	delete(r.kept, railKey(key)) // what is deleted and made again begins anew
	delete(r.kept, oldRailKey(key))
	if raw == "" {
		return &kept.Record, nil
	}
	err := json.Unmarshal([]byte(raw), &kept)
	switch {
	case err != nil:
	case kept.Object != key:
		err = fmt.Errorf("it is of %s", kept.Object)
	case kept.Watch == nil && kept.Phase != guardrail.Settled:
		err = fmt.Errorf("phase %s without what is watched", kept.Phase)
	default:
		return &kept.Record, nil
	}
	return &guardrail.Record{}, fmt.Errorf("reading the guard rails of %s from ConfigMap %s: %w; it begins anew, and the spec in force counts as good", key, railsName, err)
}

// written is a record as text, without and with what its hours were like.
type written struct {
	key, owner string
	underWay   bool
	lean, full string
}

// railsData is what is to be kept: of objects that state bounds, and of those that something is under way for. Problems say what is not
// kept.
func railsData(records map[string]*guardrail.Record) (map[string]string, []plan.Problem) {
	var problems []plan.Problem
	byOwner := map[string][]written{}
	for key, record := range records {
		if record.At.IsZero() && record.Phase == guardrail.Settled {
			continue
		}
		w, err := writtenOf(key, record)
		if err != nil {
			problems = append(problems, notKept(key, err.Error(), "make its spec smaller"))
			continue
		}
		byOwner[w.owner] = append(byOwner[w.owner], w)
	}
	data, size := map[string]string{}, 0
	left, bare := map[string][]string{}, []string{}
	for _, piece := range pieces(byOwner) {
		w, key := piece.of, railKey(piece.of.key)
		fits := size+piece.bytes <= mostRails
		switch {
		case fits && !piece.hours:
			data[key] = w.lean
		case fits && data[key] != "" && len(w.full) <= mostRail:
			data[key] = w.full
		case !piece.hours:
			left[w.owner] = append(left[w.owner], w.key)
			continue
		case data[key] == "":
			continue
		default:
			bare = append(bare, w.key)
			continue
		}
		size += piece.bytes
	}
	for _, keys := range left {
		full := "ConfigMap " + railsName + " is full"
		if len(keys) > 1 {
			full = fmt.Sprintf("%s, as for %s of its namespace", full, counted(len(keys)-1, "other", "others"))
		}
		problems = append(problems, notKept(slices.Min(keys), full, "take "+guardrail.BoundsAnnotation+" away from objects of its namespace that do not need it"))
	}
	if len(bare) > 0 {
		problems = append(problems, plan.Problem{Object: "guard rails", What: fmt.Sprintf("a restart of the scaler forgets what the hours of the week were like for %s, as %s: ConfigMap %s is full",
			counted(len(bare), "object", "objects"), slices.Min(bare), railsName), Mend: "take " + guardrail.BoundsAnnotation + " away from objects that do not need it"})
	}
	slices.SortFunc(problems, func(a, b plan.Problem) int { return cmp.Compare(a.Object, b.Object) })
	return data, problems
}

func notKept(key, why, mend string) plan.Problem {
	return plan.Problem{Object: key, What: "a restart of the scaler forgets its guard rails, and then takes the spec in force for a good one: " + why, Mend: mend}
}

// writtenOf an object is an error where that cannot be kept.
func writtenOf(key string, record *guardrail.Record) (written, error) {
	w := written{key: key, underWay: record.Phase != guardrail.Settled}
	if _, name, _ := strings.Cut(key, " "); strings.Contains(name, "/") {
		w.owner, _, _ = strings.Cut(name, "/")
	}
	full, err := json.Marshal(keptRail{key, *record})
	if err != nil {
		return w, err
	}
	lean, err := json.Marshal(keptRail{key, record.WithoutHours()})
	if err != nil {
		return w, err
	}
	if len(lean) > mostRail {
		return w, fmt.Errorf("its record has %d bytes, and %d are kept at most", len(lean), mostRail)
	}
	w.full, w.lean = string(full), string(lean)
	return w, nil
}

// piece of what is kept: a record without its hours, or they.
type piece struct {
	of    written
	hours bool
	bytes int
	// ahead is how much its owner has with it; bytes.
	ahead int
}

// pieces come in the order in which they are kept. Each owner's are what is under way, what is not, and the hours last. Namespaces
// share evenly, byte for byte, so that none keeps another's out; CapacityPools are of no namespace and go before.
func pieces(byOwner map[string][]written) []piece {
	var all []piece
	for _, own := range byOwner {
		slices.SortFunc(own, func(a, b written) int {
			return cmp.Or(-compareBool(a.underWay, b.underWay), cmp.Compare(len(a.lean), len(b.lean)), cmp.Compare(a.key, b.key))
		})
		ahead := 0
		for _, hours := range []bool{false, true} {
			for _, w := range own {
				bytes := len(w.lean)
				if hours {
					bytes = len(w.full) - len(w.lean)
				}
				ahead += bytes
				all = append(all, piece{w, hours, bytes, ahead})
			}
		}
	}
	slices.SortFunc(all, func(a, b piece) int {
		return cmp.Or(-compareBool(a.of.owner == "", b.of.owner == ""), cmp.Compare(a.ahead, b.ahead), compareBool(a.hours, b.hours), cmp.Compare(a.of.key, b.of.key))
	})
	return all
}

// compareBool has false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// nextRails is what is to be kept now, and its turn.
func (l *Loop) nextRails() (int64, map[string]string) {
	r := &l.rails
	r.turn++
	data, unkept := railsData(r.records)
	r.unkept = unkept
	return r.turn, data
}

// keepRails writes it beside the loop.
func (l *Loop) keepRails(ctx context.Context) {
	r := &l.rails
	if r.keeping { // what there is to keep stays to be kept
		return
	}
	turn, data := l.nextRails()
	r.news, r.keeping = false, true
	l.background(ctx, l.jobs.rails, func(ctx context.Context) func() {
		call, cancel := context.WithTimeout(ctx, rollBackWithin) // roll-backs wait for it
		defer cancel()
		err := r.store.save(call, turn, data)
		return func() {
			r.keeping, r.saveProblem = false, err
			if err != nil {
				r.news = true
				l.options.Log.Warn("keeping guard rails", "error", err)
			}
		}
	})
}

// loadRails takes over what a predecessor watched. Without it a spec that is being judged would count as good.
func (l *Loop) loadRails(ctx context.Context) error {
	l.rails = newRails()
	l.rails.store = l.newRailStore()
	data, err := l.rails.store.takeOver(ctx, l.options.Log)
	if err != nil {
		return fmt.Errorf("reading the guard rails: %w", err)
	}
	l.rails.kept = data
	return nil
}

// keepProblems are what is not kept.
func (r *rails) keepProblems() []plan.Problem {
	if r.saveProblem == nil {
		return r.unkept
	}
	what, mend, _ := strings.Cut(r.saveProblem.Error(), "; ")
	return append(slices.Clip(r.unkept), plan.Problem{Object: "guard rails", What: "a restart of the scaler forgets them: " + what, Mend: cmp.Or(mend, "it is tried again")})
}
