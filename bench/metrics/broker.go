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
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"

	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

// broker is a Kafka cluster that counts what it is asked, in a process of its own so that its work is not taken for
// that of whoever is measured.
type broker struct {
	process   *process.Process
	addresses []string
	countsURL string
}

// startBroker starts kfake with so many brokers and waits until it answers.
func startBroker(ctx context.Context, brokers int, log string) (*broker, error) {
	port, err := process.FreePorts(brokers + 1)
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	b := &broker{countsURL: fmt.Sprintf("http://127.0.0.1:%d/", port+brokers)}
	for i := range brokers {
		b.addresses = append(b.addresses, fmt.Sprintf("127.0.0.1:%d", port+i))
	}
	b.process, err = startPart(ctx, partBroker, log, "--port", fmt.Sprint(port), "--brokers", fmt.Sprint(brokers))
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	return b, stack.Poll(ctx, "waiting for Kafka", startTimeout, func(ctx context.Context) (bool, error) {
		_, err := b.counts(ctx)
		return err == nil, ended(b.process, err)
	})
}

// counts is all traffic so far, by client id.
func (b *broker) counts(ctx context.Context) (map[string]Traffic, error) {
	all := map[string]Traffic{}
	if err := getJSON(ctx, b.countsURL, &all); err != nil {
		return nil, fmt.Errorf("read the brokers' counts: %w", err)
	}
	return all, nil
}

// of is the traffic of one client so far.
func (b *broker) of(ctx context.Context, client string) (Traffic, error) {
	all, err := b.counts(ctx)
	return all[client], err
}

// brokerMain serves until SIGTERM.
func brokerMain(args []string) int {
	set := flag.NewFlagSet(partBroker, flag.ContinueOnError)
	port := set.Int("port", 0, "port of the first broker, the others follow, then that of the counts")
	brokers := set.Int("brokers", 1, "brokers in the cluster")
	if err := set.Parse(args); err != nil {
		return 2
	}
	var ports []int
	for i := range *brokers {
		ports = append(ports, *port+i)
	}
	counted := newCounter()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(*brokers), kfake.Ports(ports...), kfake.ListenFn(counted.listen),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: serve Kafka at port %d: %v: free the ports\n", partBroker, *port, err)
		return 1
	}
	defer cluster.Close()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port+*brokers))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: serve the counts: %v: free the port\n", partBroker, err)
		return 1
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(counted.snapshot()) }))
	}()
	fmt.Printf("serving on %s\n", strings.Join(cluster.ListenAddrs(), " "))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return 0
}
