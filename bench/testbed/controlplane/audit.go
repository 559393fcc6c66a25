package controlplane

// auditPolicy records what a run is measured by and nothing that only reads. A pod made from a generateName
// has its name in the response alone; bindings name the node, status patches the conditions.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
omitManagedFields: true
rules:
- level: None
  verbs: [get, list, watch]
- level: RequestResponse
  verbs: [create]
  resources: [{group: "", resources: [pods]}]
- level: Request
  resources:
  - {group: "", resources: [pods/status, pods/binding, pods/eviction]}
  - {group: apps, resources: ["*/scale"]}
  - {group: autoscaling, resources: [horizontalpodautoscalers/status]}
  - {group: capacity.swell}
- level: Request
  verbs: [patch, update]
  resources: [{group: "", resources: [nodes]}]
- level: Metadata
  resources:
  - {group: "", resources: [pods, nodes]}
  - {group: apps, resources: [deployments, statefulsets, replicasets]}
  - {group: autoscaling, resources: [horizontalpodautoscalers]}
- level: None
`
