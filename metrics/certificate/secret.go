package certificate

import (
	"bytes"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Keys of the Secret: the certificate as other Secrets have it, the authorities that the API server is to believe, and their keys.
const (
	servingCert    = corev1.TLSCertKey
	servingKey     = corev1.TLSPrivateKeyKey
	authorityCerts = "ca.crt"
	authorityKeys  = "ca.key"
)

// read is the state that a Secret's data holds; none is none. What somebody spoiled is an error: it would be replaced by what nobody
// believes yet.
func read(data map[string][]byte) (state, error) {
	var s state
	certs, keys := data[authorityCerts], data[authorityKeys]
	for n := 1; len(bytes.TrimSpace(certs)) > 0 || len(bytes.TrimSpace(keys)) > 0; n++ {
		a, moreCerts, moreKeys, err := parsePair(certs, keys)
		if err != nil {
			return state{}, fmt.Errorf("%s and %s: authority %d: %w", authorityCerts, authorityKeys, n, err)
		}
		s.authorities = append(s.authorities, a)
		certs, keys = moreCerts, moreKeys
	}
	if len(data[servingCert]) == 0 && len(data[servingKey]) == 0 {
		return s, nil
	}
	leaf, _, _, err := parsePair(data[servingCert], data[servingKey])
	if err != nil {
		return state{}, fmt.Errorf("%s and %s: %w", servingCert, servingKey, err)
	}
	s.serving = &leaf
	return s, nil
}

// write is the data that holds a state.
func (s state) write() (map[string][]byte, error) {
	var certs, keys bytes.Buffer
	for _, a := range s.authorities {
		cert, key, err := a.pem()
		if err != nil {
			return nil, err
		}
		certs.Write(cert)
		keys.Write(key)
	}
	cert, key, err := s.serving.pem()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{authorityCerts: certs.Bytes(), authorityKeys: keys.Bytes(), servingCert: cert, servingKey: key}, nil
}
