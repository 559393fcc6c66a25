package kafka

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// serveFlags are the flags of the multi-call binary's part "kafka".
type serveFlags struct {
	dir           string
	port, brokers int
	topics        pairs
	configs       pairs
}

// pairs collects key=value flags, several in one separated by commas.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(item, "=")
		if !ok || key == "" || value == "" {
			return fmt.Errorf("%q is not of the form name=value", item)
		}
		p[key] = value
	}
	return nil
}

// Main serves kfake until SIGTERM or SIGINT and returns the exit code: 0, 1 for a failure, 2 for bad usage.
func Main(args []string) int {
	f, err := parseServe(args, os.Stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "kafka: %v\n", err)
		return 2
	}
	options, err := f.kfakeOptions()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kafka: %v\n", err)
		return 2
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "kafka: serving on port %d from %s: %v; free the port or give another folder\n", f.port, f.dir, err)
		return 1
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	fmt.Printf("serving on %s\n", strings.Join(cluster.ListenAddrs(), " "))
	<-ended
	cluster.Close()
	return 0
}

func parseServe(args []string, usage io.Writer) (serveFlags, error) {
	f := serveFlags{topics: pairs{}, configs: pairs{}}
	set := flag.NewFlagSet("kafka", flag.ContinueOnError)
	set.SetOutput(usage)
	set.StringVar(&f.dir, "dir", "", "folder of the data; needed")
	set.IntVar(&f.port, "listen-port", 0, "port of the first broker on 127.0.0.1, the others follow; needed")
	set.IntVar(&f.brokers, "brokers", 1, "brokers in the cluster")
	set.Var(f.topics, "topics", "topics made in an empty folder, name=partitions[,name=partitions…]")
	set.Var(f.configs, "config", "configuration of the brokers, key=value; may be given several times")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	switch {
	case set.NArg() > 0:
		return f, fmt.Errorf("unexpected argument %q; all is given by flags", set.Arg(0))
	case f.dir == "":
		return f, errors.New("--dir is missing: give the folder of the data")
	case f.port < 1 || f.brokers < 1 || f.port+f.brokers > 65536:
		return f, fmt.Errorf("--listen-port %d with --brokers %d: give ports from 1 to 65535", f.port, f.brokers)
	}
	return f, nil
}

func (f serveFlags) kfakeOptions() ([]kfake.Opt, error) {
	var ports []int
	for i := range f.brokers {
		ports = append(ports, f.port+i)
	}
	options := []kfake.Opt{
		kfake.Ports(ports...), kfake.NumBrokers(f.brokers), kfake.DataDir(f.dir), kfake.SyncWrites(), kfake.BrokerConfigs(f.configs),
		// compressed runs have compressed sessions
		kfake.GroupMinSessionTimeout(500 * time.Millisecond),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)),
	}
	for name, text := range f.topics {
		partitions, err := strconv.ParseInt(text, 10, 32)
		if err != nil || partitions < 1 {
			return nil, fmt.Errorf("--topics gives %s %q partitions: give a number of at least 1", name, text)
		}
		options = append(options, kfake.SeedTopics(int32(partitions), name))
	}
	return options, nil
}
