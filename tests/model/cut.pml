/* SPDX-License-Identifier: MIT */
/*
 * Two threads hand two resources (goroutines, procs) to each other while the drain reads their
 * streams and cuts generations, C: src/drain/take.c, cut.c; the epochs: src/record/runtime.c.
 *
 * Each record is reserved, with its time, and written later; the next may be written before it
 * (an emission that interrupted it). The drain reads a thread as far as it is written, and a cut
 * at T leaves what it cannot use yet to the next generation.
 *
 * Checked: a START is encoded after the STOP of the epoch before and while nobody has the resource;
 * what a generation holds needs nothing of a later one; at the end everything is encoded.
 */
#define THREADS	  2
#define RESOURCES 2
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define RECORDS (ROUNDS * 2)
#define NOBODY	15

mtype = { START, STOP };

/* What is so: who has a resource, and how often it was handed over. */
byte owner[RESOURCES], epoch[RESOURCES];
byte clock;

/* The threads' streams. */
byte head[THREADS];
mtype kind[THREADS * RECORDS];
byte about[THREADS * RECORDS], turn[THREADS * RECORDS], time[THREADS * RECORDS];
bool written[THREADS * RECORDS];
byte ended;

/* What the drain has encoded. */
byte next[THREADS], known[RESOURCES], holder[RESOURCES];
byte generation, encoded_in[THREADS * RECORDS];
bool cutting;
byte cut_time;

#define AT(t, i)  ((t) * RECORDS + (i))
#define NEXT(t)	  AT(t, next[t])
#define IS_THERE(t) (next[t] < head[t])
#define IN_TIME(t) (!cutting || time[NEXT(t)] <= cut_time)
/* C: drain/context.c: a START waits for its turn */
#define IN_TURN(t) (kind[NEXT(t)] == STOP || \
		    (known[about[NEXT(t)]] == turn[NEXT(t)] - 1 && holder[about[NEXT(t)]] == NOBODY))
#ifdef BUG_NO_STALL
#define USABLE(t) (IS_THERE(t) && written[NEXT(t)] && IN_TIME(t))
#elif defined(BUG_CUT_FORCES)
#define USABLE(t) (IS_THERE(t) && written[NEXT(t)] && IN_TIME(t) && (cutting || IN_TURN(t)))
#elif defined(BUG_HOLE_PASSED)
#define USABLE(t) (IS_THERE(t) && IN_TIME(t) && IN_TURN(t))
#else
#define USABLE(t) (IS_THERE(t) && written[NEXT(t)] && IN_TIME(t) && IN_TURN(t))
#endif

inline reserve(what, ret)
{
	atomic {
		ret = AT(t, head[t]);
		clock++;
		kind[ret] = what;
		about[ret] = g;
		turn[ret] = e;
		time[ret] = clock;
		head[t]++
	}
}

proctype Thread(byte t)
{
	byte g, e, round, first, second;

	do
	:: round < ROUNDS ->
		atomic { /* takes one that nobody has: it has seen the epoch of whoever had it */
			if
			:: owner[0] == NOBODY -> g = 0
			:: owner[1] == NOBODY -> g = 1
			fi;
			owner[g] = t;
			e = epoch[g] + 1
		};
		reserve(START, first); /* an acquire is recorded after the action */
		if /* a handler's record is there before the one that it interrupted */
		:: written[first] = true; reserve(STOP, second); written[second] = true
		:: reserve(STOP, second); written[second] = true; written[first] = true
		fi;
		/* a release before it, and the epoch before the new owner can see it */
#ifdef BUG_EPOCH_TOO_LATE
		owner[g] = NOBODY;
		epoch[g] = e;
#else
		epoch[g] = e;
		owner[g] = NOBODY;
#endif
		round++
	:: else -> break
	od;
	ended++
}

inline encode(t)
{
	if
	:: kind[NEXT(t)] == START ->
		assert(holder[about[NEXT(t)]] == NOBODY);
		assert(turn[NEXT(t)] == known[about[NEXT(t)]] + 1);
		holder[about[NEXT(t)]] = t;
		known[about[NEXT(t)]] = turn[NEXT(t)]
	:: else ->
		assert(holder[about[NEXT(t)]] == t && known[about[NEXT(t)]] == turn[NEXT(t)]);
		holder[about[NEXT(t)]] = NOBODY
	fi;
	assert(written[NEXT(t)]);
	encoded_in[NEXT(t)] = generation;
	next[t]++
}

proctype Drain()
{
	do
	:: d_step { USABLE(0) -> encode(0) }
	:: d_step { USABLE(1) -> encode(1) }
	:: d_step { !cutting && generation < 2 -> cutting = true; cut_time = clock }
	:: d_step { cutting && !USABLE(0) && !USABLE(1) -> cutting = false; generation++ }
	:: atomic { ended == THREADS && !cutting && next[0] == RECORDS && next[1] == RECORDS -> break }
	od
}

init {
	atomic {
		owner[0] = NOBODY; owner[1] = NOBODY;
		holder[0] = NOBODY; holder[1] = NOBODY;
		run Thread(0);
		run Thread(1);
		run Drain()
	}
}
