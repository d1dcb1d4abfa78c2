package emby

import (
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// Sources are all the places where clients of Emby and Jellyfin put a key, for
// apikey.Options:
//
//	X-Emby-Token: KEY
//	X-MediaBrowser-Token: KEY
//	?api_key=KEY or ?ApiKey=KEY, in any case
//	Authorization: MediaBrowser Client="…", Device="…", DeviceId="…", Version="…", Token="KEY"
//	X-Emby-Authorization: the same text
//
// The scheme of the last two is also called Emby, and both are read in any case. Other
// schemes in Authorization are passed over, since they may be a proxy's login. A value may
// stand in quotes or not, and a comma in quotes is part of it. In a key an escape such as
// %2F is decoded, as Jellyfin's SDK writes it, if all of the escapes are right; a plus sign
// stays one. Token="" is no key.
//
// Quotes are not escaped by these clients: each opens or closes. Some servers do not heed
// them and split at every comma. Where such a server would find another key, as in
// Device="5" disk", Token="KEY", the request is refused with [apikey.ErrAmbiguous], and a
// comma in a key must therefore be written %2C.
func Sources() []apikey.Source {
	return []apikey.Source{
		apikey.Header("X-Emby-Token"),
		apikey.Header("X-MediaBrowser-Token"),
		apikey.Query("api_key"),
		apikey.Query("ApiKey"),
		authorization("scheme MediaBrowser", "Authorization"),
		authorization("header X-Emby-Authorization", "X-Emby-Authorization"),
	}
}

// authorization is a source for a field with the text of the MediaBrowser scheme.
func authorization(name, field string) apikey.Source {
	return apikey.SourceFunc(name, func(r *http.Request) (string, error) {
		return tokenOf(r.Header[field])
	})
}
