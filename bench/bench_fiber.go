// SPDX-License-Identifier: MIT

// What bench_fiber.c measures of fibers, of goroutines.
//
// usage: bench_fiber WHAT [PROCS]
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	fibers = 500000
	passes = 1000000
	primes = 1000
)

func report(name string, begin time.Time, count int) {
	fmt.Printf("%s %.3f\n", name, float64(time.Since(begin).Nanoseconds())/float64(count))
}

func spawn() {
	begin := time.Now()
	for i := 0; i < fibers; i++ {
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
	}
	report("spawn", begin, fibers)
}

func pass() {
	a, b := make(chan int32), make(chan int32)
	go func() {
		for v := range a {
			b <- v
		}
	}()
	begin := time.Now()
	for i := 0; i < passes; i++ {
		a <- int32(i)
		<-b
	}
	report("pass", begin, passes)
	close(a)
}

func yield() {
	begin := time.Now()
	for i := 0; i < passes; i++ {
		runtime.Gosched()
	}
	report("yield", begin, passes)
}

func filter(in, out chan int32, prime int32) {
	for v := range in {
		if v%prime != 0 {
			out <- v
		}
	}
}

func sieve() {
	in := make(chan int32)
	begin := time.Now()
	go func(out chan int32) {
		for i := int32(2); ; i++ {
			out <- i
		}
	}(in)
	for i := 0; i < primes; i++ {
		out := make(chan int32)
		go filter(in, out, <-in)
		in = out
	}
	report("sieve", begin, primes)
}

func main() {
	if len(os.Args) > 2 {
		procs, _ := strconv.Atoi(os.Args[2])
		runtime.GOMAXPROCS(procs)
	}
	switch os.Args[1] {
	case "spawn":
		spawn()
	case "pass":
		pass()
	case "yield":
		yield()
	case "sieve":
		sieve()
	}
}
