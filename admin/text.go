package admin

import (
	"cmp"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

// goTexts lists the English texts that Go code passes to visit.t. A test keeps the list complete.
// Templates name their texts themselves: see textsOf.
var goTexts = []string{
	"Default (%s)",
	"Unchanged (never)",
	"Unchanged (%s)",
	"Choose a day from today to %s.",
	"“%s” has host bits set. Enter “%s”.",
	"“%s” is not a network. Enter networks such as 192.0.2.0/24 or 2001:db8::/32.",
	"Enter at most 100 networks.",
	"“%s” is not a limit. Enter limits such as “api=100/1m” or “quota=10000/month”: a name of at most 30 lowercase letters and digits, and 1 to 1,000,000,000 requests in 1 ms to 366 days.",
	"Enter at most 8 limits, and each name once.",
	"%d of %d",
	"Enter at most 4 KiB, without control characters.",
	"Enter each name once, as “name=value”. Check the line “%s”.",
	"This service has no scope “%s”.",
	"No longer in the catalogue",
	"Edit key “%s”",
	"“%s” was changed.",
	"This field has changed since you opened the form. It is empty now.",
	"This field has changed since you opened the form. Its value is now “%s”.",
	"In %d days",
	"In a year",
	"Never",
	"On a date",
	"Add API key",
	"You entered a day, but did not choose “On a date”. Choose it and enter the day again, or continue without a day.",
	"This service does not list all of these scopes. Check the spelling, or confirm them.",
	"Key created",
	"Use “%s” anyway",
	"Choose a day from today to 100 years ahead.",
	"Choose when the key expires.",
	"Enter a name of 1 to 100 characters, without control characters.",
	"Enter at most 100 scopes, each of at most 100 visible ASCII characters other than \" and \\.",
	"Enter an owner of at most 100 characters, without control characters.",
	"Form already sent",
	"Which key is this?",
	"This is not a key of this service.",
	"Active",
	"Revoked",
	"Suspended",
	"Expired",
	"Expires soon",
	"unknown",
	"Created",
	"Changed",
	"Resumed",
	"Revoked all keys of an owner",
	"Number of keys",
	"Activity",
	"Rotated",
	"Name",
	"Owner",
	"Scopes",
	"Networks",
	"Limits",
	"Metadata",
	"Expires",
	"Replaces",
	"Replaced by",
	"API keys",
	"More than 10,000 keys",
	"At least %d keys",
	"1 key",
	"%d keys",
	"Log in",
	"Nothing was changed. Log in and try again.",
	"Nothing was changed. Log in to continue with what you entered.",
	"Session expired",
	"Too many login attempts. Wait a moment, then try again.",
	"Wrong password.",
	"Revoke all keys of an owner?",
	"This is not the name of the owner.",
	"%d keys of “%s” were revoked.",
	"1 key of “%s” was revoked.",
	"Keys revoked",
	"No keys selected",
	"Select the keys to revoke in the list first.",
	"Revoke the selected keys?",
	"%d keys were revoked.",
	"1 key was revoked.",
	"%d keys were revoked before the key store failed.",
	"1 key was revoked before the key store failed.",
	"Too many keys",
	"A file holds at most 10,000 keys and 16 MiB, which the store must return within 10 seconds. Use the filters to narrow the list.",
	"Another file is being made. Try again in a moment.",
	"Revoke key?",
	"Suspend key?",
	"Resume key?",
	"Key is revoked",
	"A revoked key cannot be changed. Add a new one instead.",
	"“%s” was suspended.",
	"“%s” is no longer suspended.",
	"Not at all",
	"An hour",
	"A day",
	"A week",
	"Rotate key “%s”",
	"The new key gets the lifetime that this key had at first.",
	"The new key gets the lifetime that this key had at first, but will expire on %s at the latest.",
	"The new key will not expire.",
	"The new key will expire on %s.",
	"Choose how long the old key continues to work.",
	"Key rotated",
	"The old key no longer works.",
	"The old key works until %s.",
	"Request blocked",
	"The request came from another site. Nothing was changed.",
	"Access denied",
	"Another account",
	"This form was opened for another account. Nothing was changed.",
	"Page not found",
	"There is no page at this address.",
	"Method not allowed",
	"This page does not accept %s requests.",
	"Misdirected request",
	"The dashboard does not answer at this address.",
	"Form too large",
	"The form is larger than 64 KiB.",
	"Key not found",
	"This service has no key with this ID.",
	"Key has changed",
	"Another change of the key came first. Nothing was written.",
	"Key no longer valid",
	"The key is revoked or expired, so it cannot be rotated. Add a new one instead.",
	"Key is suspended",
	"A suspended key cannot be rotated. Resume it first.",
	"Bad request",
	"The dashboard cannot read this request.",
	"Service unavailable",
	"The service could not check who you are. Nothing was changed. Try again in a moment.",
	"You may still be logged in. Try again in a moment.",
	"The service could not log you in. Try again in a moment.",
	"The key store did not answer. Check the list before you repeat a change: it may have been made.",
	"%s, end of day (UTC)",
	"just now",
	"%d min ago",
	"%d h ago",
	"yesterday",
	"%d days ago",
	"%d months ago",
	"%d years ago",
	"in %d s",
	"in %d min",
	"in %d h",
	"tomorrow",
	"in %d days",
	"in %d months",
	"in %d years",
	"Confirm that you want to revoke all of your keys.",
	"Revoke all of your keys?",
	"The key would be valid for too long.",
	"This is not one of your keys.",
	"You can have at most %d keys. Revoke a key to add another one.",
	"You can manage only your own keys.",
	"You can remove this scope, but not add it again.",
	"You can view keys, but not change them.",
	"You cannot give all of these scopes.",
	"You cannot resume this key.",
	"You cannot rotate this key, because it has the scope “%s”, which you cannot give.",
	"You do not have access to these pages. You may need to log in first.",
	"You have reached the maximum number of keys. Revoke a key to add another one.",
	"Your API keys",
	"You cannot change the limits of a key.",
	"You cannot change the name “%s” in the metadata.",
	"The key must have these limits: %s.",
	"The key must be restricted to these networks: %s.",
}

// texts translates the English texts of pages. The zero texts is English.
type texts struct {
	byEnglish map[string]string // nil: English
}

// load translates each English text once, so that New reports a bad translation and no page does.
func (t *texts) load(translate func(string) string, english []string) error {
	if translate == nil {
		return nil
	}
	t.byEnglish = make(map[string]string, len(english))
	for _, text := range english {
		translated := cmp.Or(translate(text), text)
		if !utf8.ValidString(translated) {
			return invalid("Translate", "text %q: want UTF-8", text)
		}
		if verbs(translated) != verbs(text) {
			return invalid("Translate", "text %q: %q does not have the same verbs", text, translated)
		}
		t.byEnglish[text] = translated
	}
	return nil
}

// t returns the translation of an English text, with values in place of its verbs. U+2068 and U+2069
// isolate a string (Unicode Standard Annex 9), because it may run in the other direction than the
// text around it.
func (t *texts) t(english string, values ...any) string {
	text := cmp.Or(t.byEnglish[english], english)
	if len(values) == 0 {
		return text
	}
	for i, value := range values {
		if s, ok := value.(string); ok {
			values[i] = isolate(s)
		}
	}
	return fmt.Sprintf(text, values...)
}

func (v *visit) t(english string, values ...any) string { return v.h.texts.t(english, values...) }

func isolate(s string) string { return "\u2068" + s + "\u2069" }

// verbs returns the characters that follow percent signs, in their order. A percent sign at the end
// counts as a verb.
func verbs(s string) string {
	var found strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i++; i == len(s) {
			found.WriteByte('%')
			break
		}
		found.WriteByte(s[i])
	}
	return found.String()
}

