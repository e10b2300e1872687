/* SPDX-License-Identifier: MIT */
#include "surgery/vocabulary.h"

#include <string.h>

#include "analyze/origin.h"
#include "base/compiler.h"

static const char *const words[] = {
	/* Reasons: of Stele (arena/waits.def), and those that only Go has. */
	"unspecified",
	"sync",
	"sync (rwlock)",
	"sync.(*Cond).Wait",
	"sync (semaphore)",
	"sync (barrier)",
	"sync (once)",
	"sync (join)",
	"sync (futex)",
	"kernel",
	"sleep",
	"network",
	"select",
	"chan send",
	"chan receive",
	"forever",
	"preempted",
	"runtime.Gosched",
	"GC mark assist wait for work",
	"GC background sweeper wait",
	"GC weak to strong wait",
	"system goroutine wait",
	"wait for debug call",
	"wait until GC ends",
	"synctest",
	/* Why Go stops the world. */
	"unknown",
	"GC mark termination",
	"GC sweep termination",
	"write heap dump",
	"goroutine profile",
	"goroutine profile cleanup",
	"all goroutines stack trace",
	"read mem stats",
	"AllThreadsSyscall",
	"GOMAXPROCS",
	"start trace",
	"stop trace",
	/* What every program has. */
	"main",
	"main.main",
};

bool stele__vocabulary_has(struct stele_string text)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(words); i++)
		if (text.bytes == strlen(words[i]) && !memcmp(text.data, words[i], text.bytes))
			return true;
	return stele__origin_is_library(text);
}
