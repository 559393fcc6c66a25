package observe

import (
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/pack"
)

// read is one reading of a cluster.
func read(t *testing.T, objects ...client.Object) World {
	t.Helper()
	w, err := Read(t.Context(), cluster(t, objects...), NewGroups(answers{}), new(Owed), at)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// promisedPod is the only promised pod of a reading.
func promisedPod(t *testing.T, w World) *corev1.Pod {
	t.Helper()
	if len(w.Snapshot.Promised) != 1 {
		t.Fatalf("promised %v, problems %v: want one", w.Snapshot.Promised, w.Problems)
	}
	return w.Snapshot.Promised[0].Pod
}

func TestAPromisedPodIsLikeTheLastOfItsTemplate(t *testing.T) {
	d := deployment("web", 4)
	current, old := replicaSet("new", "web"), replicaSet("old", "web")
	current.Spec.Template.Labels = map[string]string{"app": "web", appsv1.DefaultDeploymentUniqueLabelKey: "abc"}
	old.Spec.Template = template("7")
	high := int32(1000)
	pod := func(set string, age time.Duration, cpu string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: ownedBy("ReplicaSet", set, meta(set+cpu)), Spec: template(cpu).Spec}
		p.Labels = map[string]string{"app": "web", appsv1.DefaultDeploymentUniqueLabelKey: "abc"}
		p.CreationTimestamp = metav1.NewTime(at.Add(-age))
		p.Spec.NodeName, p.Spec.Priority = "n", &high
		return p
	}
	p := promisedPod(t, read(t, &d, &current, &old, pod("new", 2*time.Hour, "3"), pod("new", time.Hour, "2"), pod("old", time.Second, "7")))
	if cpu := p.Spec.Containers[0].Resources.Requests.Cpu().String(); cpu != "2" {
		t.Errorf("it asks for %s: want the 2 that a LimitRange or a webhook made of its template's 1", cpu)
	}
	if p.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "abc" || p.Spec.Priority == nil || *p.Spec.Priority != high || p.Spec.NodeName != "" {
		t.Errorf("labels %v, priority %v, node %q: want those of the pod that is there, and no node", p.Labels, p.Spec.Priority, p.Spec.NodeName)
	}
}

func TestTheFirstPodOfATemplateHasWhatTheAPIServerAdds(t *testing.T) {
	class := "sandboxed"
	d := deployment("web", 1)
	d.Spec.Template.Spec.RuntimeClassName, d.Spec.Template.Spec.PriorityClassName = &class, "urgent"
	d.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("3")}}
	none := deployment("plain", 1)
	w := read(t, &d, &none,
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": resource.MustParse("500m")}},
			Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"sandbox": "yes"}}},
		&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "urgent"}, Value: 900},
		&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "usual"}, Value: 7, GlobalDefault: true})
	if len(w.Snapshot.Promised) != 2 {
		t.Fatalf("promised %v, problems %v", w.Snapshot.Promised, w.Problems)
	}
	plain, web := w.Snapshot.Promised[0].Pod, w.Snapshot.Promised[1].Pod
	ready, err := pack.NewPod(web)
	if err != nil {
		t.Fatal(err)
	}
	if cpu, _ := ready.Requests(); cpu != 3500 || web.Spec.NodeSelector["sandbox"] != "yes" || *web.Spec.Priority != 900 {
		t.Errorf("%dm of CPU, selector %v, priority %v: want 3500m, the runtime class's node and 900", cpu, web.Spec.NodeSelector, web.Spec.Priority)
	}
	if plain.Spec.Priority == nil || *plain.Spec.Priority != 7 {
		t.Errorf("priority %v: want that of the default class", plain.Spec.Priority)
	}
}

func TestAPromiseWithoutItsRuntimeClassIsAProblem(t *testing.T) {
	class := "gone"
	d := deployment("web", 1)
	d.Spec.Template.Spec.RuntimeClassName = &class
	w := read(t, &d)
	if len(w.Snapshot.Promised) != 0 || len(w.Problems) != 1 || w.Problems[0].Object != "pod template of Deployment shop/web" {
		t.Errorf("promised %v, problems %v: want none, and why", w.Snapshot.Promised, w.Problems)
	}
}

