package auth

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"swell/api/config"
)

// password is PLAIN or SCRAM with the password as its file has it at each new connection.
func password(k config.KafkaCluster, log *slog.Logger) sasl.Mechanism {
	s := k.SASL
	file := &rotating[string]{log: log, load: func() (string, error) { return readSecret(fieldOf(k, "sasl.passwordFile"), s.PasswordFile) }}
	read := func() (string, error) {
		pass, err := file.get()
		if err != nil {
			return "", explained{fmt.Errorf("log in to Kafka cluster %q as %q: %w", k.Name, s.Username, err)}
		}
		return pass, nil
	}
	if s.Mechanism == config.SASLPlain {
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := read()
			return plain.Auth{User: s.Username, Pass: pass}, err
		})
	}
	login := func(context.Context) (scram.Auth, error) {
		pass, err := read()
		return scram.Auth{User: s.Username, Pass: pass}, err
	}
	if s.Mechanism == config.SASLScramSHA256 {
		return scram.Sha256(login)
	}
	return scram.Sha512(login)
}
