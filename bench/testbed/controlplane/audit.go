package controlplane

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// auditPolicy records what a run is measured by and nothing that only reads. A pod made from a generateName
// has its name in the response alone; bindings name the node, status patches the conditions.
const auditPolicy = auditHead + auditRules + "- level: None\n"

const auditHead = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
omitManagedFields: true
rules:
`

const auditRules = `- level: None
  verbs: [get, list, watch]
- level: RequestResponse
  verbs: [create]
  resources: [{group: "", resources: [pods]}]
- level: Request
  resources:
  - {group: "", resources: [pods/status, pods/binding, pods/eviction]}
  - {group: apps, resources: ["*/scale"]}
  - {group: autoscaling, resources: [horizontalpodautoscalers/status]}
  - {group: capacity.swell}
- level: Request
  verbs: [patch, update]
  resources: [{group: "", resources: [nodes]}]
- level: Metadata
  resources:
  - {group: "", resources: [pods, nodes]}
  - {group: apps, resources: [deployments, statefulsets, replicasets]}
  - {group: autoscaling, resources: [horizontalpodautoscalers]}
`

// RightsEnv names a folder that every control plane leaves the requests of swell's ServiceAccounts in, reads too, as audit events
// in JSON lines: what the rules of the chart are held against. Empty is off.
const RightsEnv = "SWELL_RIGHTS"

// swellGroup is the group of swell's ServiceAccounts.
const swellGroup = "system:serviceaccounts:swell-system"

// policy is the audit policy, which records all that swell's ServiceAccounts ask where that is wanted.
func policy() string {
	if os.Getenv(RightsEnv) == "" {
		return auditPolicy
	}
	own := "- level: Metadata\n  userGroups: [\"" + swellGroup + "\"]\n"
	return auditHead + own + "  verbs: [get, list, watch]\n" + auditRules + own + "- level: None\n"
}

// runningTest is the test that this is called from, else empty.
func runningTest() string {
	calls := make([]uintptr, 64)
	frames := runtime.CallersFrames(calls[:runtime.Callers(1, calls)])
	for {
		frame, more := frames.Next()
		if _, name, _ := strings.Cut(filepath.Base(frame.Function), "."); strings.HasPrefix(name, "Test") {
			name, _, _ = strings.Cut(name, ".")
			return name
		}
		if !more {
			return ""
		}
	}
}

// keepRequests copies the requests of swell's ServiceAccounts to the folder that RightsEnv names.
func (c *Cluster) keepRequests() error {
	to := os.Getenv(RightsEnv)
	if to == "" {
		return nil
	}
	in, err := os.Open(c.AuditLog())
	if os.IsNotExist(err) {
		return nil // it never came up
	}
	if err != nil {
		return fmt.Errorf("keeping the requests of %s: %w", c.test, err)
	}
	defer in.Close()
	var own bytes.Buffer
	lines := bufio.NewScanner(in)
	for lines.Buffer(nil, 64<<20); lines.Scan(); {
		if bytes.Contains(lines.Bytes(), []byte(swellGroup)) {
			own.Write(append(lines.Bytes(), '\n'))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("keeping the requests of %s: %w", c.test, err)
	}
	file := filepath.Join(to, fmt.Sprintf("%s.%d.jsonl", c.test, c.ports.api))
	if err := os.WriteFile(file, own.Bytes(), 0o644); err != nil {
		return fmt.Errorf("keeping the requests of %s: %w; make the folder that %s names", c.test, err, RightsEnv)
	}
	return nil
}
