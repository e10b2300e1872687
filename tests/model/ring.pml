/* SPDX-License-Identifier: MIT */
/*
 * The protocol between the emissions of a thread, those that interrupt them, and the drain, over
 * rings that fill, are replaced, and go back to where others take them from.
 *
 *	spin -a ring.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan
 *
 * One thread stands for any number: all that others do to it is that the pool may be empty, and all
 * that it owes them is that what it gives back is clean and nobody's; both are here.
 * Each emission is a process; `top` says which of them runs, as on a real stack: one that is
 * interrupted goes on when the other has ended. What a thread stores is seen by itself at once (w_),
 * by the drain only when it has left the store buffer (m_). The head, a relaxed store, leaves it in
 * no order with the others, as AArch64 allows; the others leave in theirs, since each that matters
 * is a release. A locked operation (the pool's lists, modelled by themselves in pool.pml) empties it.
 *
 * A step is what no interruption can split, or what nobody else can see. `C:` names its line.
 *
 * Checked: a record is taken once, whole, in the order of its time; every emission is taken, or
 * counted as dropped, or its thread died within it; rings are dropped into only when full.
 *
 * -D…: EMISSIONS (one and those that interrupt it), RINGS; KILL: the thread may die anywhere
 * (then with pan -E: its emissions do not end); LATE: the drain may lose patience with a hole of a
 * living thread. BUG_…: what the protocol would be without one of its precautions; each must be
 * found. test_model.py has the list.
 */
#ifndef EMISSIONS
#define EMISSIONS 3
#endif
#ifndef RINGS
#define RINGS 3
#endif

#define SIZE   2  /* records of a ring */
#define CLOSED 64 /* in a head */
#define NONE   15
#define BEGIN  EMISSIONS /* the payload of a thread's first record */

#define POSITION(head) ((head) & (CLOSED - 1))
#define IS_CLOSED(head) ((head) >= CLOSED)
#define LAP(position) (1 - (((position) / SIZE) & 1))
#define CELL(ring, position) ((ring) * SIZE + (position) % SIZE)

mtype = { FREE, PREPARED, LIVE };	      /* of a ring */
mtype = { PAYLOAD, HEADER, OWNER, STATE };    /* what is stored */

/* The drain's view of the arena. */
byte m_head[RINGS], m_tail[RINGS], m_owner[RINGS], m_sequence[RINGS];
mtype m_state[RINGS];
byte m_payload[RINGS * SIZE];
bit m_lap[RINGS * SIZE];

/* The thread's own. */
byte w_head[RINGS], tail_seen[RINGS];
byte word;	/* the thread's ring */
byte sequence_of[RINGS];
bool pooled[RINGS];
byte top;	 /* the emission that runs, + 1; 0: the thread is not there */
bool ended;
byte clock;
byte stamp[EMISSIONS];
byte begun, dropped;
bool reserved[EMISSIONS];

/* Stores on their way: what, where, value. */
chan heads = [3] of { byte, byte };
chan stores = [6] of { mtype, byte, byte };

#define STEP(me) (top == me + 1)

/* What whoever gives a ring to the pool owes to whoever takes it. */
#define CLEAN(ring) (w_head[ring] == 0 && m_head[ring] == 0 && m_state[ring] == FREE && \
		     !m_lap[CELL(ring, 0)] && !m_lap[CELL(ring, 1)])

/* C: pool.c, stele__ring_take; a locked operation */
inline pool_take(me, ret)
{
	atomic {
		STEP(me) && len(stores) == 0 && len(heads) == 0;
		ret = 0;
		do
		:: ret < RINGS && !pooled[ret] -> ret++
		:: else -> break
		od;
		if
		:: ret == RINGS -> ret = NONE
		:: ret < RINGS -> ret = NONE /* other threads have taken them all */
		:: ret < RINGS ->
			pooled[ret] = false;
			assert(CLEAN(ret))
		fi
	}
}

/* C: pool.c, stele__ring_give; nobody else may look at it any more */
inline ring_clear(ring)
{
	w_head[ring] = 0; m_head[ring] = 0; m_tail[ring] = 0; tail_seen[ring] = 0;
#ifndef BUG_NOT_ZEROED
	m_lap[CELL(ring, 0)] = 0; m_lap[CELL(ring, 1)] = 0;
#endif
	m_state[ring] = FREE;
	pooled[ring] = true
}

inline pool_give(me, ring)
{
	atomic {
		STEP(me) && len(stores) == 0 && len(heads) == 0;
		ring_clear(ring)
	}
}

/* C: emit.h, stele__local_cas of a head; it fails by writing the old value back, unseen */
inline head_set(ring, value)
{
	w_head[ring] = value;
	heads!ring, value
}

