// Package leak receives reports of leaked keys and revokes them. It also writes rules with which secret
// scanners find keys.
//
//   - [GitHub] is the endpoint of GitHub's secret scanning partner program.
//   - [Webhook] is an endpoint for every other scanner, with signatures of Standard Webhooks.
//   - [Verify] tells a scanner whether a key that it found is live.
//   - [Plaintext] refuses requests over plain HTTP and revokes the keys that they carried.
//   - [Rules] writes rules for gitleaks, betterleaks and trufflehog.
//
// The endpoints revoke through a [manage.Desk], so the audit trail names the reporter of each key. They
// never pass the leaked token on: no log, error, response or [Report] contains it.
//
// # Bodies
//
// GitHub and Webhook accept a JSON array of up to 10,000 objects and 4 MiB:
//
//	[{"token": "ak_…", "type": "example_api_key", "url": "https://github.com/…", "source": "commit"}]
//
// Only the token is required. An endpoint ignores other members, and elements without a token. At one time it
// handles up to 16 requests and reads up to 64 MiB of bodies, without the first 64 KiB of each. It answers further
// requests with 503. It reads up to 256 requests at a time, and a further one ends the oldest.
//
// # Responses
//
// A reported key is revoked before the response is sent. The response is a JSON array that says for each
// token whether it is a key of this service (true_positive) or not (false_positive). It contains the
// SHA-256 of the token instead of the token. A text that is not in the [apikey.Format] costs no lookup.
//
// If the store or Options.OnLeak fails, or Options.Timeout ends, the response is 503, so that the sender
// repeats the request. Keys that were revoked until then stay revoked. A repeated request revokes the rest.
//
//	200  every reported key is revoked, and OnLeak has accepted every Report
//	400  the body is not a JSON array
//	403  the signature is missing or wrong
//	405  the method is not POST
//	413  the body is too large
//	503  try again
package leak
