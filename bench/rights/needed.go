package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
)

// reportNeeded gives, for each grant, a user that has all others of its account, and asks a real API server whether he may do what
// the tests did.
func reportNeeded(ctx context.Context, to io.Writer, grants []grant, requests []request, unused map[string]string) (err error) {
	cluster, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	kube, err := kubernetes.NewForConfig(cluster.AdminConfig())
	if err != nil {
		return err
	}
	a := authorizer{kube: kube}
	for _, name := range []string{"swell-system"} {
		if _, err := kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making namespace %s: %w", name, err)
		}
	}
	if err := a.prepare(ctx, grants); err != nil {
		return err
	}
	var wrong []string
	needed := 0
	for i, g := range grants {
		if _, listed := unused[g.String()]; listed || g.fromKubernetes && len(testsOf(g, requests)) == 0 {
			continue
		}
		r, err := a.denied(ctx, user(i), g, requests)
		if err != nil {
			return err
		}
		if r == nil {
			wrong = append(wrong, fmt.Sprintf("%s can be taken out: every recorded request is allowed without it; take it out of charts/swell", g))
			continue
		}
		needed++
		fmt.Fprintf(to, "without %s: %s is denied, of %s\n", g, r, r.test)
	}
	for _, r := range requests {
		allowed, err := a.may(ctx, "whole-"+r.account, r)
		if err != nil {
			return err
		}
		if !allowed && grantedBy(grants, r) {
			wrong = append(wrong, fmt.Sprintf("%s is denied under all of the chart's rules, of %s", r, r.test))
		}
	}
	fmt.Fprintf(to, "%d rights, %d of them needed by a request of a test.\n", len(grants), needed)
	return failures(wrong)
}

func grantedBy(grants []grant, r request) bool {
	for _, g := range grants {
		if !r.denied && g.allows(r) {
			return true
		}
	}
	return false
}

// user has all grants of its account but the one of that number.
func user(without int) string { return fmt.Sprintf("without-%d", without) }

type authorizer struct{ kube kubernetes.Interface }

// prepare makes the users' roles, and waits until the authorizer knows them.
func (a authorizer) prepare(ctx context.Context, grants []grant) error {
	work, inner := errgroup.WithContext(ctx)
	work.SetLimit(16)
	byAccount := map[string][]int{}
	for i, g := range grants {
		byAccount[g.account] = append(byAccount[g.account], i)
	}
	for account, its := range byAccount {
		work.Go(func() error { return a.roles(inner, "whole-"+account, grants, its, -1) })
		for _, without := range its {
			work.Go(func() error { return a.roles(inner, user(without), grants, its, without) })
		}
	}
	if err := work.Wait(); err != nil {
		return err
	}
	// the last of all: what was made before it is known before it
	if err := a.roles(ctx, "last", []grant{{verb: "get", resource: "nodes"}}, []int{0}, -1); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		allowed, err := a.may(ctx, "last", request{verb: "get", resource: "nodes"})
		if err != nil {
			return err
		}
		if allowed {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("waiting for the authorizer to know the roles: not within a minute; run it again on a machine that does less")
		}
	}
}

// roles gives a user the grants of those numbers but one.
func (a authorizer) roles(ctx context.Context, user string, grants []grant, numbers []int, without int) error {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, i := range numbers {
		if i != without {
			rules[grants[i].namespace] = append(rules[grants[i].namespace], grants[i].rules())
		}
	}
	subjects := []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}}
	meta := metav1.ObjectMeta{Name: user}
	for namespace, its := range rules {
		var err error
		if namespace == "" {
			_, err = a.kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: its}, metav1.CreateOptions{})
			if err == nil {
				_, err = a.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects,
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}}, metav1.CreateOptions{})
			}
		} else {
			_, err = a.kube.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: its}, metav1.CreateOptions{})
			if err == nil {
				_, err = a.kube.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects,
					RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user}}, metav1.CreateOptions{})
			}
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("making the roles of %s in %q: %w", user, namespace, err)
		}
	}
	return nil
}

// denied is a request that a grant allows and its user, who lacks it, may not make; nil is that there is none.
func (a authorizer) denied(ctx context.Context, user string, g grant, requests []request) (*request, error) {
	for _, r := range requests {
		if r.denied || !g.allows(r) {
			continue
		}
		allowed, err := a.may(ctx, user, r)
		if err != nil {
			return nil, err
		}
		if !allowed {
			return &r, nil
		}
	}
	return nil, nil
}

// may asks the API server whether a user may make a request.
func (a authorizer) may(ctx context.Context, user string, r request) (bool, error) {
	resource, sub, _ := strings.Cut(r.resource, "/")
	review, err := a.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: r.namespace, Verb: r.verb, Group: r.group, Resource: resource, Subresource: sub, Name: r.name},
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("asking whether %s may %s: %w", user, r, err)
	}
	return review.Status.Allowed, nil
}
