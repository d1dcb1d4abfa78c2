package admin

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Text is what the pages say, for hosts that translate it. A field that is empty is English.
// Texts in which English has a verb of package fmt, such as %s, must have the same verbs.
type Text struct {
	Lang string // of the pages, as in the attribute lang; "" is en
	Dir  string // "ltr" or "rtl"; "" is ltr

	// Every page.
	Product, Section, SkipToContent, SignedInAs, LogOut, Cancel, Back, Copy, Copied, Never string

	// The login.
	LoginTitle, LoginLead, Password, LogIn, LoginWrong, LoginBusy string

	// The list.
	ListTitle, ListLead, AddKey, Search, SearchHint, StatusLabel, SortLabel, Apply, ClearFilters                           string
	StatusAll, StatusActive, StatusExpired, StatusRevoked, StatusExpiring, SortNewest, SortName, SortExpires               string
	ColumnName, ColumnStatus, ColumnScopes, ColumnOwner, ColumnCreated, ColumnUsed, ColumnExpires, ColumnActions, NoScopes string
	Rotate, RotateNamed, Revoke, RevokeNamed, NeverUsed, Unused, NextPage, FirstPage, SearchOn, SearchOnLead               string
	EmptyTitle, EmptyLead, EmptySnippet, NothingTitle, NothingLead                                                         string

	// Adding a key.
	AddTitle, AddLead, NameLabel, NameHint, ScopesLabel, ScopesHint, OwnerLabel, OwnerHint, ExpiryLabel, ExpiryHint                        string
	ExpiryDays, ExpiryYear, ExpiryNever, ExpiryDate, DateLabel, Create, Problems, Optional                                                 string
	ProblemName, ProblemScopes, ProblemOwner, ProblemExpiry, ProblemDate, ProblemDateUnused, ProblemGrace, AlreadyAddedTitle, AlreadyAdded string

	// The new key.
	NewTitle, NewLead, NewKeyLabel, NewUseLabel, NewOnce, Done, ViewKey, OldKeyUntil, OldKeyEnded string

	// The page of a key.
	KeyID, KeyReplaces, KeyExpired, KeyRevokedAt, HistoryTitle, HistoryNone, HistoryOff            string
	HistoryWhen, HistoryWho, HistoryWhat, HistoryDetail, HistoryOlder, HistoryNewest, UnknownActor string
	ActionCreate, ActionUpdate, ActionReplace, ActionRevoke, DangerTitle, DangerLead, RotateLead   string

	// Revoking and rotating.
	RevokeTitle, RevokeLead, RevokeUsed, RevokeNeverUsed, RevokeConfirm, RevokedNotice, AlreadyRevoked string
	RotateTitle, RotateExplain, GraceLabel, GraceNone, GraceHour, GraceDay, GraceWeek, GraceHint       string
	RotateConfirm, RotatedTitle, RotatedLead, RotateUnknown, ViewSuccessor                             string

	// Times. The verbs are numbers.
	JustNow, MinutesAgo, HoursAgo, Yesterday, DaysAgo, MonthsAgo, YearsAgo string
	InMinutes, InHours, Tomorrow, InDays, InMonths, InYears                string

	// Errors.
	NotFoundTitle, NotFound, NoKeyTitle, NoKey, EndedTitle, Ended, ForbiddenTitle, Forbidden, LoggedOutTitle, LoggedOut string
	StaleFormTitle, StaleForm, CrossSiteTitle, CrossSite, TooLargeTitle, TooLarge, BadRequestTitle, BadRequest          string
	MethodTitle, Method, UnavailableTitle, Unavailable                                                                  string
}

