/* SPDX-License-Identifier: MIT */
/**
 * Reads execution traces: of Stele and of Go (1.22 and later).
 *
 *     struct stele_reader *reader;
 *     const struct stele_event *event;
 *     int got = stele_reader_open("a.trace", NULL, &reader);
 *
 *     if (got < 0)
 *             return got;
 *     while ((got = stele_reader_next(reader, &event)) > 0)
 *             use(event);
 *     if (got < 0)
 *             puts(stele_reader_diag(reader)->text);
 *     stele_reader_close(reader);
 *
 * Events come in one total order that no state transition contradicts, with strictly increasing
 * times. The whole file is validated on the way; everything in front of a defect is delivered
 * first. Memory is bounded by what is alive in the trace plus one generation's tables.
 *
 * A reader belongs to one thread at a time. Different readers are independent.
 */
#ifndef STELE_READ_H
#define STELE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_reader;

/** Text of the trace: any bytes, not terminated. */
struct stele_string {
	const char *data;
	size_t bytes;
};

/** "No such thread, proc, goroutine or task." */
#define STELE_NO_ID UINT64_MAX

enum stele_event_kind {
	STELE_EVENT_SYNC = 1, /**< a generation begins, or the trace ends: stele_reader_sync() */
	STELE_EVENT_METRIC,   /**< name, value[0] */
	STELE_EVENT_LABEL,    /**< resource, name */
	STELE_EVENT_STACK_SAMPLE, /**< a CPU sample: stack */
	STELE_EVENT_RANGE_BEGIN,  /**< resource, name */
	STELE_EVENT_RANGE_ACTIVE, /**< was open already when this generation began */
	STELE_EVENT_RANGE_END,	  /**< value_count values, named by stele_event_value_name() */
	STELE_EVENT_TASK_BEGIN,	  /**< task, parent_task, name */
	STELE_EVENT_TASK_END,
	STELE_EVENT_REGION_BEGIN, /**< task, name */
	STELE_EVENT_REGION_END,
	STELE_EVENT_LOG,	  /**< task, name (the category), text */
	STELE_EVENT_TRANSITION,	  /**< resource, from, to, name (the reason), transition_stack */
	STELE_EVENT_EXPERIMENTAL, /**< name, value_count raw arguments; see stele_reader_heap() */
	STELE__EVENT_COUNT
};

enum stele_resource_kind {
	STELE_RESOURCE_NONE, /**< the whole process */
	STELE_RESOURCE_GOROUTINE,
	STELE_RESOURCE_PROC,
	STELE_RESOURCE_THREAD,
};

/** States of goroutines; procs use UNDETERMINED, NOT_EXIST, RUNNING and IDLE. */
enum stele_resource_state {
	STELE_STATE_UNDETERMINED,
	STELE_STATE_NOT_EXIST,
	STELE_STATE_RUNNABLE,
	STELE_STATE_RUNNING,
	STELE_STATE_WAITING,
	STELE_STATE_SYSCALL,
	STELE_STATE_IDLE,
	STELE__STATE_COUNT
};

/** One event. It and all that it points to live until the next call of stele_reader_next(). */
struct stele_event {
	uint8_t kind;	  /**< enum stele_event_kind */
	uint8_t type;	  /**< number on the wire, 0: made by the reader */
	uint8_t resource; /**< enum stele_resource_kind */
	uint8_t from, to; /**< enum stele_resource_state */
	uint8_t value_count;
	int64_t time; /**< ns on the trace's clock */
	/** Where it happened, as it was before the event; STELE_NO_ID where there is none. */
	uint64_t thread, proc, goroutine;
	/** Handles for stele_reader_stack(); dense within a generation, 0: none. */
	uint32_t stack, transition_stack;
	uint64_t resource_id;
	uint64_t task, parent_task;
	struct stele_string name, text;
	/**
	 * value_count of them mean something by themselves. Where type is not 0, all are the
	 * event's arguments on the wire, as far as it has any, and with the file's ids; but not in
	 * the second and third view of an event that is seen as several (GoSwitch,
	 * GoDestroySyscall), nor in CPU samples.
	 */
	uint64_t value[4];
};

