// SPDX-License-Identifier: MIT

// Command verdicts asks Go's own reader about many traces: it takes one path a line on standard
// input and prints one line each, "OK EVENTS" or "BAD EVENTS REASON". EVENTS counts what came
// before the end or the defect. A reader that panics counts as one that refuses.
//
// With -iterate FILE it reads one trace without looking at its events, for benchmarks, and prints
// "EVENTS NANOSECONDS".
//
// With -make DIR it writes traces of its own process instead, small ones for mutation.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/exp/trace"
)

// touch asks for everything that an event carries: some defects show only then.
func touch(e trace.Event) {
	for range e.Stack().Frames() {
	}
	switch e.Kind() {
	case trace.EventSync:
		e.Sync()
	case trace.EventMetric:
		e.Metric()
	case trace.EventLabel:
		e.Label()
	case trace.EventRangeBegin, trace.EventRangeActive:
		e.Range()
	case trace.EventRangeEnd:
		e.Range()
		e.RangeAttributes()
	case trace.EventTaskBegin, trace.EventTaskEnd:
		e.Task()
	case trace.EventRegionBegin, trace.EventRegionEnd:
		e.Region()
	case trace.EventLog:
		e.Log()
	case trace.EventStateTransition:
		t := e.StateTransition()
		for range t.Stack.Frames() {
		}
		if t.Resource.Kind == trace.ResourceGoroutine {
			t.Goroutine()
		} else if t.Resource.Kind == trace.ResourceProc {
			t.Proc()
		}
	case trace.EventExperimental:
		e.Experimental()
	}
}

func read(path string) (events int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r, err := trace.NewReader(bufio.NewReader(f))
	if err != nil {
		return 0, err
	}
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) && err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		touch(e)
		events++
	}
}

func iterate(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	begin, events := time.Now(), 0
	r, err := trace.NewReader(bufio.NewReaderSize(f, 1<<16))
	for err == nil {
		if _, err = r.ReadEvent(); err == nil {
			events++
		}
	}
	fmt.Println(events, time.Since(begin).Nanoseconds())
	if err != io.EOF {
		return err
	}
	return nil
}

func main() {
	file := flag.String("iterate", "", "read `FILE` and nothing more")
	dir := flag.String("make", "", "write small traces of this process into `DIR`")
	flag.Parse()
	if *dir != "" {
		if err := makeTraces(*dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if *file != "" {
		if err := iterate(*file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		events, err := read(in.Text())
		if err == nil {
			fmt.Fprintln(out, "OK", events)
			continue
		}
		reason, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintln(out, "BAD", events, reason)
	}
}
