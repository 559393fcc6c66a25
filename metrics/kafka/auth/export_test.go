package auth

import (
	"context"

	"swell/api/config"
)

// FirstMessage is what a login begins with.
func FirstMessage(k config.KafkaCluster, broker string) ([]byte, error) {
	i, err := New(k, nil)
	if err != nil {
		return nil, err
	}
	_, first, err := i.mechanism.Authenticate(context.Background(), broker)
	return first, err
}