// languageTag is the shape of a language tag (RFC 5646). Browsers throw at other shapes.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// allTexts returns each English text of Go code and of the templates once, sorted.
func allTexts(views map[string]*template.Template) []string {
	all := slices.Concat(goTexts, textsOf(views))
	slices.Sort(all)
	return slices.Compact(all)
}

// textsOf returns the English texts that templates pass to the function t. It panics if an argument
// is not a literal, because New cannot check such a text.
func textsOf(views map[string]*template.Template) (found []string) {
	var walk func(node parse.Node)
	walkAll := func(nodes ...parse.Node) {
		for _, node := range nodes {
			walk(node)
		}
	}
	branch := func(b *parse.BranchNode) {
		walkAll(b.Pipe, b.List)
		if b.ElseList != nil {
			walk(b.ElseList)
		}
	}
	walk = func(node parse.Node) {
		switch node := node.(type) {
		case *parse.ListNode:
			walkAll(node.Nodes...)
		case *parse.ActionNode:
			walk(node.Pipe)
		case *parse.IfNode:
			branch(&node.BranchNode)
		case *parse.RangeNode:
			branch(&node.BranchNode)
		case *parse.WithNode:
			branch(&node.BranchNode)
		case *parse.TemplateNode:
			if node.Pipe != nil {
				walk(node.Pipe)
			}
		case *parse.PipeNode:
			for _, command := range node.Cmds {
				walk(command)
			}
		case *parse.CommandNode:
			if name, ok := node.Args[0].(*parse.IdentifierNode); ok && name.Ident == "t" {
				found = append(found, node.Args[1].(*parse.StringNode).Text)
			}
			walkAll(node.Args...)
		}
	}
	for _, view := range views {
		for _, t := range view.Templates() {
			walk(t.Tree.Root)
		}
	}
	return found
}
