package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// This test is here, because the module of the command does not import the types of the Kubernetes API.
func TestManifestsOfTheCommandAreConsistent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../cmd/apikey/deploy/kubernetes.yaml")
	require.NoError(t, err)
	var deployment appsv1.Deployment
	var rules corev1.ConfigMap
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	objects := []any{&deployment, &rules, &service, &budget}
	parts := bytes.Split(text, []byte("\n---\n"))
	require.Len(t, parts, len(objects))
	for i, object := range objects {
		require.NoError(t, yaml.UnmarshalStrict(parts[i], object))
	}
	pod := deployment.Spec.Template
	assert.Equal(t, deployment.Spec.Selector.MatchLabels, pod.Labels)
	assert.Equal(t, service.Spec.Selector, pod.Labels)
	assert.Equal(t, budget.Spec.Selector.MatchLabels, pod.Labels)
	c := pod.Spec.Containers[0]
	assert.Equal(t, c.Ports[0].Name, service.Spec.Ports[0].TargetPort.StrVal)
	for name, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		assert.Equal(t, name, probe.HTTPGet.Path)
		assert.Equal(t, c.Ports[0].Name, probe.HTTPGet.Port.StrVal)
	}
	assert.Equal(t, rules.Name, pod.Spec.Volumes[1].ConfigMap.Name)
	assert.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	assert.EqualValues(t, 65532, *pod.Spec.SecurityContext.RunAsUser, "USER in the Dockerfile")
	assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
	assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
}
