// Package browsertest tests the dashboard in a real browser.
package browsertest
