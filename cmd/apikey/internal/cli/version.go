package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version returns the command that prints the version of the program.
func Version(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
			}{"(devel)", "", runtime.Version()}
			if build, ok := debug.ReadBuildInfo(); ok {
				if build.Main.Version != "" {
					v.Version = build.Main.Version
				}
				for _, setting := range build.Settings {
					if setting.Key == "vcs.revision" {
						v.Revision = setting.Value
					}
				}
			}
			if a.JSON {
				return a.PrintJSON(v)
			}
			_, err := fmt.Fprintf(a.Out, "apikey %s, %s\n", v.Version, v.Go)
			return err
		},
	}
}
