package certificate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Options of a Keeper.
type Options struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Namespace and Secret that the replicas share; it must exist.
	Namespace, Secret string
	// Name that the certificate is for, such as swell-metrics.swell-system.svc.
	Name string
	// APIServices that are told the authorities.
	APIServices []string
	Lives       Lives
	// Every is the time between two looks; a minute by default.
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Keeper keeps the certificate in a Secret, and serves it. Each replica has one: whoever looks first does what is due, and the
// others find it done.
type Keeper struct {
	options Options

	mu        sync.RWMutex
	cert, key []byte
	listeners []dynamiccertificates.Listener
}

// The API server's library takes the certificate from it anew whenever it changes.
var (
	_ dynamiccertificates.CertKeyContentProvider = (*Keeper)(nil)
	_ dynamiccertificates.Notifier               = (*Keeper)(nil)
)

// New makes a Keeper, which has no certificate until Look has found or made one.
func New(o Options) *Keeper {
	o.Lives = o.Lives.withDefaults()
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Keeper{options: o}
}

// Run looks again and again until the context ends. What fails is logged and tried again: the certificate that is served holds for weeks.
func (k *Keeper) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.options.Every):
		}
		if err := k.Look(ctx); err != nil && ctx.Err() == nil {
			k.options.Log.Warn("the serving certificate is not looked after; the one that is served goes on until it ends", "error", err)
		}
	}
}

// Look does what is due: it reads the Secret, renews what is about to end, tells the APIServices, and serves what is there.
func (k *Keeper) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s, err := k.renewed(ctx)
	if err != nil {
		return err
	}
	// whoever is to believe it comes before what it is to believe
	var errs []error
	for _, name := range k.options.APIServices {
		errs = append(errs, k.tell(ctx, name, s.bundle()))
	}
	cert, key, err := s.serving.pem()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	k.serve(cert, key)
	return errors.Join(errs...)
}

// renewed is the Secret's state after what was due, by this replica or another one.
func (k *Keeper) renewed(ctx context.Context) (state, error) {
	o := k.options
	for {
		secret, err := o.Kube.CoreV1().Secrets(o.Namespace).Get(ctx, o.Secret, metav1.GetOptions{})
		if err != nil {
			return state{}, fmt.Errorf("read the Secret %s/%s with the serving certificate: %w: make it, empty, as the chart does, and let swell-metrics get and update it", o.Namespace, o.Secret, err)
		}
		now, err := read(secret.Data)
		if err != nil {
			return state{}, fmt.Errorf("read the Secret %s/%s with the serving certificate: %w: empty its data, and everything is made anew", o.Namespace, o.Secret, err)
		}
		next, done, err := now.next(o.Now(), o.Name, o.Lives)
		if err != nil || len(done) == 0 {
			return next, err
		}
		if secret.Data, err = next.write(); err != nil {
			return state{}, err
		}
		// of the version that was read: another replica may have been first
		_, err = o.Kube.CoreV1().Secrets(o.Namespace).Update(ctx, secret, metav1.UpdateOptions{FieldManager: "swell-metrics"})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return state{}, fmt.Errorf("write the Secret %s/%s with the serving certificate: %w: let swell-metrics update it", o.Namespace, o.Secret, err)
		}
		o.Log.Info("the serving certificate", "secret", o.Namespace+"/"+o.Secret, "did", done)
		return next, nil
	}
}

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// tell makes an APIService believe the authorities.
func (k *Keeper) tell(ctx context.Context, name string, bundle []byte) error {
	of := k.options.Dynamic.Resource(apiServices)
	const mend = "install it with the chart, and let swell-metrics get and patch it"
	found, err := of.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read APIService %s: %w: %s", name, err, mend)
	}
	text, _, _ := unstructured.NestedString(found.Object, "spec", "caBundle")
	if has, err := base64.StdEncoding.DecodeString(text); err == nil && bytes.Equal(has, bundle) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": bundle}})
	if err != nil {
		return fmt.Errorf("tell APIService %s the authority: %w", name, err)
	}
	if _, err := of.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "swell-metrics"}); err != nil {
		return fmt.Errorf("tell APIService %s the authority: %w: %s", name, err, mend)
	}
	k.options.Log.Info("an APIService was told the authority", "apiservice", name)
	return nil
}

// serve takes a certificate into use.
func (k *Keeper) serve(cert, key []byte) {
	k.mu.Lock()
	same := bytes.Equal(k.cert, cert) && bytes.Equal(k.key, key)
	k.cert, k.key = cert, key
	listeners := append([]dynamiccertificates.Listener(nil), k.listeners...)
	k.mu.Unlock()
	if !same {
		for _, l := range listeners {
			l.Enqueue()
		}
	}
}

// Name of the provider, for the library's log.
func (k *Keeper) Name() string { return k.options.Namespace + "/" + k.options.Secret }

// CurrentCertKeyContent is the certificate that is served, and its key, in PEM.
func (k *Keeper) CurrentCertKeyContent() (cert, key []byte) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.cert, k.key
}

// AddListener has somebody told of another certificate.
func (k *Keeper) AddListener(l dynamiccertificates.Listener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, l)
}
