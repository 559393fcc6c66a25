package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"swell/bench/testbed/process"
)

// RealOptions shape a real broker.
type RealOptions struct {
	// Dir is where data and log go; it must be empty or absent. Default: a temporary one, removed by Stop.
	Dir string
	// Cache is where the release is fetched to, once. Default: swell/kafka-4.3.0 in the user's cache folder.
	Cache string
	// HeapMiB is the largest heap of the JVM, in MiB. Default: 512.
	HeapMiB int
	// Partitions is how many a topic made without a number has. Default: 1.
	Partitions int
	// Configs are broker properties, as in log.retention.check.interval.ms=500; they go before what StartReal would choose.
	Configs map[string]string
	// Security adds listeners where clients must say who they are, and ACLs. Default: everyone may do everything, in plain text.
	Security *Security
}

// Validate reports RealOptions that cannot be used.
func (o RealOptions) Validate() error {
	if o.HeapMiB < 0 || o.Partitions < 0 {
		return fmt.Errorf("kafka.RealOptions.HeapMiB %d, Partitions %d: give numbers above 0, or leave them out", o.HeapMiB, o.Partitions)
	}
	for key, value := range o.Configs {
		if key == "" || strings.ContainsAny(key, "=: \n") || strings.ContainsAny(value, "\n\\") {
			return fmt.Errorf("kafka.RealOptions.Configs has %q = %q: give a property's name and a value of one line", key, value)
		}
	}
	if o.Security != nil {
		return o.Security.Validate()
	}
	return nil
}

// StartReal starts one Apache Kafka broker in KRaft mode and waits until it answers. The first call on a
// machine fetches the release from Maven Central. Without Java the error is ErrNoJava.
func StartReal(ctx context.Context, options RealOptions) (*Broker, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	libs, err := fetch(ctx, options.Cache)
	if err != nil {
		return nil, err
	}
	first, err := process.FreePorts(4)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	dir, remove, err := folder(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	b := &Broker{Bootstrap: fmt.Sprintf("127.0.0.1:%d", first), Dir: dir, remove: remove, tools: tools{java: java, libs: libs}}
	if options.Security != nil {
		b.SASL, b.MutualTLS = fmt.Sprintf("127.0.0.1:%d", first+2), fmt.Sprintf("127.0.0.1:%d", first+3)
	}
	properties, err := b.tools.format(ctx, dir, first, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting Kafka: %w", err), remove())
	}
	if options.HeapMiB == 0 {
		options.HeapMiB = 512
	}
	return launch(ctx, b, process.Spec{Name: "kafka", Path: java, Log: filepath.Join(dir, "kafka.log"), Dir: dir,
		Args: []string{fmt.Sprintf("-Xmx%dm", options.HeapMiB), "-cp", filepath.Join(libs, "*"), "kafka.Kafka", properties}})
}

// serverProperties are the broker's, whose ports are port for everyone, port+1 for its controller, port+2 for SASL and port+3 for mutual TLS.
func serverProperties(dir string, port int, options RealOptions) string {
	p := map[string]string{
		"process.roles": "broker,controller", "node.id": "1",
		"listeners":                                        fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", port, port+1),
		"advertised.listeners":                             fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", port),
		"controller.quorum.voters":                         fmt.Sprintf("1@127.0.0.1:%d", port+1),
		"controller.listener.names":                        "CONTROLLER",
		"inter.broker.listener.name":                       "PLAINTEXT",
		"listener.security.protocol.map":                   "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
		"log.dirs":                                         filepath.Join(dir, "data"),
		"num.partitions":                                   fmt.Sprint(max(1, options.Partitions)),
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "4",
		"group.coordinator.rebalance.protocols":            "classic,consumer,share",
		"group.initial.rebalance.delay.ms":                 "0",
		"group.min.session.timeout.ms":                     "500",
	}
	if options.Security != nil {
		listeners := fmt.Sprintf(",SASL://127.0.0.1:%d,MUTUAL://127.0.0.1:%d", port+2, port+3)
		p["listeners"] += listeners
		p["advertised.listeners"] += listeners
		maps.Copy(p, options.Security.properties(dir))
	}
	maps.Copy(p, options.Configs)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&text, "%s=%s\n", key, p[key])
	}
	return text.String()
}

// format writes the broker's properties and makes its data folder, as KRaft wants before the first start.
func (t tools) format(ctx context.Context, dir string, port int, options RealOptions) (properties string, err error) {
	properties = filepath.Join(dir, "server.properties")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making its folder: %w; give a writable Dir", err)
	}
	if err := os.WriteFile(properties, []byte(serverProperties(dir, port, options)), 0o600); err != nil {
		return "", fmt.Errorf("writing its properties: %w; give a writable Dir", err)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("drawing its cluster id: %w", err)
	}
	cluster := "s" + base64.RawURLEncoding.EncodeToString(id[:])[1:] // an id may not begin with a dash
	args := []string{"-t", cluster, "-c", properties}
	if options.Security != nil {
		if err := options.Security.write(dir); err != nil {
			return "", err
		}
		args = append(args, options.Security.formatArgs()...)
	}
	out, err := exec.CommandContext(ctx, t.java, t.args("kafka.tools.StorageTool", append([]string{"format"}, args...)...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("formatting its storage: %w; give an empty Dir:\n%s", err, out)
	}
	return properties, nil
}