var english = Text{
	Lang: "en", Dir: "ltr",

	Product: "Advanced", Section: "Security", SkipToContent: "Skip to content", SignedInAs: "Signed in as %s",
	LogOut: "Log out", Cancel: "Cancel", Back: "Back to API keys", Copy: "Copy", Copied: "Copied", Never: "Never",

	LoginTitle: "Log in", LoginLead: "API keys are for administrators.", Password: "Password", LogIn: "Log in",
	LoginWrong: "That is not the password.", LoginBusy: "There were too many logins. Wait a little, then try again.",

	ListTitle: "API keys", ListLead: "Give each system that calls this service a key of its own, so that one can be revoked and the others go on.",
	AddKey: "Add API key", Search: "Search", SearchHint: "Name, ID or hint", StatusLabel: "Status", SortLabel: "Sort by", Apply: "Apply",
	ClearFilters: "Clear", StatusAll: "All", StatusActive: "Active", StatusExpired: "Expired", StatusRevoked: "Revoked", StatusExpiring: "Expires soon",
	SortNewest: "Newest", SortName: "Name", SortExpires: "Expiry", ColumnName: "Name", ColumnStatus: "Status", ColumnScopes: "Scopes",
	ColumnOwner: "Owner", ColumnCreated: "Created", ColumnUsed: "Last used", ColumnExpires: "Expires", ColumnActions: "Actions", NoScopes: "No scopes",
	Rotate: "Rotate", RotateNamed: "Rotate %s", Revoke: "Revoke", RevokeNamed: "Revoke %s", NeverUsed: "Never used", Unused: "Unused for 90 days",
	NextPage: "Next page", FirstPage: "First page", SearchOn: "Go on searching",
	SearchOnLead: "Not all keys were looked at yet.",
	EmptyTitle:   "No API keys yet", EmptyLead: "Add one for the first system that will call this service. It then sends the key with each request:",
	EmptySnippet: "What a request with a key looks like", NothingTitle: "No key matches", NothingLead: "Try another search or another status.",

	AddTitle: "Add API key", AddLead: "The key is shown once, after this step.", NameLabel: "Name", NameHint: "Which system will use it, for example “Backup job”.",
	ScopesLabel: "Scopes", ScopesHint: "What it may do, for example “library:read”. Several are separated by blanks.", OwnerLabel: "Owner",
	OwnerHint: "A person or a team to ask about it. It cannot be changed later.", ExpiryLabel: "Expires", ExpiryHint: "A key that is not used any more should not work for ever.",
	ExpiryDays: "In %d days", ExpiryYear: "In a year", ExpiryNever: "Never", ExpiryDate: "On a date", DateLabel: "Last day (UTC)", Create: "Create key",
	Problems: "Please check these:", Optional: "optional",
	ProblemName: "Give it a name of 1 to 100 characters, without control characters.", ProblemScopes: "Scopes are of visible ASCII characters other than \" and \\, at most 100 of 100 characters.",
	ProblemOwner: "The owner has at most 100 characters, without control characters.", ProblemExpiry: "Choose when it expires.",
	ProblemDate:       "Choose a day from today on, at most 100 years ahead.",
	ProblemDateUnused: "A day was given, but “On a date” was not chosen. Choose it and give the day again, or go on without a day.", ProblemGrace: "Choose how long the old key goes on working.",
	AlreadyAddedTitle: "This form was sent already", AlreadyAdded: "It made one key, which was shown in the answer to the first time. If you did not copy it, revoke that key and add another.",

	NewTitle: "Key created", NewLead: "“%s” is ready. Copy the key now.", NewKeyLabel: "API key", NewUseLabel: "Try it",
	NewOnce: "This is the only time it is shown: only a digest of it is kept. Store it where the system that uses it can read it, and nobody else.",
	Done:    "Done", ViewKey: "View key", OldKeyUntil: "The old key works until %s.", OldKeyEnded: "The old key has stopped working.",

	KeyID: "ID", KeyReplaces: "Replaces", KeyExpired: "Expired", KeyRevokedAt: "Revoked", HistoryTitle: "History",
	HistoryNone: "Nothing is recorded.", HistoryOff: "The store of this service keeps no history.", HistoryWhen: "When", HistoryWho: "Who", HistoryWhat: "What",
	HistoryDetail: "Detail", HistoryOlder: "Older", HistoryNewest: "Newest", UnknownActor: "unknown",
	ActionCreate: "Created", ActionUpdate: "Changed", ActionReplace: "Rotated", ActionRevoke: "Revoked",
	DangerTitle: "Actions", DangerLead: "Revoking ends the key for good, on every server. Nothing brings it back.",
	RotateLead: "Rotating makes a successor with the same name and scopes, while the old key goes on for a while.",

	RevokeTitle: "Revoke “%s”?", RevokeLead: "Whatever uses the key %s is refused from now on. This cannot be undone.", RevokeUsed: "It was last used %s.",
	RevokeNeverUsed: "It was never used.", RevokeConfirm: "Revoke key", RevokedNotice: "“%s” was revoked.", AlreadyRevoked: "It is revoked already.",
	RotateTitle: "Rotate “%s”", RotateExplain: "You get a new key with the same name, owner and scopes, shown once. The old one goes on working for a while, so that you can exchange it.",
	GraceLabel: "How long should the old key go on working?", GraceNone: "Not at all", GraceHour: "An hour", GraceDay: "A day", GraceWeek: "A week",
	GraceHint: "Never longer than until its own expiry.", RotateConfirm: "Rotate key", RotatedTitle: "This key was rotated already",
	RotatedLead: "It has a successor. Rotate that one instead.", ViewSuccessor: "View its successor",
	RotateUnknown: "This service keeps no history of its keys. If this one was rotated before, rotate its successor instead: another one would live no longer than the old key still does.",

	JustNow: "just now", MinutesAgo: "%d min ago", HoursAgo: "%d h ago", Yesterday: "yesterday", DaysAgo: "%d days ago", MonthsAgo: "%d months ago", YearsAgo: "%d years ago",
	InMinutes: "in %d min", InHours: "in %d h", Tomorrow: "tomorrow", InDays: "in %d days", InMonths: "in %d months", InYears: "in %d years",

	NotFoundTitle: "There is no such page", NotFound: "The address leads nowhere.", NoKeyTitle: "There is no such key", NoKey: "It may belong to another service.",
	EndedTitle: "The key has ended", Ended: "It is revoked or expired, so it cannot be rotated. Add another instead.",
	ForbiddenTitle: "Not for you", Forbidden: "Only administrators may manage API keys.",
	LoggedOutTitle: "You are logged out", LoggedOut: "Nothing was changed. Log in and try again.",
	StaleFormTitle: "The form is out of date", StaleForm: "Nothing was changed. Go back, load the page again and repeat it.",
	CrossSiteTitle: "Refused", CrossSite: "The request came from another site. Nothing was changed.",
	TooLargeTitle: "Too much", TooLarge: "The form is larger than 64 KiB.", BadRequestTitle: "That cannot be read", BadRequest: "The request is not what a page of the dashboard sends.",
	MethodTitle: "That does not work here", Method: "This page does not answer to %s.",
	UnavailableTitle: "The keys cannot be reached", Unavailable: "The store did not answer. Nothing was changed, as far as is known. Try again in a moment.",
}

