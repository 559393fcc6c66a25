package scaler

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
	"swell/scaler/observe"
	"swell/scaler/series"
)

const (
	// saveEvery is the time between two checkpoints of a history.
	saveEvery  = 5 * time.Minute
	sweepEvery = time.Hour
	// aheadMost is how far the end of a checkpoint may lie ahead of the clock.
	aheadMost = 10 * time.Minute
)

// workload is the memory of a Balloon's workload. At first sight its past is read beside the loop; until then what it samples
// is kept to be added.
func (l *Loop) workload(ctx context.Context, b *v1alpha1.Balloon) *workload {
	key := b.Namespace + "/" + b.Name
	w := l.workloads[key]
	if w == nil {
		w = &workload{}
		l.workloads[key] = w
		var err error
		if w.history, err = l.learn(nil, nil); err != nil {
			w.load.problem = err.Error()
			l.options.Log.Error("forecaster", "balloon", key, "error", err)
			return w
		}
	}
	now := l.clock.Now()
	if w.history == nil || !w.load.due(now) {
		return w
	}
	w.load.running = true
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		loaded, err := l.loadPast(ctx, now, b.Namespace, b.Name)
		return func() {
			if err == nil {
				w.adopt(loaded)
			} else {
				l.options.Log.Warn("loading a demand history", "balloon", key, "error", err)
			}
			w.load.ended(l.clock.Now(), err)
		}
	})
	return w
}

func (l *Loop) forecastOptions() (forecast.Options, error) {
	location, err := time.LoadLocation(l.options.Config.History.TimeZone)
	if err != nil {
		return forecast.Options{}, fmt.Errorf("reading history.timeZone: %w; give an IANA name, such as Asia/Tokyo", err)
	}
	return forecast.ForBalloons(location, l.holiday), nil
}

// learn is a workload with a past.
func (l *Loop) learn(files []series.Series, r *history.Record) (*history.Workload, error) {
	o, err := l.forecastOptions()
	if err != nil {
		return nil, err
	}
	return history.NewWorkload(o, files, r)
}

// loadedPast is what a workload begins with.
type loadedPast struct {
	history    *history.Workload
	backfilled string // by what, as the checkpoint has it
	warning    string // of what was left out; empty is nothing
	imported   string // the hand-over that is in it
}

// adopt goes on with a past, and what was sampled since.
func (w *workload) adopt(p loadedPast) {
	p.history.Adopt(w.history)
	w.history, w.backfilled, w.warning, w.imported = p.history, p.backfilled, p.warning, p.imported
}

// loadPast learns a workload's files and checkpoint.
func (l *Loop) loadPast(ctx context.Context, now time.Time, namespace, name string) (loadedPast, error) {
	files, warning, err := l.files(now, namespace, name)
	if err != nil {
		return loadedPast{}, err
	}
	point := history.Checkpoint{}
	if ns := l.options.Config.History.Checkpoints; ns != "" {
		if point, err = l.checkpoints().Load(ctx, namespace, name); err != nil {
			return loadedPast{}, err
		}
		if end := point.Record.End(); end.Sub(now) > aheadMost {
			return loadedPast{}, fmt.Errorf("loading the demand history of %s/%s: it ends at %s, after the present: set the clock right, or delete ConfigMap %s/%s",
				namespace, name, end.Format(time.RFC3339), ns, history.Name(namespace, name))
		}
	}
	w, err := l.learn(files, point.Record)
	return loadedPast{w, point.Backfilled, warning, point.Imported}, err
}

func (l *Loop) checkpoints() history.Checkpoints {
	return history.Checkpoints{Kube: l.kube, Namespace: l.options.Config.History.Checkpoints}
}

// files are the series that a workload's history begins with, oldest first, up to now: a forecaster that has seen rows of the future
// takes none that are sampled until then. The warning says what was left out.
func (l *Loop) files(now time.Time, namespace, name string) (past []series.Series, warning string, err error) {
	for _, f := range l.options.Config.History.Files {
		if f.Namespace != namespace || f.Balloon != name {
			continue
		}
		file, err := os.Open(f.File)
		if err != nil {
			return nil, "", fmt.Errorf("reading the history of %s/%s: %w; correct history.files", namespace, name, err)
		}
		s, err := series.Read(file, f.File)
		file.Close()
		if err != nil {
			return nil, "", err
		}
		if s.End().Sub(now) > s.Step { // a row that began is not complete
			warning = fmt.Sprintf("%s reaches to %s, after the present, and is learned up to that; set the clock right, or correct history.files",
				f.File, s.End().UTC().Format(time.RFC3339))
		}
		past = append(past, s.Slice(s.Start, now.Add(time.Nanosecond-s.Step)))
	}
	return past, warning, nil
}

