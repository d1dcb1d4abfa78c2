// Package proxies contains configurations of nginx, HAProxy and Caddy for a service with API keys.
// Their caches never give the response for one caller to another caller, and their logs show no key. The
// tests run the configurations with the real programs.
package proxies