/* C: grow.c, stele__ring_replace */
inline replace(me, old)
{
	pool_take(me, next);
	if
	:: next == NONE
	:: else ->
		atomic { STEP(me); /* C: next->sequence = …; state PREPARED, a release */
			sequence_of[next] = sequence_of[old] + 1;
			stores!OWNER, next, 1;
			stores!STATE, next, PREPARED };
#ifndef BUG_NOT_CLOSED
		atomic { STEP(me); /* C: ring_close, one local CAS */
			if
			:: IS_CLOSED(w_head[old])
			:: else -> head_set(old, w_head[old] + CLOSED)
			fi };
#endif
		atomic { STEP(me); /* C: local CAS of the thread's word */
			if
			:: word == old -> word = next; won = true
			:: else -> won = false
			fi };
		if
		:: won ->
			atomic { STEP(me); stores!STATE, next, LIVE };
#ifdef BUG_OLD_RING_REUSED
			pool_give(me, old)
#endif
		:: else -> pool_give(me, next)
		fi
	fi
}

#define DROP(me) atomic { STEP(me); dropped++ }

/* C: thread.c, stele__thread_enter */
inline enter(me)
{
	pool_take(me, next);
	if
	:: next == NONE
	:: else ->
		atomic { STEP(me); /* THREAD_BEGIN, head 1, then PREPARED with release */
			sequence_of[next] = 0;
			head_set(next, 1);
			stores!OWNER, next, 1;
			stores!PAYLOAD, CELL(next, 0), BEGIN };
		atomic { STEP(me);
			stores!HEADER, CELL(next, 0), LAP(0);
			stores!STATE, next, PREPARED };
		atomic { STEP(me); /* C: local CAS of the thread's word, NULL -> ring */
			if
			:: word == NONE -> word = next; won = true
			:: else -> won = false
			fi };
		if
		:: won -> atomic { STEP(me); stores!STATE, next, LIVE }
		:: else -> pool_give(me, next)
		fi
	fi
}

/* C: emit.h, stele__emit, and thread.c, stele__emit_unwatched */
inline emit(me)
{
	do
	:: atomic { STEP(me); ring = word };
		if
		:: ring == NONE ->
			enter(me);
			if
			:: next == NONE -> DROP(me); break
			:: else
			fi
		:: else ->
			atomic { STEP(me); h = w_head[ring]; tail = tail_seen[ring] };
			if
			/* An h behind the tail looks huge, as in C. */
			:: !IS_CLOSED(h) && h >= tail && h - tail < SIZE
			:: else -> /* C: emit_reload */
				do
				:: atomic { STEP(me); h = w_head[ring] };
					atomic { STEP(me); tail = m_tail[ring] };
					atomic { STEP(me); tail_seen[ring] = tail;
#ifdef BUG_NO_RELOAD
						break
#else
						if
						:: w_head[ring] == h -> break
						:: else
						fi
#endif
					}
				od
			fi;
			if
			:: IS_CLOSED(h) ->
				replace(me, ring);
				if
				:: next == NONE -> DROP(me); break
				:: else
				fi
			:: !IS_CLOSED(h) && h >= tail && h - tail < SIZE ->
				atomic { STEP(me); /* C: stele__emit_clock */
#ifdef BUG_OLD_TIME
					if :: stamp[me] :: else ->
#endif
					clock++; stamp[me] = clock;
#ifdef BUG_OLD_TIME
					fi
#endif
				};
				atomic { STEP(me); /* C: local CAS of the head */
#ifdef BUG_NO_CAS
					won = true;
#else
					won = w_head[ring] == h;
#endif
					if
					:: won ->
						head_set(ring, h + 1);
						reserved[me] = true
					:: else
					fi
				};
				if
				:: won -> /* C: stele__emit_write */
#ifdef BUG_HEADER_FIRST
					atomic { STEP(me); stores!HEADER, CELL(ring, h), LAP(h) };
					atomic { STEP(me); stores!PAYLOAD, CELL(ring, h), me };
#else
					atomic { STEP(me); stores!PAYLOAD, CELL(ring, h), me };
					atomic { STEP(me); stores!HEADER, CELL(ring, h), LAP(h) };
#endif
					break
				:: else
				fi
			:: else -> /* C: stele__ring_make_room */
				/* What was taken for full is full, and of values that belong together. */
				assert(h >= tail && h - tail == SIZE);
				replace(me, ring);
				if
				:: next == NONE -> DROP(me); break
				:: else
				fi
			fi
		fi
	od
}

/* The thread's own emission is 0; the others begin within whatever runs, one after the other. */
proctype Emission(byte me)
{
	byte ring, next, h, tail, outer;
	bool won;

	if
	:: me == 0 ->
		atomic {
			top = 1; begun++ }
	:: else ->
		atomic {
			(begun == me && top) || ended;
			if
			:: ended -> goto over
			:: else -> outer = top; top = me + 1; begun++
			fi }
	fi;
	emit(me);
	atomic {
		STEP(me);
		if
		:: me == 0 -> top = 0; ended = true
		:: else -> top = outer
		fi };
over:	skip
}

#ifdef KILL
proctype Killer()
{
	atomic { top; top = 0; ended = true }
}
#endif

