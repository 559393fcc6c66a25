package kafka

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// tools are the programs of the broker's own release.
type tools struct{ java, libs string }

// args are those of java for a class of the release: small and quick to start, since it ends soon.
func (t tools) args(class string, args ...string) []string {
	return append([]string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(t.libs, "*"), class}, args...)
}

// GroupLine is what Kafka's own tool says of one partition of a group.
type GroupLine struct {
	Group, Topic string
	Partition    int32
	// Offset is the committed offset, or where a share group's messages begin that are not done; known where HasOffset.
	Offset    int64
	HasOffset bool
	// Lag is in messages, negative where the commit is beyond the end; known where HasLag.
	Lag    int64
	HasLag bool
}

// ConsumerGroups asks kafka-consumer-groups of a real broker's own release to describe groups; none given: all of them.
func (b *Broker) ConsumerGroups(ctx context.Context, groups ...string) ([]GroupLine, error) {
	return b.describe(ctx, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "CURRENT-OFFSET", groups)
}

// ShareGroups asks kafka-share-groups of a real broker's own release to describe groups; none given: all of them.
func (b *Broker) ShareGroups(ctx context.Context, groups ...string) ([]GroupLine, error) {
	return b.describe(ctx, "org.apache.kafka.tools.consumer.group.ShareGroupCommand", "START-OFFSET", groups)
}

func (b *Broker) describe(ctx context.Context, class, offset string, groups []string) ([]GroupLine, error) {
	if b.tools.java == "" {
		return nil, fmt.Errorf("describing groups: kfake comes without Kafka's own tools: start the broker with StartReal")
	}
	args := []string{"--bootstrap-server", b.Bootstrap, "--describe"}
	for _, g := range groups {
		args = append(args, "--group", g)
	}
	if len(groups) == 0 {
		args = append(args, "--all-groups")
	}
	command := exec.CommandContext(ctx, b.tools.java, b.tools.args(class, args...)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("describing groups by %s: %w; its output was:\n%s%s", class, err, out, stderr.String())
	}
	lines, err := parseGroups(string(out), offset)
	if err != nil {
		return nil, fmt.Errorf("describing groups by %s: %w", class, err)
	}
	return lines, nil
}

// parseGroups reads tables whose first line names the columns; a group has a table of its own. Other lines are remarks.
func parseGroups(text, offset string) ([]GroupLine, error) {
	var (
		lines   []GroupLine
		columns []string
	)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "GROUP" {
			columns = fields
			continue
		}
		if len(columns) == 0 || len(fields) != len(columns) {
			if strings.HasPrefix(line, "Error") {
				return nil, fmt.Errorf("it answered %q; read the broker's log", strings.TrimSpace(line))
			}
			continue
		}
		cell := make(map[string]string, len(columns))
		for i, name := range columns {
			cell[name] = fields[i]
		}
		if cell["TOPIC"] == "-" { // a member without partitions
			continue
		}
		one, err := parseGroup(cell, offset)
		if err != nil {
			return nil, fmt.Errorf("reading its line %q: %w; has its table changed", strings.TrimSpace(line), err)
		}
		lines = append(lines, one)
	}
	return lines, nil
}

func parseGroup(cell map[string]string, offset string) (GroupLine, error) {
	one := GroupLine{Group: cell["GROUP"], Topic: cell["TOPIC"]}
	number := func(name string) (n int64, known bool, err error) {
		if cell[name] == "-" {
			return 0, false, nil
		}
		n, err = strconv.ParseInt(cell[name], 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("column %s: %w", name, err)
		}
		return n, true, nil
	}
	partition, _, err := number("PARTITION")
	if err != nil {
		return one, err
	}
	one.Partition = int32(partition)
	if one.Offset, one.HasOffset, err = number(offset); err != nil {
		return one, err
	}
	one.Lag, one.HasLag, err = number("LAG")
	return one, err
}