// language is the shape of a language tag (BCP 47): browsers throw at others.
var language = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// complete returns t with English where it is silent. t may be nil.
func (t *Text) complete() (*Text, error) {
	if t == nil {
		return &english, nil
	}
	c := *t
	from, to := reflect.ValueOf(&english).Elem(), reflect.ValueOf(&c).Elem()
	for i := range to.NumField() {
		given, own := to.Field(i), from.Field(i).String()
		if given.String() == "" {
			given.SetString(own)
		} else if verbs(given.String()) != verbs(own) {
			return nil, invalid("Text.%s: %q: want the same verbs as in %q", to.Type().Field(i).Name, given.String(), own)
		}
	}
	if !language.MatchString(c.Lang) {
		return nil, invalid("Text.Lang: %q; want a tag of BCP 47 such as de or pt-BR", c.Lang)
	}
	if c.Dir != "ltr" && c.Dir != "rtl" {
		return nil, invalid("Text.Dir: %q; want ltr or rtl", c.Dir)
	}
	return &c, nil
}

// verbs returns the verbs in a text for fmt. One of Text has one at most.
func verbs(s string) string {
	var found strings.Builder
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '%' {
			i++
			found.WriteByte(s[i])
		}
	}
	return found.String()
}

// Format fills the one verb of a text with something that may be written in the other direction:
// U+2068 and U+2069 isolate it, or it would drag the words beside it along.
func (t *Text) Format(text, value string) string { return fmt.Sprintf(text, isolate(value)) }

func isolate(s string) string { return "\u2068" + s + "\u2069" }
