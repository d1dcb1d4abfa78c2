// Package emby lets clients that were written for Emby or Jellyfin use a service whose
// keys are those of package apikey.
package emby