struct stele_stack_frame {
	uint64_t pc;
	uint64_t line;
	struct stele_string function, file;
};

/** Where the trace's clock stood against the others. */
struct stele_sync {
	uint64_t number;     /**< from 1 */
	uint64_t generation; /**< the one that begins; 0: none, the trace ends */
	bool has_clock;
	int64_t time; /**< ns, trace clock */
	uint64_t monotonic_ns;
	uint64_t wall_s, wall_ns; /**< Unix time */
	size_t batch_count;	  /**< for stele_reader_batch() */
};

/** A batch of an experiment, as it is in the file. */
struct stele_experiment_batch {
	uint8_t experiment; /**< 1: allocations and frees; first byte 0x53: Stele's own data */
	uint64_t thread;
	int64_t time; /**< ns */
	const uint8_t *data;
	size_t bytes;
};

/** How addresses of the allocation experiment are packed; kept over all generations. */
struct stele_heap_info {
	bool known;
	uint64_t base;	       /**< lowest address */
	uint64_t page_bytes;   /**< unit of span ids */
	uint64_t object_align; /**< unit of object ids */
	uint64_t stack_unit;   /**< unit of stack ids */
};

/** An entry of this generation's type table: in traces of C programs, an allocation site. */
struct stele_heap_type {
	uint64_t address;
	uint64_t size;
	uint64_t pointer_bytes;
	struct stele_string name;
	uint32_t stack; /**< where it is allocated: for stele_reader_stack(); 0: not in the trace */
};

enum stele_severity { STELE_WARNING, STELE_FATAL };

/** One defect of the trace. */
struct stele_diag {
	int code;     /**< STELE_E_TRUNCATED, _CORRUPT, _UNSUPPORTED, _NOT_TRACE, _LIMIT, -errno */
	int severity; /**< enum stele_severity; a warning is what Go's reader lets pass */
	uint64_t offset;     /**< of the byte where it was found */
	uint64_t generation; /**< 0: none yet */
	uint64_t thread;     /**< STELE_NO_ID: none */
	uint64_t event;	     /**< events delivered before it was found */
	char text[232];	     /**< one sentence: the rule that was broken, and the values */
};

struct stele_reader_options {
	size_t size; /**< sizeof(struct stele_reader_options) */
	/**
	 * Give nothing of a generation that is damaged, as Go's reader does. Else what can be
	 * put in order of it is delivered in front of the diagnostic, with names left empty where
	 * the tables are gone.
	 */
	bool whole_generations;
};

#define STELE_READER_OPTIONS_INIT                                                                  \
	{                                                                                          \
		sizeof(struct stele_reader_options), false                                         \
	}

/** Gives up to `bytes` bytes: their number, 0 at the end, -errno. */
typedef int64_t (*stele_read_fn)(void *arg, void *buffer, size_t bytes);

/**
 * Opens a file. What it holds is looked at by the first stele_reader_next() only.
 *
 * @param options  NULL: defaults.
 * @return 0 or -errno.
 */
int stele_reader_open(const char *path, const struct stele_reader_options *options,
		      struct stele_reader **ret_reader);

/** Reads from memory, which stays the caller's and must outlive the reader. */
int stele_reader_open_memory(const void *data, size_t bytes,
			     const struct stele_reader_options *options,
			     struct stele_reader **ret_reader);

/** Reads what `read` gives: a pipe, a decompressor. Holds one generation at a time. */
int stele_reader_open_stream(stele_read_fn read, void *arg,
			     const struct stele_reader_options *options,
			     struct stele_reader **ret_reader);

/** Accepts NULL. */
void stele_reader_close(struct stele_reader *reader);

