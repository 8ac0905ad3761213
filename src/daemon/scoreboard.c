/*
 * scoreboard.c - shared memory of the master and its workers.
 */
#include "daemon/scoreboard.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const struct {
	const char *name, *about;
} counter_table[COUNTER_COUNT_] = {
	[COUNTER_ACCEPTED] = {"accepted", "Requests taken from the web server, ping and status among them."},
	[COUNTER_REQUESTS] = {"requests", "Requests of endpoints."},
	[COUNTER_STREAMS] = {"streams", "Answers that were streamed."},
	[COUNTER_CACHE_HITS] = {"cache_hits", "Answers out of the cache."},
	[COUNTER_REFUSED] = {"refused", "Requests refused by a limit or for their input."},
	[COUNTER_FAILED] = {"failed", "Generations that failed."},
	[COUNTER_ABORTED] = {"aborted", "Generations whose caller left."},
	[COUNTER_RETRIES] = {"retries", "Calls to a provider that were made again."},
	[COUNTER_FALLBACKS] = {"fallbacks", "Models asked in the place of one that failed."},
};

struct scoreboard *scoreboard_new(void)
{
	struct scoreboard *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return NULL;
	board->started = time(NULL);
	board->master = getpid();
	board->shelf = shelf_new();
	return board->shelf == NULL ? NULL : board;
}

struct slot *scoreboard_take(struct scoreboard *board)
{
	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct slot *slot = &board->slots[i];

		if (atomic_load(&slot->state) != SLOT_FREE)
			continue;
		memset(slot, 0, sizeof *slot);
		slot->born_ns = clock_wall_ns();
		slot->started = slot->born_ns / 1000000000;
		atomic_store(&slot->state, SLOT_STARTING);
		return slot;
	}
	return NULL;
}

unsigned scoreboard_free_slots(const struct scoreboard *board)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		count += atomic_load(&board->slots[i].state) == SLOT_FREE;
	return count;
}

void scoreboard_release(struct scoreboard *board, struct slot *slot)
{
	for (int c = 0; c < COUNTER_COUNT_; c++)
		atomic_fetch_add(&board->ended[c], atomic_exchange(&slot->counters[c], 0));
	atomic_store(&slot->active, 0);
	atomic_store(&slot->state, SLOT_FREE);
}

long scoreboard_sum(const struct scoreboard *board, enum counter counter)
{
	long sum = atomic_load(&board->ended[counter]);

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		sum += atomic_load(&board->slots[i].counters[counter]);
	return sum;
}

long scoreboard_active(const struct scoreboard *board)
{
	long sum = 0;

	for (unsigned i = 0; i < SCOREBOARD_SLOTS; i++)
		sum += atomic_load(&board->slots[i].active);
	return sum;
}

const char *scoreboard_counter_name(enum counter counter)
{
	return counter_table[counter].name;
}

const char *scoreboard_counter_about(enum counter counter)
{
	return counter_table[counter].about;
}

const char *scoreboard_state_name(int state)
{
	static const char *const names[] = {"free", "starting", "serving", "draining"};

	return state >= 0 && (size_t)state < COUNT_OF(names) ? names[state] : "unknown";
}
