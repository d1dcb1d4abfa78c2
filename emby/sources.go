package emby

import (
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// Sources returns every place where clients of Emby and Jellyfin put a key, for
// apikey.Options:
//
//	X-Emby-Token: KEY
//	X-MediaBrowser-Token: KEY
//	?api_key=KEY, ?ApiKey=KEY, ?X-Emby-Token=KEY or ?X-MediaBrowser-Token=KEY, in any case
//	Authorization: MediaBrowser Client="…", Device="…", DeviceId="…", Version="…", Token="KEY"
//	X-Emby-Authorization: the same text
//
// The scheme of the last two is MediaBrowser or Emby, in any case. Authorization with another
// scheme is ignored, because it may be the login of a proxy.
//
// Quotes around a value are optional. A comma inside quotes belongs to the value. Escapes, such as
// the %2F of Jellyfin's SDK, are decoded if all escapes of the key are well formed. A plus sign
// is not a space. Token="" carries no key.
//
// Clients do not escape quotes, and servers parse this text in different ways. The middleware
// therefore refuses a request with [apikey.ErrAmbiguous] if known parsers could disagree about
// its key. Some parsers split at every comma (Device="5" disk", Token="KEY"). Others read the text
// after an empty value as the value (Token=,KEY), process backslashes, or trim other spaces.
// Clients must escape a comma, a quote, a backslash and a trailing plus sign in a key (%2C).
func Sources() []apikey.Source {
	return []apikey.Source{
		apikey.Header("X-Emby-Token"),
		apikey.Header("X-MediaBrowser-Token"),
		apikey.Query("api_key"),
		apikey.Query("ApiKey"),
		apikey.Query("X-Emby-Token"), // the vendor's web client, for servers of version 4.4 and later
		apikey.Query("X-MediaBrowser-Token"),
		authorization("scheme MediaBrowser", "Authorization"),
		authorization("header X-Emby-Authorization", "X-Emby-Authorization"),
	}
}

// authorization returns a source that reads field as credentials of the MediaBrowser scheme.
func authorization(name, field string) apikey.Source {
	return apikey.SourceFunc(name, func(r *http.Request) (string, error) {
		return tokenOf(r.Header[field])
	}, field)
}
