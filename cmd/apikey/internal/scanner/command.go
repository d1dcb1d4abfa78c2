// Package scanner is the command that prints rules for secret scanners.
package scanner

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/leak"
)

// Command returns the command that prints rules for a secret scanner.
func Command(a *cli.App) *cobra.Command {
	var o leak.RuleOptions
	cmd := &cobra.Command{
		Use:   "scanner-rules TOOL",
		Short: "Print rules for a secret scanner to find keys",
		Long: `Print a configuration for a secret scanner to find keys with the prefix of --key-prefix. It extends the default rules
of the scanner. TOOL is one of:
  gitleaks      version 8, .gitleaks.toml
  betterleaks1  version 1, .betterleaks.toml
  betterleaks2  version 2, .betterleaks.toml
  trufflehog    version 3, config.yaml`,
		Example:   `  apikey scanner-rules gitleaks --key-prefix acme --service Acme > .gitleaks.toml`,
		Args:      oneTool,
		ValidArgs: tools(),
		RunE: func(_ *cobra.Command, args []string) error {
			format, err := a.Format()
			if err != nil {
				return err
			}
			rules, err := leak.Rules(format, leak.Tool(args[0]), o)
			if err != nil {
				return usage(err)
			}
			_, err = io.WriteString(a.Out, rules)
			return err
		},
	}
	cmd.Flags().StringVar(&o.Service, "service", "", "name of the service, for the description of the rule")
	cmd.Flags().StringVar(&o.VerifyURL, "verify-url", "", "https URL at which the scanner asks whether a key is live;\nit sends every key that it finds to this URL")
	return cmd
}

// oneTool requires one argument, which leak.Rules checks.
func oneTool(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usage(fmt.Errorf("TOOL: %d arguments; want one of %s", len(args), strings.Join(tools(), ", ")))
	}
	return nil
}

func tools() (names []string) {
	for _, tool := range leak.Tools() {
		names = append(names, string(tool))
	}
	return names
}

// usage replaces the name of a field in an error by the name of the argument or flag.
func usage(err error) error {
	invalid, ok := errors.AsType[*apikey.InvalidError](err)
	name := map[string]string{"Tool": "TOOL", "Service": "--service", "VerifyURL": "--verify-url"}
	if !ok || name[invalid.Field] == "" {
		return err
	}
	return cli.Usage(fmt.Errorf("%s: %s", name[invalid.Field], invalid.Problem))
}
