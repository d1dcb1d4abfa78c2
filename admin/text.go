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
