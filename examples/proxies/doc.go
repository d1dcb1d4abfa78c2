// Package proxies contains configurations of nginx, HAProxy and Caddy for a service with API keys.
// Their caches never give a caller the response to another caller, and their logs show no key. The
// tests run the configurations with the real programs.
package proxies
