{{/* The image, by digest if there is one. */}}
{{- define "swell.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: there is no public image; build one, push it to a registry of yours (make image, docs/delivery.md), and name it" -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Labels of every object. Give a dict of root and component. */}}
{{- define "swell.labels" -}}
{{ include "swell.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "swell.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "swell.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "swell.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Replicas apart from each other. Give a dict of root and component. */}}
{{- define "swell.spread" -}}
{{- range $key, $when := dict "topology.kubernetes.io/zone" .root.Values.topologySpread.zone "kubernetes.io/hostname" .root.Values.topologySpread.host }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $when }}
  labelSelector:
    matchLabels:
      {{- include "swell.selector" $ | nindent 6 }}
  {{- if not $.stateful }}
  matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}

{{/* What every pod of ours has. Give a dict of root, component and values. */}}
{{- define "swell.pod" -}}
serviceAccountName: {{ .component }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  {{- include "swell.podSecurity" . | nindent 2 }}
topologySpreadConstraints:
{{- include "swell.spread" . }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The port of an address such as :8080. */}}
{{- define "swell.port" -}}
{{- with . }}{{ splitList ":" . | last | int }}{{ end -}}
{{- end -}}

{{/* Go's memory limit, a tenth below the container's: the garbage is collected before the kernel kills. Give the component's values. */}}
{{- define "swell.memoryLimit" -}}
{{- $own := dict -}}
{{- range .env }}{{ $_ := set $own .name true }}{{ end -}}
{{- $limit := toString (get (default dict .resources.limits) "memory") -}}
{{- if and (regexMatch "^[0-9]+[MG]i$" $limit) (not (hasKey $own "GOMEMLIMIT")) -}}
- {name: GOMEMLIMIT, value: {{ div (mul (int64 (regexFind "^[0-9]+" $limit)) (ternary 1024 1 (hasSuffix "Gi" $limit)) 9) 10 }}MiB}
{{- end -}}
{{- end -}}

{{/* Annotations of a pod. Give a dict of root, component, values, the port of its metrics, and the config that a change of is to restart it; "" is none. */}}
{{- define "swell.podAnnotations" -}}
{{- with .config }}
checksum/config: {{ . | sha256sum }}
{{- end }}
{{- if and .root.Values.monitoring.datadog .port }}
ad.datadoghq.com/{{ .component }}.checks: |
  {"openmetrics": {"instances": [{"openmetrics_endpoint": "http://%%host%%:{{ .port }}/metrics", "namespace": "swell", "metrics": [".*"]}]}}
{{- end }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* swell-scaler's configuration: what the chart knows, under what the values say. */}}
{{- define "swell.scalerConfig" -}}
{{- if not (default dict .Values.scaler.config.aws).region -}}
{{- fail "scaler.config.aws.region is empty: give the region of the Auto Scaling groups, such as ap-northeast-1, or set scaler.enabled to false" -}}
{{- end -}}
{{- $own := dict
  "ledgerDir" "/var/lib/swell/ledger"
  "leaderElection" (dict "namespace" .Release.Namespace)
  "history" (dict "checkpoints" .Release.Namespace)
  "healthAddress" ":8081"
  "metricsAddress" ":8080"
  "page" (dict "bind" ":8443") -}}
{{- $whole := mergeOverwrite $own (deepCopy .Values.scaler.config) -}}
{{- if not (default dict $whole.leaderElection).namespace -}}
{{- fail "scaler.config.leaderElection.namespace is empty: then every replica acts, each for itself; leave it out, or name the namespace of the Lease" -}}
{{- end -}}
{{- toYaml $whole -}}
{{- end -}}

{{/* The ConfigMaps that the scaler keeps beside its Lease. */}}
{{- define "swell.scalerMaps" -}}
[swell-by-hand, swell-scaler-guard-rails, swell-scaler-intents, swell-scaler-ledger, swell-scaler-told]
{{- end -}}

{{/* The address of the live page; empty is off. */}}
{{- define "swell.pageBind" -}}
{{- $page := default dict .Values.scaler.config.page -}}
{{- if hasKey $page "bind" }}{{ $page.bind }}{{ else }}:8443{{ end -}}
{{- end -}}

{{- define "swell.metricsConfig" -}}
{{- if not .Values.metrics.config.clusters -}}
{{- fail "metrics.config.clusters is empty: give the Kafka clusters with their brokers, or set metrics.enabled to false" -}}
{{- end -}}
{{- $apis := list -}}
{{- if .Values.metrics.apis.external }}{{ $apis = append $apis "External" }}{{ end -}}
{{- if .Values.metrics.apis.custom }}{{ $apis = append $apis "Custom" }}{{ end -}}
{{- $own := dict
  "apis" $apis
  "listen" ":8080"
  "lease" (dict "namespace" .Release.Namespace "name" "swell-metrics") -}}
{{- $whole := mergeOverwrite $own (deepCopy .Values.metrics.config) -}}
{{- range list "namespace" "name" -}}
{{- if not (get (default dict $whole.lease) .) -}}
{{- fail (printf "metrics.config.lease.%s is empty: leave it out, or name the %s of the Lease" . .) -}}
{{- end -}}
{{- end -}}
{{- toYaml $whole -}}
{{- end -}}

{{/* Whether the scaler only watches: then it has no rights to change anything. */}}
{{- define "swell.observes" -}}
{{- if eq (toString .Values.scaler.config.mode) "Observe" }}true{{ end -}}
{{- end -}}

{{/* The names of the APIServices, one a line. */}}
{{- define "swell.apiservices" -}}
{{- if .Values.metrics.apis.external }}v1beta1.external.metrics.k8s.io
{{ end -}}
{{- if .Values.metrics.apis.custom }}v1beta2.custom.metrics.k8s.io
v1beta1.custom.metrics.k8s.io
{{ end -}}
{{- end -}}

{{/* ServiceMonitor, PodMonitor or nothing. */}}
{{- define "swell.monitor" -}}
{{- $how := .Values.monitoring.prometheus -}}
{{- if eq $how "Auto" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" }}ServiceMonitor{{ end -}}
{{- else if ne $how "None" -}}
{{ $how }}
{{- end -}}
{{- end -}}