/* Events that wait to be fetched: the beginning of every reader, for stele_reader_next() alone. */
struct stele__reader_run {
	const struct stele_event *const *at, *const *end;
};

/* stele_reader_next() where no event waits. */
int stele__reader_next_run(struct stele_reader *reader, const struct stele_event **ret_event);

/**
 * The next event.
 *
 * @return 1 with an event; 0 at the end of a good trace; a negative code where the trace is
 *         broken (then, and at every later call): stele_reader_diag() says how.
 */
__attribute__((visibility("default"))) inline int
stele_reader_next(struct stele_reader *reader, const struct stele_event **ret_event)
{
	struct stele__reader_run *run = (struct stele__reader_run *)reader;

	if (run->at == run->end)
		return stele__reader_next_run(reader, ret_event);
	*ret_event = *run->at++;
	return 1;
}

/** What ended the reading; NULL while nothing did. */
const struct stele_diag *stele_reader_diag(const struct stele_reader *reader);

/** Warnings so far: what a stricter reader would refuse. At most 64 are kept. */
size_t stele_reader_warning_count(const struct stele_reader *reader);
const struct stele_diag *stele_reader_warning(const struct stele_reader *reader, size_t index);

/** The header's number (22, 23, 25 or 26); 0 before the first event. */
unsigned stele_reader_version(const struct stele_reader *reader);

/** Number of the generation that the last event is of; 0 before the first. */
uint64_t stele_reader_generation(const struct stele_reader *reader);

/** Ticks a second of the present generation. */
uint64_t stele_reader_frequency(const struct stele_reader *reader);

/** Bytes of the input that are behind the reader. */
uint64_t stele_reader_offset(const struct stele_reader *reader);

/** Frames of a stack of the last event, innermost first; returns how many there are. */
size_t stele_reader_stack(const struct stele_reader *reader, uint32_t stack,
			  struct stele_stack_frame *frames, size_t max);

/** Of the last Sync event. */
const struct stele_sync *stele_reader_sync(const struct stele_reader *reader);

/** One of the experiments' batches of the generation begun by the last Sync; 0 or -ENOENT. */
int stele_reader_batch(const struct stele_reader *reader, size_t index,
		       struct stele_experiment_batch *ret_batch);

const struct stele_heap_info *stele_reader_heap(const struct stele_reader *reader);

/** The type with this id in this generation; 0 or -ENOENT. */
int stele_reader_type(const struct stele_reader *reader, uint64_t id,
		      struct stele_heap_type *ret_type);

enum stele_detail_kind {
	STELE_DETAIL_WAIT = 1,	  /**< of the transition to Waiting: object, holder */
	STELE_DETAIL_RELEASE = 2, /**< what others wait for is given up, or they are woken: object,
				       stack, taken_stack */
	STELE_DETAIL_CALL = 3,	  /**< of the system call that begins: object is a descriptor */
	STELE_DETAIL_RESULT = 4,  /**< of the one that ends: result; negative: -errno */
	STELE_DETAIL_FILE = 5,	  /**< from now on the descriptor (object) stands for name */
	STELE_DETAIL_ORDER = 6,	  /**< takes inner (at stack) while it has object (taken_stack) */
	STELE_DETAIL_STACK = 7,	  /**< of the stack at object, freed next: result bytes were used */
	/** The goroutine has been waiting for result ns: why (name), stack, object, holder; or in a
	    system call: name is empty, object is the descriptor + 1, 0: unknown. At the beginning
	    of a generation, which may be the trace's first. */
	STELE_DETAIL_STANDING = 8,
};

/**
 * Objects from here on are no addresses: signals to the thread whose id the lower 32 bits are, or
 * to the process.
 */
#define STELE_OBJECT_SIGNALS	     STELE_OBJECT_THREAD_SIGNALS
#define STELE_OBJECT_THREAD_SIGNALS  UINT64_C(0xfffe000000000000)
#define STELE_OBJECT_PROCESS_SIGNALS UINT64_C(0xffff000000000000)

