package kafka

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"swell/bench/testbed/process"
)

// FakeOptions shape a kfake cluster.
type FakeOptions struct {
	// Binary is the testbed's multi-call binary (controlplane.FindBinary).
	Binary string
	// Dir is where data and log go; a folder with data goes on from it. Default: a temporary one, removed by Stop.
	Dir string
	// Port is the first broker's; the others follow it. Default: free ones.
	Port int
	// Brokers is how many brokers the cluster shows. Default: 1.
	Brokers int
	// Topics are made in an empty folder: partitions by name.
	Topics map[string]int
	// Configs are brokers' configuration, as in log.message.timestamp.type=LogAppendTime.
	Configs map[string]string
}

// Validate reports FakeOptions that cannot be used.
func (o FakeOptions) Validate() error {
	if o.Binary == "" {
		return fmt.Errorf("kafka.FakeOptions.Binary is empty: give the testbed's binary")
	}
	if o.Brokers < 0 || o.Port < 0 || o.Port+o.Brokers > 65536 {
		return fmt.Errorf("kafka.FakeOptions.Port %d with %d Brokers: give ports from 1 to 65535, or leave both out", o.Port, o.Brokers)
	}
	for name, partitions := range o.Topics {
		if name == "" || strings.ContainsAny(name, "=, ") || partitions < 1 {
			return fmt.Errorf("kafka.FakeOptions.Topics has %q with %d partitions: give a name and at least 1", name, partitions)
		}
	}
	return nil
}

// StartFake starts kfake in a process of its own and waits until it answers. Each acknowledged message and
// each commit is on disk, so Kill loses none.
func StartFake(ctx context.Context, options FakeOptions) (*Broker, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options.Brokers = max(1, options.Brokers)
	if options.Port == 0 {
		port, err := process.FreePorts(options.Brokers)
		if err != nil {
			return nil, fmt.Errorf("starting Kafka: %w", err)
		}
		options.Port = port
	}
	dir, remove, err := folder(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	args := []string{"--dir", filepath.Join(dir, "data"), "--listen-port", strconv.Itoa(options.Port), "--brokers", strconv.Itoa(options.Brokers)}
	if len(options.Topics) > 0 {
		var topics []string
		for _, name := range slices.Sorted(maps.Keys(options.Topics)) {
			topics = append(topics, fmt.Sprintf("%s=%d", name, options.Topics[name]))
		}
		args = append(args, "--topics", strings.Join(topics, ","))
	}
	for _, key := range slices.Sorted(maps.Keys(options.Configs)) {
		args = append(args, "--config", key+"="+options.Configs[key])
	}
	b := &Broker{Bootstrap: fmt.Sprintf("127.0.0.1:%d", options.Port), Dir: dir, remove: remove}
	return launch(ctx, b, process.Spec{Name: "kafka", Path: options.Binary, Argv0: "kafka", Args: args, Log: filepath.Join(dir, "kafka.log")})
}
