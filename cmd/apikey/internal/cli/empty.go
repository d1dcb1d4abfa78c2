package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// emptyHasMeaning are the flags whose empty value means the default, or no scopes.
var emptyHasMeaning = []string{"table-prefix", "key-prefix", "actor", "scopes"}

// refuseEmpty refuses flags that are set and empty. Otherwise an unset variable in a script could, for example, let a key
// work from every network, turn off TLS or the pepper, or choose the database of the environment.
func refuseEmpty(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		empty := flag.Value.String() == ""
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			empty = len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")
		}
		if empty && !slices.Contains(emptyHasMeaning, flag.Name) {
			err = Usage(fmt.Errorf("--%s: empty; want a value, or omit the flag", flag.Name))
		}
	})
	return err
}