/** What Stele knows beyond Go's format of something that a thread did. */
struct stele_detail {
	uint8_t kind;	    /**< enum stele_detail_kind */
	int64_t time;	    /**< ns; of a wait: the transition's, which may be told some ns later */
	uint64_t thread;    /**< that did it; STELE_NO_ID: none in particular */
	uint64_t goroutine; /**< of what stands */
	uint64_t object; /**< address of the lock, condition, …; signals; or a descriptor, in the
			      lower 32 bits: those above tell the processes of a merged trace apart
			  */
	uint64_t inner;
	int64_t result;
	struct stele_string name; /**< a path or address, a reason; lives as long as the last
				     event */
	uint64_t holder;	  /**< thread that has it; STELE_NO_ID: unknown */
	uint32_t stack;		  /**< where; 0: unknown */
	uint32_t taken_stack;	  /**< where it was taken; 0: unknown */
};

/**
 * The next detail that happened until this time. Ask with the time of each event, before looking at
 * the event, until there is none: then details come in the order of their times, each before the
 * event that it is of. Each is given once: one consumer of a reader may ask.
 *
 * @return 1 with a detail, 0 if there is none (yet), -ENOMEM.
 */
int stele_reader_detail(const struct stele_reader *reader, int64_t until,
			struct stele_detail *ret_detail);

/** One record of Stele's own data: what Go's format has no place for. */
struct stele_data_item {
	uint64_t tag; /**< STELE_DATA_*; skip those that you do not know */
	uint64_t value[8];
	unsigned value_count;
	struct stele_string text[3];
	unsigned text_count;
};

enum stele_data_tag {
	STELE_DATA_PROGRAM = 1,	 /**< pid, images executed; name */
	STELE_DATA_MODULE = 2,	 /**< unloaded, epoch, start, end, bias; build id, path */
	STELE_DATA_THREAD = 3,	 /**< thread, proc, goroutine; name */
	STELE_DATA_LOSS = 4,	 /**< thread, cause, class, count: of this generation */
	STELE_DATA_TOTAL = 5,	 /**< what, value: of the recording so far */
	STELE_DATA_CLOCK = 6,	 /**< ticks, monotonic ns, wall s, wall ns */
	STELE_DATA_COUNTER = 7,	 /**< name: logs of this category are samples of a counter */
	STELE_DATA_ENDING = 8,	 /**< flags, exit status or signal */
	STELE_DATA_END = 9,	 /**< records, events, generation: the recording ended in order */
	STELE_DATA_SKIPPED = 10, /**< event of the memory experiment, count: by --reentry=skip */
	STELE_DATA_OBJECT = 12,	 /**< address, line; its name, and function and file that made it */
	STELE_DATA_SNAPSHOT = 13, /**< why a flight recorder wrote what it had */
	STELE_DATA_SHARED = 14,	 /**< address, offset; the memory that processes share it lies in */
	STELE_DATA_PROCESS = 15, /**< thread, pid: in a trace of several processes */
};

/**
 * The next record of a batch whose first byte is 0x53.
 *
 * @param at  where to go on: 0 at first; moves behind the record.
 * @return 1 with a record, 0 behind the last one, STELE_E_CORRUPT, or STELE_E_UNSUPPORTED for
 *         data of a later version.
 */
int stele_data_next(const struct stele_experiment_batch *batch, size_t *at,
		    struct stele_data_item *ret_item);