// save writes a workload's new rows to its checkpoint when its turn has come; turns are spread over saveEvery. A past that was
// imported there since is taken over.
func (l *Loop) save(ctx context.Context, now time.Time, b *v1alpha1.Balloon, w *workload) {
	if l.options.Config.History.Checkpoints == "" || !w.load.done || w.saving || w.filling {
		return
	}
	key, of := b.Namespace+"/"+b.Name, client.ObjectKeyFromObject(b)
	tail, imported := w.history.Tail(), w.imported
	if !w.turns.take(saveTurn(key, now), tail.Len() > 0) {
		return
	}
	w.saving = true
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		point, err := l.keepRows(ctx, of, tail)
		var past loadedPast
		moved := err == nil && point.Imported != imported
		if moved {
			past, err = l.loadPast(ctx, now, of.Namespace, of.Name)
		}
		return func() {
			w.saving, w.saveProblem = false, ""
			if err != nil {
				w.saveProblem = err.Error()
				l.options.Log.Warn("checkpoint", "balloon", key, "error", err)
				return
			}
			w.history.Saved(tail)
			if moved {
				w.adopt(past)
				l.options.Log.Info("took over an imported demand history", "balloon", key, "import", past.imported)
				l.Kick()
			}
		}
	})
}

// keepRows writes rows to a checkpoint, and gives it as it then is; without rows it is only read.
func (l *Loop) keepRows(ctx context.Context, of client.ObjectKey, tail history.Tail) (history.Checkpoint, error) {
	if tail.Len() == 0 {
		return l.checkpoints().Load(ctx, of.Namespace, of.Name)
	}
	point, err := l.checkpoints().Update(ctx, of.Namespace, of.Name, func(p *history.Checkpoint) { p.Record.Add(tail) })
	countSave(err)
	return point, err
}

// saveTurn numbers the time between two saves that a time lies in; these begin for each key elsewhere.
func saveTurn(key string, now time.Time) int64 {
	hash := sha256.Sum256([]byte(key)) // of names that differ in a digit only, a simpler one's are near each other
	offset := binary.BigEndian.Uint64(hash[:]) % uint64(saveEvery)
	return (now.UnixNano() + int64(offset)) / int64(saveEvery)
}

// saveTurns are the turns of the last write, and of the last look at what is stored, which a write is too.
type saveTurns struct{ written, looked int64 }

// take says whether a write, or a look alone, has its turn now, and takes it. What comes after a look is written in the same turn.
func (t *saveTurns) take(turn int64, write bool) bool {
	if turn == t.written || !write && turn == t.looked {
		return false
	}
	if t.looked = turn; write {
		t.written = turn
	}
	return true
}

// sweep deletes the checkpoints of Balloons that are gone.
func (l *Loop) sweep(ctx context.Context, now time.Time, present map[string]bool) {
	if l.options.Config.History.Checkpoints == "" || now.Sub(l.sweptAt).Abs() < sweepEvery {
		return
	}
	l.sweptAt = now
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		deleted, err := l.checkpoints().Sweep(ctx, time.Now(), func(namespace, name string) bool { return present[namespace+"/"+name] })
		if err != nil {
			l.options.Log.Warn("sweeping demand histories", "error", err)
		}
		for _, d := range deleted {
			l.options.Log.Info("deleted the demand history of a Balloon that is gone", "balloon", d)
		}
		return func() {}
	})
}

// queryOf is a query with its placeholders replaced.
func (l *Loop) queryOf(b *v1alpha1.Balloon, query, hpa string) (string, error) {
	values := map[string]string{"namespace": b.Namespace, "balloon": b.Name, "name": b.Spec.ScaleTargetRef.Name}
	if hpa != "" {
		values["hpa"] = hpa
	}
	return backfill.Fill(query, values)
}

// pastQuery is where a workload's past is asked for; a nil source is nowhere.
func (l *Loop) pastQuery(world observe.World, b *v1alpha1.Balloon) (source backfill.Source, query string, perPod float64, err error) {
	d, config := b.Spec.Demand, l.options.Config.History
	var unit v1alpha1.Decimal
	prometheus := func() {
		if source = l.prometheus; l.prometheus == nil {
			source, err = nil, fmt.Errorf("spec.demand needs history.prometheus in the configuration of swell-scaler")
		}
	}
	switch {
	case d.History != nil && d.History.Datadog != "":
		if query, unit, source = d.History.Datadog, d.History.PerPod, l.datadog; l.datadog == nil {
			source, err = nil, fmt.Errorf("spec.demand.history.datadog needs history.datadog in the configuration of swell-scaler")
		}
	case d.History != nil:
		query, unit = d.History.Prometheus, d.History.PerPod
		prometheus()
	case d.From == v1alpha1.DemandFromQuery:
		query, unit = d.Query, d.PerPod
		prometheus()
	case l.prometheus == nil || config.Prometheus.Query == "none" || !fromHPA(b):
		return nil, "", 1, nil
	default:
		query, source = config.Prometheus.Query, l.prometheus
	}
	if err == nil {
		err = l.ofAllClusters(b)
	}
	if err != nil {
		return nil, "", 1, err
	}
	if perPod, err = number("spec.demand.history.perPod", string(unit), 1); err != nil {
		return nil, "", 1, err
	}
	hpa := ""
	if h := world.HPAOf(b.Namespace, b.Spec.ScaleTargetRef); h != nil {
		hpa = h.Name
	}
	if hpa == "" && strings.Contains(query, "{{hpa}}") {
		return nil, "", 1, fmt.Errorf("the query is about the workload's HorizontalPodAutoscaler, and it has none yet; make one, or give spec.demand.history")
	}
	query, err = l.queryOf(b, query, hpa)
	return source, query, perPod, err
}

