// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"syscall"
	"time"
)

var sink []byte

// annotate leaves tasks, nested and unfinished regions, and logs.
func annotate() {
	ctx, outer := trace.NewTask(context.Background(), "outer")
	defer outer.End()
	for i := range 3 {
		trace.WithRegion(ctx, "work", func() {
			inner, task := trace.NewTask(ctx, "inner")
			trace.Log(inner, "step", fmt.Sprint(i))
			task.End()
		})
	}
	done := make(chan bool)
	go func() {
		trace.StartRegion(ctx, "left open")
		close(done)
	}()
	<-done
}

// pass sends through channels and locks, and blocks in system calls.
func pass() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	c := make(chan int)
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				mu.Lock()
				runtime.Gosched()
				mu.Unlock()
				c <- i
			}
			syscall.Nanosleep(&syscall.Timespec{Nsec: 3e6}, nil)
		}()
	}
	go func() { wg.Wait(); close(c) }()
	for range c {
	}
}

// collect runs the garbage collector over something to collect.
func collect() {
	for range 5 {
		sink = make([]byte, 1<<12)
	}
	runtime.GC()
}

// switches hands over between coroutines.
func switches() {
	next, stop := iter.Pull(func(yield func(int) bool) {
		for i := range 5 {
			if !yield(i) {
				return
			}
		}
	})
	for range 3 {
		next()
	}
	stop()
}

// spin works until the profiler has seen it.
func spin() {
	for start := time.Now(); time.Since(start) < 150*time.Millisecond; {
		for i := range sink {
			sink[i] ^= byte(i)
		}
	}
}

// profiled leaves CPU samples.
func profiled() {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		panic(err)
	}
	spin()
	pprof.StopCPUProfile()
}

// others are what only some machines can do, by name.
var others = map[string]func(){}

// flight writes what a flight recorder holds, which begins with a later generation than the first.
func flight(path string) error {
	config := trace.FlightRecorderConfig{MinAge: 500 * time.Millisecond}
	recorder := trace.NewFlightRecorder(config)
	if err := recorder.Start(); err != nil {
		return err
	}
	defer recorder.Stop()
	for range 5 {
		pass()
		annotate()
		time.Sleep(500 * time.Millisecond)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := recorder.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

func makeTraces(dir string) error {
	debug.SetGCPercent(-1)
	if err := flight(filepath.Join(dir, "flight.trace")); err != nil {
		return err
	}
	workloads := map[string]func(){
		"empty": func() {}, "annotate": annotate, "pass": pass, "collect": collect,
		"switches": switches, "profiled": profiled,
		"long": func() { annotate(); time.Sleep(1200 * time.Millisecond); pass() },
	}
	maps.Copy(workloads, others)
	for name, work := range workloads {
		f, err := os.Create(filepath.Join(dir, name+".trace"))
		if err != nil {
			return err
		}
		if err := trace.Start(f); err != nil {
			return err
		}
		work()
		trace.Stop()
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
