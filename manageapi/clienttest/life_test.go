package clienttest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi/clienttest/client"
)

// newClient returns a generated client that sends a secret.
func newClient(t *testing.T, server, secret string) *client.ClientWithResponses {
	t.Helper()
	c, err := client.NewClientWithResponses(server,
		client.WithHTTPClient(&http.Client{Transport: validatingTransport{t, newDescription(t)}}),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("X-API-Key", secret)
			return nil
		}))
	require.NoError(t, err)
	return c
}

func TestLifeOfKey(t *testing.T) {
	t.Parallel()
	for name, newStore := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, issuer := newHandler(t, newStore(t))
			server := httptest.NewServer(handler)
			defer server.Close()
			ctx := t.Context()
			secret, caller, err := issuer.Issue(ctx, apikey.NewKey{Name: "Deployment", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}})
			require.NoError(t, err)
			c := newClient(t, server.URL+"/manage", secret.Reveal())

			created, err := c.CreateKeyWithResponse(ctx, &client.CreateKeyParams{IdempotencyKey: new(`"8e03978e"`)}, client.NewKey{
				Name: "Backup job", Scopes: &[]string{"read"}, Networks: &[]string{"192.0.2.0/24"}, Metadata: &map[string]string{"room": "4"},
				Limits:    &[]client.KeyLimit{{Name: "rate", Requests: 10, Per: new(60.0)}},
				ExpiresAt: new(time.Now().Add(time.Hour))})
			require.NoError(t, err)
			require.NotNil(t, created.JSON201, string(created.Body))
			id := created.JSON201.Key.Id
			requireKeyOf(t, issuer, id, *created.JSON201.Secret)

			listed, err := c.ListKeysWithResponse(ctx, &client.ListKeysParams{Search: new("backup"), Status: new(client.StatusActive), Limit: new(10)})
			require.NoError(t, err)
			require.Len(t, listed.JSON200.Keys, 1)
			require.Equal(t, created.JSON201.Key, listed.JSON200.Keys[0])

			got, err := c.GetKeyWithResponse(ctx, id, nil)
			require.NoError(t, err)
			tag := got.HTTPResponse.Header.Get("ETag")
			require.Equal(t, fmt.Sprintf("%q", got.JSON200.Version), tag)
			unchanged, err := c.GetKeyWithResponse(ctx, id, &client.GetKeyParams{IfNoneMatch: &tag})
			require.NoError(t, err)
			require.Equal(t, 304, unchanged.StatusCode())

			use, err := c.GetKeyUseWithResponse(ctx, id)
			require.NoError(t, err)
			require.Equal(t, []client.LimitUse{{Limit: client.KeyLimit{Name: "rate", Requests: 10, Per: new(60.0)}, Remaining: 10}}, use.JSON200.Limits)

			patch := client.KeyPatch{Name: new("Nightly"), ExpiresAt: nullable.NewNullNullable[time.Time](),
				Metadata: nullable.NewNullableWithValue(map[string]*string{"room": nil, "rack": new("B")})}
			updated, err := c.UpdateKeyWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, id, &client.UpdateKeyParams{IfMatch: &tag}, patch)
			require.NoError(t, err)
			require.NotNil(t, updated.JSON200, string(updated.Body))
			require.Equal(t, "Nightly", updated.JSON200.Name)
			require.Nil(t, updated.JSON200.ExpiresAt)
			require.Equal(t, map[string]string{"rack": "B"}, updated.JSON200.Metadata)
			lost, err := c.UpdateKeyWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, id, &client.UpdateKeyParams{IfMatch: &tag}, patch)
			require.NoError(t, err)
			require.NotNil(t, lost.ApplicationproblemJSON412, "the tag of an earlier state")

			rotated, err := c.RotateKeyWithResponse(ctx, id, nil, client.Rotation{Grace: new(3600.0)})
			require.NoError(t, err)
			require.NotNil(t, rotated.JSON201, string(rotated.Body))
			require.Equal(t, id, *rotated.JSON201.Key.Replaces)
			successor := rotated.JSON201.Key.Id
			requireKeyOf(t, issuer, successor, *rotated.JSON201.Secret)
			again, err := c.RotateKeyWithResponse(ctx, id, nil, client.Rotation{})
			require.NoError(t, err)
			require.Equal(t, successor, *again.ApplicationproblemJSON409.Successor)

			suspended, err := c.SuspendKeyWithResponse(ctx, successor, nil)
			require.NoError(t, err)
			require.Equal(t, client.StatusSuspended, suspended.JSON200.Status)
			resumed, err := c.ResumeKeyWithResponse(ctx, successor, nil)
			require.NoError(t, err)
			require.Equal(t, client.StatusActive, resumed.JSON200.Status)
			identified, err := c.IdentifyKeyWithResponse(ctx, client.SecretToIdentify{Secret: *rotated.JSON201.Secret})
			require.NoError(t, err)
			require.Equal(t, successor, identified.JSON200.Id)
			revoked, err := c.RevokeKeyWithResponse(ctx, successor, nil)
			require.NoError(t, err)
			require.Equal(t, client.StatusRevoked, revoked.JSON200.Status)

			history, err := c.GetKeyHistoryWithResponse(ctx, successor, nil)
			require.NoError(t, err)
			require.NotEmpty(t, history.JSON200.Entries)
			require.Equal(t, "revoke", history.JSON200.Entries[0].Action)
			require.Equal(t, manage.KeyActor(caller), history.JSON200.Entries[0].Actor)
			missing, err := c.GetKeyWithResponse(ctx, "unknown", nil)
			require.NoError(t, err)
			require.NotNil(t, missing.ApplicationproblemJSON404)

			who, err := c.WhoAmIWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, caller.ID, who.JSON200.Key.Id)
			require.Equal(t, "alice", *who.JSON200.Access.Owner)

			all, err := c.RevokeAllWithResponse(ctx, client.OwnerToRevoke{Owner: "alice"})
			require.NoError(t, err)
			require.Equal(t, 2, all.JSON200.Revoked, "the caller's own key and the rotated one")
		})
	}
}

// requireKeyOf fails the test if a secret is not that of the key with this ID.
func requireKeyOf(t *testing.T, issuer *apikey.Issuer, id, secret string) {
	t.Helper()
	key, err := issuer.Identify(t.Context(), apikey.NewSecret(secret))
	require.NoError(t, err)
	require.Equal(t, id, key.ID)
}
