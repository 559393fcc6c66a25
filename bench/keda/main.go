// Command keda runs KEDA's own Kafka scaler, one for each consumer group, the way its operator does: a scaler is made
// once and evaluated again and again. It waits for commands over HTTP, so that whoever measures can look at the brokers
// in between. It is a module of its own, since KEDA's dependencies are not swell's.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// spent is what one command took.
type spent struct {
	// Milliseconds of the machine and of this process's CPU.
	WallMS float64 `json:"wallMS"`
	CPUMS  float64 `json:"cpuMS"`
	// Lag is the sum of what the scalers answered, each of them capped at lagThreshold times the partitions.
	Lag float64 `json:"lag"`
}

// peer is the scalers that are measured.
type peer struct {
	brokers string
	full    bool
	scalers []scalers.Scaler
}

// start makes the scalers of so many groups: group-0000 reads topic-0000.
func (p *peer) start(ctx context.Context, groups int) error {
	for i := range groups {
		name := fmt.Sprintf("%04d", i)
		s, err := scalers.NewKafkaScaler(ctx, &scalersconfig.ScalerConfig{
			TriggerMetadata: map[string]string{"bootstrapServers": p.brokers, "consumerGroup": "group-" + name, "topic": "topic-" + name,
				"lagThreshold": "10", "fullMetadata": strconv.FormatBool(p.full)},
			AuthParams: map[string]string{}, ResolvedEnv: map[string]string{}, MetricType: autoscalingv2.AverageValueMetricType,
			PodIdentity: kedav1alpha1.AuthPodIdentity{},
		})
		if err != nil {
			return fmt.Errorf("make the scaler of group-%s: %w: does Kafka run at %s", name, err, p.brokers)
		}
		p.scalers = append(p.scalers, s)
	}
	return nil
}

// evaluate asks every scaler once.
func (p *peer) evaluate(ctx context.Context) (lag float64, err error) {
	for i, s := range p.scalers {
		values, _, err := s.GetMetricsAndActivity(ctx, "lag")
		if err != nil {
			return 0, fmt.Errorf("evaluate the scaler of group-%04d: %w", i, err)
		}
		for _, v := range values {
			lag += v.Value.AsApproximateFloat64()
		}
	}
	return lag, nil
}

func measured(do func() (float64, error)) (spent, error) {
	cpu, began := cpuTime(), time.Now()
	lag, err := do()
	return spent{WallMS: ms(time.Since(began)), CPUMS: ms(cpuTime() - cpu), Lag: lag}, err
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // fails for a wrong argument alone
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// heap is what is live, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// handler answers the commands, one at a time as they are sent.
func (p *peer) handler() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, value any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(value)
	}
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		groups, err := strconv.Atoi(r.FormValue("groups"))
		if err != nil {
			http.Error(w, "groups: "+err.Error(), http.StatusBadRequest)
			return
		}
		took, err := measured(func() (float64, error) { return 0, p.start(context.WithoutCancel(r.Context()), groups) })
		answer(w, took, err)
	})
	mux.HandleFunc("POST /evaluate", func(w http.ResponseWriter, r *http.Request) {
		took, err := measured(func() (float64, error) { return p.evaluate(r.Context()) })
		answer(w, took, err)
	})
	mux.HandleFunc("GET /heap", func(w http.ResponseWriter, _ *http.Request) { answer(w, heap(), nil) })
	return mux
}

func main() {
	p := &peer{}
	listen := flag.String("listen", "", "address on 127.0.0.1 for commands; needed")
	flag.StringVar(&p.brokers, "brokers", "", "bootstrap address of Kafka; needed")
	flag.BoolVar(&p.full, "full-metadata", true, "KEDA's fullMetadata, as it is by default")
	flag.Parse()
	if *listen == "" || p.brokers == "" {
		fmt.Fprintln(os.Stderr, "keda: --listen or --brokers is missing: give both")
		os.Exit(2)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintf(os.Stderr, "keda: %v: give a free port\n", err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(l, p.handler()) }()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
}
