/* SPDX-License-Identifier: MIT */
/*
 * The lists of free slots and rings, C: src/arena/pool.c: processes take members and give them back,
 * interrupted by each other between any two steps (a nested emission of one's own thread is just
 * one more of them).
 *
 * Checked: nobody is given what somebody else holds; nothing is lost.
 */
#ifndef ACTORS
#define ACTORS 3
#endif
#define MEMBERS 3
#ifndef ROUNDS
#define ROUNDS 2
#endif

byte head_first = 1, head_tag; /* one word, changed by locked CAS: the first member + 1, and the tag */
byte next_of[MEMBERS + 1];     /* the member behind, + 1; 0: the last */
byte holders[MEMBERS + 1];
byte ended;

inline pop(ret)
{
	do
	:: atomic { first = head_first; tag = head_tag }; /* C: load_acquire of the head */
		if
		:: first == 0 -> ret = 0; break
		:: else ->
			behind = next_of[first]; /* may be stale */
			atomic { /* C: stele__cas_u64 */
				if
#ifdef BUG_NO_TAG
				:: head_first == first ->
#else
				:: head_first == first && head_tag == tag ->
#endif
					head_first = behind;
					head_tag++;
					ret = first;
					holders[ret]++;
					assert(holders[ret] == 1);
					break
				:: else
				fi }
		fi
	od
}

inline push(member)
{
	holders[member]--;
	do
	:: atomic { first = head_first; tag = head_tag };
#ifdef BUG_LINK_AFTERWARDS
		atomic {
			if
			:: head_first == first && head_tag == tag ->
				head_first = member; head_tag++; behind = 1
			:: else -> behind = 0
			fi };
		if
		:: behind -> next_of[member] = first; break
		:: else
		fi
#else
		next_of[member] = first; /* C: store_relaxed of the member's next_free */
		atomic {
			if
			:: head_first == first && head_tag == tag ->
				head_first = member;
				head_tag++;
				break
			:: else
			fi }
#endif
	od
}

proctype Actor()
{
	byte first, tag, behind, one, two, round;

	do
	:: round < ROUNDS ->
		pop(one);
		if /* and now and then a second one, so that they go back in another order */
		:: pop(two)
		:: two = 0
		fi;
		if
		:: one -> push(one)
		:: else
		fi;
		if
		:: two -> push(two)
		:: else
		fi;
		round++
	:: else -> break
	od;
	ended++
}

init {
	byte i, member;

	atomic {
		next_of[1] = 2;
		next_of[2] = 3;
		do
		:: i < ACTORS -> run Actor(); i++
		:: else -> break
		od
	};
	/* All are back, each once. */
	atomic {
		ended == ACTORS;
		i = 0;
		member = head_first;
		do
		:: member -> i++; assert(i <= MEMBERS); member = next_of[member]
		:: else -> break
		od;
		assert(i == MEMBERS)
	}
}
