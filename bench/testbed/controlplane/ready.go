package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// bootTimeout is for one component on a machine that is busy with other things.
const bootTimeout = 2 * time.Minute

// The components make their own certificates where they are given none, so health is asked without a check of them.
var healthClient = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
}

// WaitReady waits until every component says that it is ready, or one of them has ended.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for _, one := range []component{c.etcd(), c.apiServer(files{}), c.controllerManager(files{}), c.scheduler(files{}), c.kwok(files{})} {
		if err := c.await(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// await polls a component's health until it answers 200, it ends, or time is up.
func (c *Cluster) await(ctx context.Context, one component) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	p := c.Process(one.name)
	last := "no answer yet"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, one.health, nil)
		if err != nil {
			return fmt.Errorf("asking %s for its health: %w", one.name, err)
		}
		response, err := healthClient.Do(request)
		switch {
		case err != nil:
			last = err.Error()
		case response.StatusCode == http.StatusOK:
			_ = response.Body.Close()
			return nil
		default:
			last = response.Status
			_ = response.Body.Close()
		}
		select {
		case <-p.Done():
			return p.Wait()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last answer: %s); read %s", one.name, ctx.Err(), last, c.LogFile(one.name))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitControllers waits for work of the controller-manager, whose health says nothing of its controllers.
func (c *Cluster) awaitControllers(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.AdminConfig())
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return c.poll(ctx, "waiting for the service account that the controller-manager makes in namespace default", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// poll asks until the answer is nil; what waits is named by doing.
func (c *Cluster) poll(ctx context.Context, doing string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit := <-c.failures:
			return fmt.Errorf("%s: %w", doing, exit)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last answer: %v); read the logs in %s", doing, ctx.Err(), err, c.dir)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
