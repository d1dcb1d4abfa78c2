package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// access returns what the client may do. It is the zero Access if the client may see no keys.
func (v *visit) access() manage.Access {
	if v.keys == nil {
		return manage.Access{}
	}
	return v.keys.Access()
}

// own reports whether the session is that of an owner. An owner sees only their own keys.
func (v *visit) own() bool { return v.access().Owner != "" }

// accountField is the field of a form that names the account of the session to which the form was shown.
const accountField = "account"

// account identifies the account of the client to its own forms. It is a digest of the
// Owner, and "" without an Owner.
func (v *visit) account() string {
	owner := v.access().Owner
	if owner == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(sum[:16])
}

// checkAccount reports whether the posted form was shown to this account. Browser tabs share a session, so
// a form can be sent after another customer has logged in from a second tab.
func (v *visit) checkAccount() (bool, error) {
	if err := v.readForm(); err != nil {
		return false, err
	}
	return v.r.PostForm.Get(accountField) == v.account(), nil
}

// beyond returns the first of the scopes that the client may not give, or "".
func (v *visit) beyond(scopes []string) string {
	access := v.access()
	for _, scope := range scopes {
		if !access.AnyScope && !slices.Contains(access.Scopes, scope) {
			return scope
		}
	}
	return ""
}

// offered returns the scopes that the forms offer. closed means that a key can get no other scopes.
func (v *visit) offered() (scopes []apikey.Scope, closed bool) {
	scopes = v.h.desk.Issuer().Scopes()
	catalogue := scopes != nil
	if !catalogue {
		for _, name := range v.h.scopes {
			scopes = append(scopes, apikey.Scope{Name: name})
		}
	}
	access := v.access()
	if access.AnyScope {
		return scopes, catalogue
	}
	var own []apikey.Scope
	for _, name := range access.Scopes {
		known := slices.IndexFunc(scopes, func(s apikey.Scope) bool { return s.Name == name })
		switch {
		case known >= 0:
			own = append(own, scopes[known])
		case !catalogue:
			own = append(own, apikey.Scope{Name: name})
		}
	}
	return own, true
}

// An allowance is the number of keys that an owner has and may have. Most is 0 without a limit.
type allowance struct{ Keys, Most int }

// Full reports whether the owner may have no further key.
func (a allowance) Full() bool { return a.Most > 0 && a.Keys >= a.Most }

// allowance counts the keys that are neither revoked nor expired.
func (v *visit) allowance() (a allowance, err error) {
	if a.Most = v.access().MaxKeys; a.Most == 0 {
		return a, nil
	}
	now := v.h.now()
	for _, status := range []apikey.Status{apikey.StatusActive, apikey.StatusSuspended} {
		for key, err := range apikey.Keys(v.r.Context(), visible{session: v.keys}, apikey.ListOptions{Status: status}) {
			if err != nil {
				return a, err
			}
			if key.ExpiresAt.IsZero() || key.ExpiresAt.After(now) {
				a.Keys++
			}
		}
	}
	return a, nil
}

// fullText says why the client cannot add a key.
func (v *visit) fullText(a allowance) string {
	return v.t("You can have at most %d keys. Revoke a key to add another one.", a.Most)
}

// refusal returns why manage refused a change, in the language of the page.
func (v *visit) refusal(refused *manage.RefusedError) string {
	if v.h.texts.byEnglish == nil {
		return refused.Problem
	}
	switch refused.Rule {
	case manage.RuleReadOnly:
		return v.t("You can view keys, but not change them.")
	case manage.RuleScopes:
		return v.t("You cannot give all of these scopes.")
	case manage.RuleLifetime:
		return v.t("The key would be valid for too long.")
	case manage.RuleKeys:
		return v.t("You have reached the maximum number of keys. Revoke a key to add another one.")
	case manage.RuleOwner:
		return v.t("You can manage only your own keys.")
	case manage.RuleNetworks:
		return v.t("The key must be restricted to these networks: %s.", strings.Join(networkWords(v.access().Networks), ", "))
	case manage.RuleLimits:
		if limits := v.access().Limits; len(limits) > 0 {
			return v.t("The key must have these limits: %s.", limitsText(limits))
		}
		return v.t("You cannot change the limits of a key.")
	case manage.RuleMetadata:
		return v.t("You cannot change the name “%s” in the metadata.", manage.MetadataDeclaredBy)
	case manage.RuleResume:
		return v.t("You cannot resume this key.")
	}
	return refused.Problem
}

// mayResume reports whether the client may resume suspended keys.
func (v *visit) mayResume() bool { return v.access().AllOwners || v.access().MayResume }

// beyondText says why the client cannot rotate a key.
func (v *visit) beyondText(scope string) string {
	return v.t("You cannot rotate this key, because it has the scope “%s”, which you cannot give.", scope)
}

// refused reports whether manage refused a field of the form with this error. If so, it adds the refusal
// to the problems of the form.
func (v *visit) refused(p *keyForm, err error) bool {
	var refused *manage.RefusedError
	if !errors.As(err, &refused) {
		return false
	}
	field := formField[refused.Field]
	if field == "limits" && v.own() {
		field = "" // the form of an owner has no such field
	}
	p.Problems = append(p.Problems, problem{field, v.refusal(refused)})
	return true
}

// formField maps the fields of a key to those of the form.
var formField = map[string]string{
	"Name": "name", "Owner": "owner", "Scopes": "scopes", "Networks": "networks", "Limits": "limits", "Metadata": "metadata", "ExpiresAt": "expiry",
}