/* The store buffer of a thread's processor. */
proctype Buffer()
{
	byte where, value;

end:	do
	:: atomic { stores?PAYLOAD, where, value -> m_payload[where] = value }
	:: atomic { stores?HEADER, where, value -> m_lap[where] = value }
	:: atomic { stores?OWNER, where, value ->
		m_owner[where] = value; m_sequence[where] = sequence_of[where] }
	:: atomic { stores?STATE, where, value -> m_state[where] = value }
	:: atomic { heads?where, value -> m_head[where] = value }
	od
}

/*
 * The drain's part for one thread, C: src/drain/take.c and census.c. That a writer sees an old tail
 * is a tail not yet published here.
 */
byte begins, taken, abandoned;

#define GONE (ended && len(stores) == 0 && len(heads) == 0)
#define PUBLISHED(ring) (m_state[ring] == LIVE || m_head[ring] > (m_sequence[ring] == 0 -> 1 : 0))
#define OWNED(ring) (m_state[ring] != FREE && m_owner[ring])
#define WANTED(ring) (OWNED(ring) && m_sequence[ring] == want && PUBLISHED(ring))
#define WRITTEN(ring, position) (m_lap[CELL(ring, position)] == LAP(position))
#define AT_END (next == POSITION(m_head[ring]))
#define IN_HOLE (!AT_END && !WRITTEN(ring, next))

inline take(cell, in_order)
{
	if
	:: m_payload[cell] == BEGIN -> begins++; assert(begins == 1)
	:: else ->
		assert(m_payload[cell] < EMISSIONS); /* whole */
		at = m_payload[cell];
		assert(reserved[at]); /* once */
		reserved[at] = false;
		taken++;
		if
		:: in_order -> assert(stamp[at] > time); time = stamp[at]
		:: else
		fi
	fi;
	at = 0
}

inline find_ring()
{
	ring = 0;
	do
	:: ring < RINGS && !WANTED(ring) -> ring++
	:: else -> break
	od;
	if
	:: ring == RINGS -> ring = NONE
	:: else -> next = 0; published = 0
	fi
}

/* All is read: every emission is accounted for, and the rings are anybody's. */
inline finish()
{
	at = 0; left = 0;
	do
	:: at < EMISSIONS ->
		left = left + reserved[at];
		reserved[at] = false;
		stamp[at] = 0;
		at++
	:: else -> break
	od;
#ifdef KILL
	assert(left <= abandoned);	 /* only what was never written is missing */
	assert(abandoned <= EMISSIONS);
#else
	assert(abandoned == 0 && left == 0);
	assert(taken + dropped == begun);
	assert(begins == 1 || taken == 0);
#endif
	at = 0;
	do
	:: at < RINGS && OWNED(at) -> ring_clear(at); at++
	:: at < RINGS && !OWNED(at) -> at++
	:: at >= RINGS -> break
	od
}

proctype Drain()
{
	byte ring = NONE, next, published, want, time, at, left;
	byte late_ring = NONE, late_at;

	do
	:: atomic { ring == NONE && !GONE -> find_ring(); at = 0 }
	:: atomic { ring == NONE && GONE ->
			find_ring();
			if
			:: ring == NONE -> break
			:: else
			fi }
	:: atomic { ring != NONE && !AT_END && WRITTEN(ring, next) -> /* C: ring_is_written, acquire */
			take(CELL(ring, next), true); next++ }
	:: d_step { ring != NONE && late_ring == NONE && published != next ->
			published = next; m_tail[ring] = next } /* C: ring_publish */
#ifdef LATE
	:: d_step { ring != NONE && IN_HOLE && late_ring == NONE && !GONE ->
			/* C: late_add; what lies behind it is not freed */
			published = next; m_tail[ring] = next;
			late_ring = ring; late_at = next; next++ }
	:: atomic { late_ring != NONE && WRITTEN(late_ring, late_at) ->
			take(CELL(late_ring, late_at), false); late_ring = NONE }
#endif
	:: d_step { ring != NONE && IN_HOLE && GONE -> abandoned++; next++ }
#ifdef BUG_CLOSED_IS_EMPTY
	:: d_step { ring != NONE && IS_CLOSED(m_head[ring]) -> want++; ring = NONE }
#else
	:: d_step { ring != NONE && IS_CLOSED(m_head[ring]) && AT_END -> want++; ring = NONE }
#endif
	:: atomic { ring != NONE && !IS_CLOSED(m_head[ring]) && AT_END && GONE -> break }
	od;
	atomic {
		if
		:: late_ring != NONE && WRITTEN(late_ring, late_at) ->
			take(CELL(late_ring, late_at), false)
		:: late_ring != NONE && !WRITTEN(late_ring, late_at) -> abandoned++
		:: late_ring == NONE
		fi;
		finish()
	}
}

init {
	byte r;

	atomic {
		do
		:: r < RINGS -> pooled[r] = true; m_state[r] = FREE; r++
		:: else -> break
		od;
		word = NONE;
		run Emission(0);
		run Emission(1);
#if EMISSIONS > 2
		run Emission(2);
#endif
		run Buffer();
		run Drain();
#ifdef KILL
		run Killer()
#endif
	}
}