/** What a total of STELE_DATA_TOTAL is of, as far as readers compute with it. */
enum stele_data_total {
	STELE_TOTAL_WAITED_COUNT = 8, /**< times that a thread waited for the recorder */
	STELE_TOTAL_WAITED_NS = 9,
	STELE_TOTAL_CHILDREN = 10,    /**< child processes that were not recorded */
	STELE_TOTAL_HEAP_SAMPLE = 11, /**< one object in so many bytes is there; 0: all */
	STELE_TOTAL_STACKS = 12,
	STELE_TOTAL_STACKS_CUT = 13,	 /**< that do not reach their thread's beginning */
	STELE_TOTAL_FRAMES = 14,	 /**< code addresses */
	STELE_TOTAL_FRAMES_UNNAMED = 15, /**< those without a function's name */
	STELE_TOTAL_SWITCHES = 16,	 /**< the kernel told who had a processor; 0: it did not */
	STELE_TOTAL_SWITCHES_LOST = 17,
};

#define STELE_LOSS_CAUSE_MAX  8
#define STELE_LOSS_CLASS_MAX  4
#define STELE_DATA_TOTALS_MAX 18
#define STELE_SKIPPED_MAX     9

/** How a trace was recorded and how that ended, summed up from Stele's own data. */
struct stele_recording {
	bool present;  /**< there is such data: the trace is of Stele */
	bool complete; /**< the recorder wrote its last words */
	bool ending_known, interrupted;
	bool recovered; /**< from what a recorder left that was killed */
	bool merged;	/**< of several processes: stele merge */
	uint64_t exit_status, signal;
	uint64_t pid, images, records, events;
	uint64_t lost[STELE_LOSS_CAUSE_MAX][STELE_LOSS_CLASS_MAX];
	uint64_t lost_events; /**< events that are not in the trace, of all causes */
	uint64_t total[STELE_DATA_TOTALS_MAX];
	uint64_t skipped[STELE_SKIPPED_MAX]; /**< of the lost ones, by --reentry=skip */
	char program[256];
	char snapshot[256]; /**< why a flight recorder wrote this; "": it is none of one */
};

/** Adds the data of the generation that the last Sync begins; for each Sync once. */
void stele_recording_add(struct stele_recording *recording, const struct stele_reader *reader);

/** "ring full", …; NULL: no such cause. */
const char *stele_loss_cause_name(unsigned cause);
/** "state", "user", "memory"; NULL: no such class. */
const char *stele_loss_class_name(unsigned loss_class);
/** "Span", "SpanAlloc", …, the events of the memory experiment in their order; NULL: no such. */
const char *stele_skipped_name(unsigned event);
/** "threads without a slot", …; NULL: no such total. */
const char *stele_data_total_name(unsigned what);

/** What a trace holds, counted; the names are those that `stele check` prints. */
struct stele_counts {
	uint64_t events;		 /**< all, Sync events too */
	uint64_t goroutines, procs;	 /**< distinct ones that change state */
	uint64_t threads;		 /**< distinct ones that anything happened on */
	uint64_t ranges, tasks, regions; /**< begun */
	uint64_t logs, metrics, labels;
	uint64_t stacks; /**< distinct non-empty ones that events name, anew in each generation */
	uint64_t cpu_samples, experimental, transitions;
	uint64_t generations, syncs;
	int64_t first, last; /**< times, ns */
	uint64_t by_kind[STELE__EVENT_COUNT];
	uint64_t by_type[256]; /**< by number on the wire */
};

struct stele_counter;

int stele_counter_new(struct stele_counter **ret_counter);
/** Counts the reader's last event; 0 or -ENOMEM. */
int stele_counter_add(struct stele_counter *counter, const struct stele_reader *reader,
		      const struct stele_event *event);
const struct stele_counts *stele_counter_get(const struct stele_counter *counter);
/** Accepts NULL. */
void stele_counter_free(struct stele_counter *counter);

/** "Sync", "StateTransition", … as Go spells them; "?" for other numbers. */
const char *stele_event_kind_name(unsigned kind);
/** "Waiting", "NotExist", … */
const char *stele_state_name(unsigned state);
/** Name of value[index] of a range's end or of an experimental event. */
const char *stele_event_value_name(const struct stele_event *event, size_t index);

#ifdef __cplusplus
}
#endif

#endif
