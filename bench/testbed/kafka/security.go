package kafka

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Security lets a real broker tell its clients apart. Who comes in plain text may still do everything; who comes by SASL over
// TLS, or by a certificate of its own, may do what ACLs allow.
type Security struct {
	// Certificate and Key are the broker's, in PEM; the key as PKCS #8.
	Certificate, Key []byte
	// ClientCA signs the certificates of clients, in PEM. Such a client is the user of its certificate's whole subject, as in User:CN=name.
	ClientCA []byte
	// Users are names and passwords, known to PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; of letters, digits, - and _. OAUTHBEARER takes
	// unsigned tokens of any subject.
	Users map[string]string
}

var credential = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// Validate reports a Security that cannot be used.
func (s Security) Validate() error {
	if len(s.Certificate) == 0 || len(s.Key) == 0 || len(s.ClientCA) == 0 {
		return fmt.Errorf("kafka.Security lacks Certificate, Key or ClientCA: give all three in PEM")
	}
	for name, password := range s.Users {
		if !credential.MatchString(name) || !credential.MatchString(password) {
			return fmt.Errorf("kafka.Security.Users has %q, whose name or password is not of letters, digits, - and _: give another", name)
		}
	}
	return nil
}

const (
	keyStoreFile   = "broker.pem"
	trustStoreFile = "clients.pem"
)

func (s Security) write(dir string) error {
	store := slices.Concat(s.Key, s.Certificate)
	if err := os.WriteFile(filepath.Join(dir, keyStoreFile), store, 0o600); err != nil {
		return fmt.Errorf("writing its certificate: %w; give a writable Dir", err)
	}
	if err := os.WriteFile(filepath.Join(dir, trustStoreFile), s.ClientCA, 0o600); err != nil {
		return fmt.Errorf("writing its clients' authority: %w; give a writable Dir", err)
	}
	return nil
}

func (s Security) properties(dir string) map[string]string {
	const security = "org.apache.kafka.common.security."
	plain := security + "plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(s.Users)) {
		plain += fmt.Sprintf(" user_%s=%q", name, s.Users[name])
	}
	scram := security + "scram.ScramLoginModule required;"
	return map[string]string{
		"ssl.keystore.type":                                 "PEM",
		"ssl.keystore.location":                             filepath.Join(dir, keyStoreFile),
		"ssl.truststore.type":                               "PEM",
		"ssl.truststore.location":                           filepath.Join(dir, trustStoreFile),
		"listener.name.mutual.ssl.client.auth":              "required",
		"sasl.enabled.mechanisms":                           "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"listener.name.sasl.plain.sasl.jaas.config":         plain + ";",
		"listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
		"listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
		"listener.name.sasl.oauthbearer.sasl.jaas.config":   security + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
		"authorizer.class.name":                             "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                       "User:ANONYMOUS",
	}
}

// formatArgs put the users where SCRAM looks for them.
func (s Security) formatArgs() []string {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(s.Users)) {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, s.Users[name]))
		}
	}
	return args
}
