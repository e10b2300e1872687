// SPDX-License-Identifier: MIT

//go:build cgo

package main

/*
#include <pthread.h>

void called(int);

static void *call_from_thread(void *arg)
{
	called(2);
	called(3);
	return arg;
}

static void call_back(void)
{
	pthread_t thread;

	called(1);
	if (pthread_create(&thread, NULL, call_from_thread, NULL) == 0)
		pthread_join(thread, NULL);
}
*/
import "C"

import "runtime"

//export called
func called(n C.int) {
	sink = make([]byte, int(n)<<10)
	runtime.Gosched()
}

// Go calls C, which calls Go: on its own thread and on one that Go has never seen.
func init() {
	others["callbacks"] = func() {
		for range 3 {
			C.call_back()
		}
	}
}
