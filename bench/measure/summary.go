package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Summary is out/demo/summary.json. Seconds and hours are of the trace's time, milliseconds of the machine's; null is unknown.
type Summary struct {
	Trace       string  `json:"trace"`
	Compression float64 `json:"compression"`
	Runs        []Run   `json:"runs"`

	Seed      uint64 `json:"seed"`
	RiseStart string `json:"rise_start,omitempty"` // RFC 3339, in the trace's time
	// ControllerManagerQPS is what the testbed's controller-manager may ask of the API server a second.
	ControllerManagerQPS float64 `json:"controller_manager_qps,omitempty"`
	// SchedulerQPS is the same of the testbed's scheduler; zero is its own default of 50.
	SchedulerQPS float64 `json:"scheduler_qps,omitempty"`
	// Attribution of the trace, one sentence.
	Attribution string `json:"attribution,omitempty"`
	// Command that plays this again.
	Command string `json:"command,omitempty"`
}

// Run is what one policy did.
type Run struct {
	Policy        string             `json:"policy"`
	PodWaitP50    *float64           `json:"pod_wait_p50_s"`
	PodWaitP99    *float64           `json:"pod_wait_p99_s"`
	Unserved      *float64           `json:"unserved"` // share of the pod-seconds that the demand asked for
	LateMessages  *int64             `json:"late_messages"`
	LagSecondsMax *float64           `json:"lag_seconds_max"`
	NodeHours     map[string]float64 `json:"node_hours"` // by market
	Cost          *float64           `json:"cost"`       // of the window
	ReactionP50   *float64           `json:"reaction_p50_ms"`
	ReactionP99   *float64           `json:"reaction_p99_ms"`
	Faults        []Fault            `json:"faults"`

	PodWaitMax *float64 `json:"pod_wait_max_s"`
	// PodsUnschedulable were told by the scheduler at least once that they had no place; their wait counts from their creation.
	PodsUnschedulable    int      `json:"pods_unschedulable"`
	UnschedulableWaitP99 *float64 `json:"unschedulable_wait_p99_s"`
	// CostWarmUp is what was billed from the first launch to the window's beginning.
	CostWarmUp *float64 `json:"cost_warm_up"`
	// Pods that were created in the window, and those of them that were never bound.
	Pods           int `json:"pods"`
	PodsNeverBound int `json:"pods_never_bound"`
	// UnservedPending is the share of the pod-seconds of pods that existed but had no node.
	UnservedPending *float64 `json:"unserved_pending"`
	BalloonHours    float64  `json:"balloon_hours"`
	// BalloonNodeHours are the nodes that balloons would fill without a gap, BalloonCost at the run's mean price: both are lower bounds.
	BalloonNodeHours *float64 `json:"balloon_node_hours"`
	BalloonCost      *float64 `json:"balloon_cost"`
	Launches         int      `json:"launches"`  // calls that brought instances
	Launched         int      `json:"launched"`  // instances
	Reactions        int      `json:"reactions"` // launches that answered an unschedulable pod
	// CoveredPods found no place at first, but an instance that was booting already had one for them.
	CoveredPods int `json:"covered_pods"`
	// UnansweredPods found no place and no launch was for them: they got another's place, were deleted, or wait still.
	UnansweredPods int      `json:"unanswered_pods"`
	Interruptions  int      `json:"interruptions"`
	OverMax        []string `json:"groups_over_max"`
	// TokensReused are client tokens under which more instances came than were asked for.
	TokensReused     []string `json:"tokens_over_count"`
	MessagesProduced *int64   `json:"messages_produced"`
	MessagesLost     *int64   `json:"messages_lost"`
	MessagesTwice    *int64   `json:"messages_duplicated"`
	TornLines        int      `json:"torn_lines"` // last lines that were being written
}

// Fault is one part that was killed and came back.
type Fault struct {
	Target   string  `json:"target"`
	KilledAt string  `json:"killed_at"` // RFC 3339, in the trace's time
	Down     float64 `json:"down_s"`    // machine's seconds without the process
	// Recovered is the time after its start until the part did its work again, machine's seconds; null: it did not.
	Recovered *float64 `json:"recovered_after_s"`
}

// Write stores a document as JSON, whole or not at all.
func Write(path string, document any) error {
	body, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w; may this user write there?", path, err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(body, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w; is there room on the disk?", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Read loads a summary that Write stored.
func Read(path string) (Summary, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return Summary{}, fmt.Errorf("reading a summary: %w; run the demo first", err)
	}
	var out Summary
	if err := json.Unmarshal(body, &out); err != nil {
		return Summary{}, fmt.Errorf("reading %s: %w; run the demo again", path, err)
	}
	return out, nil
}