// errOneCluster is of a past that is this cluster's alone.
var errOneCluster = errors.New("what was recorded is of this cluster's traffic only")

// ofAllClusters is an error where a Balloon's past would be taken for the demand of all clusters and is of this one, whose share
// then is not known.
func (l *Loop) ofAllClusters(b *v1alpha1.Balloon) error {
	d := b.Spec.Demand
	if d.History != nil || d.AllClusters || fromHPA(b) && l.options.Config.History.Prometheus.Query != config.DefaultHistoryQuery {
		return nil
	}
	share, err := clusterShare(b)
	if err == nil && share < 1 {
		err = fmt.Errorf("%w, and spec.share is %s; give spec.demand.history, a query of all clusters' demand", errOneCluster, b.Spec.Share)
	}
	return err
}

// fillPast asks for a workload's past at first sight, and again after it failed.
func (l *Loop) fillPast(ctx context.Context, now time.Time, world observe.World, b *v1alpha1.Balloon, w *workload) {
	if w.fillOf != b.Generation && !w.fill.running { // another query, maybe
		w.fill, w.fillOf = attempt{}, b.Generation
	}
	l.putPast(ctx, now, b, w)
	if !w.load.done || !w.fill.due(now) {
		return
	}
	source, query, perPod, err := l.pastQuery(world, b)
	if errors.Is(err, errOneCluster) && w.backfilled != "" { // there is one already, of before the share was given
		w.fill.ended(now, nil)
		return
	}
	if err != nil {
		w.fill.ended(now, fmt.Errorf("reading the demand of the past: %w", err))
		return
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%T %s %g", source, query, perPod))
	id := hex.EncodeToString(sum[:8])
	if source == nil || w.backfilled == id {
		w.fill.ended(now, nil)
		return
	}
	key := b.Namespace + "/" + b.Name
	w.fill.running = true
	l.background(ctx, l.jobs.fills, func(ctx context.Context) func() {
		coarse, minutes, err := backfill.Past(ctx, source, query, perPod, l.clock.RealTime(now))
		shift := now.Sub(l.clock.RealTime(now))
		coarse.Start, minutes.Start = coarse.Start.Add(shift), minutes.Start.Add(shift)
		return func() {
			if err != nil {
				l.filled(key, w, err)
				return
			}
			w.found = &foundPast{coarse: coarse, minutes: minutes, id: id}
			l.putPast(ctx, now, b, w)
		}
	})
}

// filled says how a fill went.
func (l *Loop) filled(key string, w *workload, err error) {
	countFill(err)
	if err != nil {
		err = fmt.Errorf("reading the demand of the past: %w; it is tried again, and what is sampled meanwhile is kept", err)
		l.options.Log.Warn("backfill", "balloon", key, "error", err)
	}
	w.fill.ended(l.clock.Now(), err)
}

// foundPast is the answer of a source that is not in the checkpoint yet.
type foundPast struct {
	coarse, minutes series.Series
	id              string // of the source and its query
}

// putPast puts a past that was found into the checkpoint, and learns that; while another save runs it waits for its next call.
func (l *Loop) putPast(ctx context.Context, now time.Time, b *v1alpha1.Balloon, w *workload) {
	if w.found == nil || w.saving || w.filling {
		return
	}
	key, of, tail, found := b.Namespace+"/"+b.Name, client.ObjectKeyFromObject(b), w.history.Tail(), w.found
	w.found, w.filling = nil, true
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		learned, rows, err := l.fillFrom(ctx, of, tail, found)
		return func() {
			w.filling = false
			if err == nil {
				if l.options.Config.History.Checkpoints != "" {
					w.history.Saved(tail)
				}
				learned.Adopt(w.history)
				w.history, w.backfilled = learned, found.id
				l.options.Log.Info("filled the demand of the past", "balloon", key, "rows", rows)
			}
			l.filled(key, w, err)
		}
	})
}

// fillFrom puts a past into the checkpoint, and learns that.
func (l *Loop) fillFrom(ctx context.Context, of client.ObjectKey, tail history.Tail, found *foundPast) (*history.Workload, int, error) {
	var err error
	rows := 0
	fill := func(p *history.Checkpoint) {
		p.Record.Add(tail)
		rows = p.Record.Fill(found.minutes) + p.Record.Fill(found.coarse)
		p.Backfilled = found.id
	}
	point := history.Checkpoint{Record: &history.Record{}}
	if l.options.Config.History.Checkpoints == "" {
		fill(&point)
	} else if point, err = l.checkpoints().Update(ctx, of.Namespace, of.Name, fill); err != nil {
		return nil, 0, err
	}
	files, _, err := l.files(l.clock.Now(), of.Namespace, of.Name)
	if err != nil {
		return nil, 0, err
	}
	w, err := l.learn(files, point.Record)
	return w, rows, err
}