func TestGatesArePromisedWithTheTemplateThoughPodsHaveLostThem(t *testing.T) {
	d := deployment("web", 2)
	rs := replicaSet("new", "web")
	gates := []corev1.PodSchedulingGate{{Name: "wait"}}
	d.Spec.Template.Spec.SchedulingGates, rs.Spec.Template.Spec.SchedulingGates = gates, gates
	p := promisedPod(t, read(t, &d, &rs, podsOf("ReplicaSet", "new", 1)[0]))
	if len(p.Spec.SchedulingGates) != 1 {
		t.Error("the promised pod has no gate, and its own will")
	}
}

// A claim that exists tells where its pod will be; of one that does not, the pod brings its own.
func TestPromisedPodsOfAStatefulSetHaveTheirClaims(t *testing.T) {
	four := int32(4)
	db := appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: &four, Template: template("2"), Ordinals: &appsv1.StatefulSetOrdinals{Start: 5},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "made"}}}}}
	db.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}, {Name: "logs"}}
	db.Spec.VolumeClaimTemplates = append(db.Spec.VolumeClaimTemplates, db.Spec.VolumeClaimTemplates[0]) // as the API server takes it
	there := podsOf("StatefulSet", "db", 1)[0]
	there.Name = "db-6"
	w := read(t, &db, there, &corev1.PersistentVolumeClaim{ObjectMeta: meta("data-db-7")})
	got := map[string]string{}
	for _, p := range w.Snapshot.Promised {
		if p.Count != 1 || len(p.Pod.Spec.Volumes) != 2 {
			t.Errorf("%d of %s with the volumes %v: want one with data and logs", p.Count, p.Pod.Name, p.Pod.Spec.Volumes)
		}
		for _, v := range p.Pod.Spec.Volumes {
			switch {
			case v.PersistentVolumeClaim != nil:
				got[p.Pod.Name] = v.PersistentVolumeClaim.ClaimName
			case v.Ephemeral != nil:
				got[p.Pod.Name] = "new, " + v.Ephemeral.VolumeClaimTemplate.Spec.VolumeName
			}
		}
	}
	if want := map[string]string{"db-5": "new, made", "db-7": "data-db-7", "db-8": "new, made"}; !maps.Equal(got, want) {
		t.Errorf("claims %v: want %v", got, want)
	}
	if len(w.Snapshot.Volumes.Claims) != 1 {
		t.Error("the claims were not read, which tell the zone")
	}
}

func TestAStatefulSetsPromiseIsLikeThePodsOfItsNewestRevision(t *testing.T) {
	two := int32(2)
	for revision, want := range map[string]string{"new": "4", "old": "2"} {
		db := appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: &two, Template: template("2")},
			Status: appsv1.StatefulSetStatus{UpdateRevision: "new"}}
		pod := podsOf("StatefulSet", "db", 1)[0]
		pod.Spec, pod.Labels = template("4").Spec, map[string]string{appsv1.StatefulSetRevisionLabel: revision}
		if cpu := promisedPod(t, read(t, &db, pod)).Spec.Containers[0].Resources.Requests.Cpu().String(); cpu != want {
			t.Errorf("beside a pod of the %s revision it asks for %s: want %s", revision, cpu, want)
		}
	}
}

// A StatefulSet says nowhere that its pods are refused.
func TestAPromiseThatIsNotKeptEndsWithAProblem(t *testing.T) {
	three := int32(3)
	db := appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: &three, Template: template("2")}}
	g, owed := NewGroups(answers{}), new(Owed)
	for _, c := range []struct {
		after    time.Duration
		pods     int
		promised int
	}{
		{0, 0, 3}, {overdueAfter, 0, 3}, {overdueAfter + time.Second, 0, 0},
		{overdueAfter + time.Minute, 1, 2}, {2*overdueAfter + time.Minute, 1, 2}, {2*overdueAfter + 2*time.Minute, 1, 0},
		{2*overdueAfter + 3*time.Minute, 3, 0}, {2*overdueAfter + 4*time.Minute, 1, 2},
	} {
		objects := []client.Object{&db}
		for _, p := range podsOf("StatefulSet", "db", c.pods) {
			objects = append(objects, p)
		}
		w, err := Read(t.Context(), cluster(t, objects...), g, owed, at.Add(c.after))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range w.Snapshot.Promised {
			n += p.Count
		}
		late := c.promised == 0 && c.pods < 3
		if n != c.promised || (len(w.Problems) == 1 && w.Problems[0].Object == "StatefulSet shop/db" && strings.Contains(w.Problems[0].What, "of its replicas")) != late {
			t.Errorf("%s after the first reading, %d pods: %d promised, problems %v: want %d, and a problem where they were given up", c.after, c.pods, n, w.Problems, c.promised)
		}
	}
}
