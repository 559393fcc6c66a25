// Package kafka runs Kafka for a testbed as a process of its own: kfake, which is always there, or a real
// Apache Kafka broker where Java and Maven are. Both keep acknowledged messages and commits over a SIGKILL.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"swell/bench/testbed/process"
)

// Broker is a running Kafka cluster of one process.
type Broker struct {
	// Bootstrap is what clients dial, "127.0.0.1:port"; it stays the same over restarts.
	Bootstrap string
	// SASL and MutualTLS are the listeners of a real broker with Security; empty without.
	SASL, MutualTLS string
	// Dir is the folder of its data and log.
	Dir string

	process *process.Process
	tools   tools
	remove  func() error // removes Dir; does nothing where the caller gave it
}

const readyTimeout = 2 * time.Minute

func launch(ctx context.Context, b *Broker, spec process.Spec) (*Broker, error) {
	p, err := process.Start(ctx, spec)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting Kafka: %w", err), b.remove())
	}
	b.process = p
	if err := b.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Kafka: %w", err), b.Stop())
	}
	return b, nil
}

// Start starts the broker again after Kill, on the same port and data, and waits until it answers.
func (b *Broker) Start(ctx context.Context) error {
	if err := b.process.Restart(); err != nil {
		return fmt.Errorf("starting Kafka again: %w", err)
	}
	if err := b.await(ctx); err != nil {
		return fmt.Errorf("starting Kafka again: %w", err)
	}
	return nil
}

// Kill sends SIGKILL and waits until the broker is gone; data stays.
func (b *Broker) Kill() { b.process.Kill() }

// Stop ends the broker for good and removes its folder unless the caller gave it. Stopping twice does nothing.
func (b *Broker) Stop() error {
	b.process.Kill()
	return b.remove()
}

// Process is the broker's process, to learn of its end.
func (b *Broker) Process() *process.Process { return b.process }

// await asks until the broker answers, it ends, or time is up.
func (b *Broker) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap))
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer client.Close()
	for {
		once, cancel := context.WithTimeout(ctx, time.Second)
		err := client.Ping(once)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-b.process.Done():
			return b.process.Wait()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to answer: %w (last answer: %v); read the logs in %s", b.Bootstrap, ctx.Err(), err, b.Dir)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func folder(given string) (dir string, remove func() error, err error) {
	if given != "" {
		return given, func() error { return nil }, nil
	}
	dir, removeDir, err := process.TempDir("swell-kafka-")
	if err != nil {
		return "", nil, err
	}
	removed := false
	return dir, func() error {
		if removed {
			return nil
		}
		removed = true
		return removeDir()
	}, nil
}
