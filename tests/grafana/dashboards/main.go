// Reads dashboards as Grafana's own library does: what it does not know, or misses, is an error.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func read(name string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var board dashboard.Dashboard
	// It returns an empty list of errors too.
	var none cog.BuildErrors
	if err := board.UnmarshalJSONStrict(text); err != nil && !(errors.As(err, &none) && len(none) == 0) {
		return 0, err
	}
	return len(board.Panels), board.Validate()
}

func main() {
	plugins.RegisterDefaultPlugins()
	for _, name := range os.Args[1:] {
		panels, err := read(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
		fmt.Printf("%s: %d panels\n", name, panels)
	}
}
