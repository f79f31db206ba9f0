// A program that waits: the one that holds a pod's namespaces, and the containers that a node has to put up with.
package main

import (
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	deaf := flag.Bool("ignore-sigterm", false, "do not end on SIGTERM")
	limit := flag.Duration("exit-after", 0, "end by then")
	flag.Parse()

	// PID 1 ends on no signal that it does not handle.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if *deaf {
		signal.Ignore(syscall.SIGTERM)
	}
	var end <-chan time.Time
	if *limit > 0 {
		end = time.After(*limit)
	}
	select {
	case <-signals:
	case <-end:
	}
}
