package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Version is the release of Apache Kafka that StartReal runs.
const Version = "4.3.0"

// ErrNoJava says that java or mvn is not on the PATH, or java is too old.
var ErrNoJava = errors.New("java and mvn are needed for a real Kafka broker: install a JDK of 17 or newer and Maven")

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
