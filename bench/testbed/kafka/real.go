package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"swell/bench/testbed/process"
)

// Version is the release of Apache Kafka that StartReal runs.
const Version = "4.3.0"

// ErrNoJava says that java or mvn is not on the PATH, or java is too old.
var ErrNoJava = errors.New("java and mvn are needed for a real Kafka broker: install a JDK of 17 or newer and Maven")

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
}

// Validate reports RealOptions that cannot be used.
func (o RealOptions) Validate() error {
	if o.HeapMiB < 0 || o.Partitions < 0 {
		return fmt.Errorf("kafka.RealOptions.HeapMiB %d, Partitions %d: give numbers above 0, or leave them out", o.HeapMiB, o.Partitions)
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
	first, err := process.FreePorts(2)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	dir, remove, err := folder(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	b := &Broker{Bootstrap: fmt.Sprintf("127.0.0.1:%d", first), Dir: dir, remove: remove}
	properties, err := format(ctx, java, libs, dir, serverProperties(dir, first, max(1, options.Partitions)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting Kafka: %w", err), remove())
	}
	if options.HeapMiB == 0 {
		options.HeapMiB = 512
	}
	return launch(ctx, b, process.Spec{Name: "kafka", Path: java, Log: filepath.Join(dir, "kafka.log"), Dir: dir,
		Args: []string{fmt.Sprintf("-Xmx%dm", options.HeapMiB), "-cp", filepath.Join(libs, "*"), "kafka.Kafka", properties}})
}

// findJava is a java that can run the release, or ErrNoJava.
func findJava(ctx context.Context) (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", ErrNoJava
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("asking java for its version: %w; correct the installation:\n%s", err, out)
	}
	if version := javaMajor(string(out)); version < 17 {
		return "", fmt.Errorf("%w; found version %d in %s", ErrNoJava, version, java)
	}
	return java, nil
}

// javaMajor reads the number after the first quote: openjdk version "17.0.15" is 17, java version "1.8.0" is 1.
func javaMajor(text string) int {
	_, version, _ := strings.Cut(text, `"`)
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	major, _ := strconv.Atoi(version[:max(0, end)])
	return major
}

func serverProperties(dir string, port, partitions int) string {
	return fmt.Sprintf(`process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d
controller.quorum.voters=1@127.0.0.1:%[2]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[3]s
num.partitions=%[4]d
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.coordinator.rebalance.protocols=classic,consumer,share
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
`, port, port+1, filepath.Join(dir, "data"), partitions)
}

// format writes the broker's properties and makes its data folder, as KRaft wants before the first start.
func format(ctx context.Context, java, libs, dir, text string) (properties string, err error) {
	properties = filepath.Join(dir, "server.properties")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making its folder: %w; give a writable Dir", err)
	}
	if err := os.WriteFile(properties, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("writing its properties: %w; give a writable Dir", err)
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("drawing its cluster id: %w", err)
	}
	cluster := "s" + base64.RawURLEncoding.EncodeToString(id[:])[1:] // an id may not begin with a dash
	out, err := exec.CommandContext(ctx, java, "-cp", filepath.Join(libs, "*"), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("formatting its storage: %w; give an empty Dir:\n%s", err, out)
	}
	return properties, nil
}

// project is what Maven reads to find the broker, its tools and all that they need.
const project = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>swell</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + Version + `</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
`

// fetch puts the release's jars into the cache once, whatever number of programs ask, and returns their folder.
func fetch(ctx context.Context, cache string) (libs string, err error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("fetching Kafka %s: finding the cache folder: %w; set HOME or give RealOptions.Cache", Version, err)
		}
		cache = filepath.Join(user, "swell", "kafka-"+Version)
	}
	libs = filepath.Join(cache, "libs")
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return "", ErrNoJava
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("fetching Kafka %s: %w; give a writable RealOptions.Cache", Version, err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("fetching Kafka %s: %w; give a writable RealOptions.Cache", Version, err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("fetching Kafka %s: waiting for another fetch: %w", Version, err)
	}
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	if err := download(ctx, maven, cache, libs); err != nil {
		return "", fmt.Errorf("fetching Kafka %s: %w", Version, err)
	}
	return libs, nil
}

// download fills a folder beside libs and renames it, so that libs is whole or absent.
func download(ctx context.Context, maven, cache, libs string) error {
	part := libs + ".part"
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("clearing %s: %w; remove it by hand", part, err)
	}
	pom := filepath.Join(cache, "pom.xml")
	if err := os.WriteFile(pom, []byte(project), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w; free space there", pom, err)
	}
	command := exec.CommandContext(ctx, maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+part, "-DincludeScope=runtime")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("running mvn: %w; check that Maven Central can be reached:\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(part, libs); err != nil {
		return fmt.Errorf("moving the jars into place: %w", err)
	}
	return nil
}
