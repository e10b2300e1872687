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

type linked struct {
	next *linked
	pad  [100]int
}

var kept []any

// deep needs a large stack.
func deep(n int) int {
	var block [64]int
	block[n%64] = n
	if n > 0 {
		return deep(n-1) + block[n%64]
	}
	return block[0]
}

// allocate makes objects of each kind on stacks that grow, and has most of them collected: tiny
// ones, those with a header, large ones, with pointers and without.
func allocate() {
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			var last *linked
			for i := range 3000 {
				tiny, bytes := new(int), make([]byte, i%40+1)
				last = &linked{next: last}
				if i%50 == 0 {
					last = nil
					large := make([]byte, 70000)
					kept[worker] = []any{tiny, large, make([]*int, 9000)}
				}
				kept[8+worker] = []any{last, tiny, bytes, string(bytes)}
			}
			deep(500)
		})
	}
	group.Wait()
	runtime.GC()
	for range 500 {
		group.Go(func() { deep(30) })
	}
	group.Wait()
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
	kept = make([]any, 16)
	if err := flight(filepath.Join(dir, "flight.trace")); err != nil {
		return err
	}
	workloads := map[string]func(){
		"empty": func() {}, "annotate": annotate, "pass": pass, "collect": collect,
		"switches": switches, "profiled": profiled, "allocate": allocate,
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
