package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// instructions returns the name and the arguments of each instruction of the Dockerfile.
func instructions(t *testing.T) (found [][2]string) {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			name, rest, _ := strings.Cut(line, " ")
			found = append(found, [2]string{name, rest})
		}
	}
	return found
}

func TestDockerfileBuildsAStaticProgram(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "service")
	for _, instruction := range instructions(t) {
		if instruction[0] != "RUN" {
			continue
		}
		command := strings.ReplaceAll(instruction[1], "-o /service", "-o "+binary)
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, out)
	}
	usage, err := exec.Command(binary, "help").CombinedOutput()
	assert.Error(t, err)
	assert.Contains(t, string(usage), "usage: production")
	program, err := os.ReadFile(binary)
	require.NoError(t, err)
	assert.False(t, bytes.Contains(program, []byte("ld-linux")), "the program needs ld-linux, which scratch does not contain")
}

func TestImageContainsOnlyTheProgram(t *testing.T) {
	t.Parallel()
	var stage [][2]string
	for _, instruction := range instructions(t) {
		if instruction[0] == "FROM" {
			stage = nil
		}
		stage = append(stage, instruction)
	}
	assert.Equal(t, [][2]string{
		{"FROM", "scratch"},
		{"COPY", "--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/"},
		{"COPY", "--from=build /service /service"},
		{"USER", "65532:65532"},
		{"EXPOSE", "8080"},
		{"ENTRYPOINT", `["/service"]`},
	}, stage)
}

func TestManifestsAreConsistentWithTheProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("kubernetes.yaml")
	require.NoError(t, err)
	parts := strings.Split(string(text), "\n---\n")
	var deployment appsv1.Deployment
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	for i, object := range []any{&deployment, &service, &budget} {
		require.NoError(t, yaml.UnmarshalStrict([]byte(parts[i]), object))
	}
	require.Len(t, parts, 3)
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
	assert.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	assert.EqualValues(t, 65532, *pod.Spec.SecurityContext.RunAsUser, "USER in the Dockerfile")
	const drain, grace = 5 * time.Second, 20 * time.Second // config.drain, serve
	assert.Greater(t, time.Duration(*pod.Spec.TerminationGracePeriodSeconds)*time.Second, drain+grace)
	// The readiness probe must fail within the drain.
	assert.Less(t, time.Duration(c.ReadinessProbe.PeriodSeconds*c.ReadinessProbe.FailureThreshold)*time.Second, drain)

	script, err := os.ReadFile("secrets.sh")
	require.NoError(t, err)
	for _, variable := range c.Env {
		require.True(t, strings.HasSuffix(variable.Name, "_FILE"), "a secret in the environment: %s", variable.Name)
		assert.Contains(t, string(script), "--from-file="+strings.TrimPrefix(variable.Value, c.VolumeMounts[0].MountPath+"/"))
	}
	assert.Empty(t, c.EnvFrom)
}

func TestProgramReadsTheVariablesOfTheManifest(t *testing.T) {
	text, err := os.ReadFile("kubernetes.yaml")
	require.NoError(t, err)
	var deployment appsv1.Deployment
	first, _, _ := strings.Cut(string(text), "\n---\n")
	require.NoError(t, yaml.UnmarshalStrict([]byte(first), &deployment))
	for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
		file := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(file, []byte(variable.Name), 0o600))
		t.Setenv(variable.Name, file)
	}
	c, err := loadConfig()
	require.NoError(t, err)
	assert.Equal(t, []string{"DATABASE_URL_FILE", "PEPPER_FILE", "ADMIN_PASSWORD_HASH_FILE", "SEED_KEY_FILE"},
		[]string{c.database.Reveal(), c.pepper.Reveal(), c.passwordHash.Reveal(), c.seedKey.Reveal()})
}
