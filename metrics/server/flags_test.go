package server

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestClientRateIsEnoughForAHundredConsumers(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	if err := s.Flags().Parse(nil); err != nil {
		t.Fatal(err)
	}
	if ttl := s.Authorization.AllowCacheTTL; ttl != time.Minute {
		t.Errorf("without flags an allowed question is remembered for %s, want a minute", ttl)
	}
	if s.ClientQPS != 50 || s.ClientBurst != 100 {
		t.Errorf("without flags %g requests a second and a burst of %d, want 50 and 100", s.ClientQPS, s.ClientBurst)
	}
	s = New(slog.New(slog.DiscardHandler))
	if err := s.Flags().Parse([]string{"--client-qps=7"}); err != nil || s.ClientQPS != 7 {
		t.Errorf("--client-qps=7 gives %g, %v", s.ClientQPS, err)
	}
}

func TestVersionIsPrintedWhenAsked(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	if err := s.Flags().Parse(nil); err != nil {
		t.Fatal(err)
	}
	if text, asked := s.Version(); asked {
		t.Errorf("not asked, and it says %q", text)
	}
	if err := s.Flags().Parse([]string{"--version"}); err != nil {
		t.Fatal(err)
	}
	if text, asked := s.Version(); !asked || !strings.HasPrefix(text, "swell-metrics ") || !strings.Contains(text, "go1.") {
		t.Errorf("%q, %v", text, asked)
	}
}
