/*
 * shelf.c - one piece of shared memory: a few complaints, and kept versions one behind the other.
 *
 * A record is its size, the file's path, and each text as its name, its length and its bytes. Pages that were never written take no memory.
 */
#include "prompt/shelf.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/str.h"

#define KEPT_MAX (32u << 20)
#define COMPLAINTS_MAX 64u

struct shelf {
	pthread_mutex_t lock;
	unsigned complaint_count;
	struct shelf_complaint complaints[COMPLAINTS_MAX];
	size_t used;
	char kept[KEPT_MAX];
};

struct shelf *shelf_new(void)
{
	struct shelf *shelf = mmap(NULL, sizeof *shelf, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_mutexattr_t attributes;

	if (shelf == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shelf->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return shelf;
}

void shelf_free(struct shelf *shelf)
{
	if (shelf == NULL)
		return;
	pthread_mutex_destroy(&shelf->lock);
	munmap(shelf, sizeof *shelf);
}

/* What a process that died here was writing cannot be trusted: the shelf is emptied. */
static void take_lock(struct shelf *shelf)
{
	if (pthread_mutex_lock(&shelf->lock) != EOWNERDEAD)
		return;
	shelf->used = 0;
	shelf->complaint_count = 0;
	pthread_mutex_consistent(&shelf->lock);
}

static void give_lock(struct shelf *shelf)
{
	pthread_mutex_unlock(&shelf->lock);
}

static size_t size_at(const char *at)
{
	size_t size;

	memcpy(&size, at, sizeof size);
	return size;
}

/* The file's record; NULL for none. */
static char *find_record(struct shelf *shelf, const char *file)
{
	for (size_t at = 0; at < shelf->used; at += size_at(shelf->kept + at))
		if (str_eq(shelf->kept + at + sizeof(size_t), file))
			return shelf->kept + at;
	return NULL;
}

static void remove_record(struct shelf *shelf, char *record)
{
	size_t size;

	if (record == NULL)
		return;
	size = size_at(record);
	memmove(record, record + size, shelf->used - (size_t)(record - shelf->kept) - size);
	shelf->used -= size;
}

static char *put(char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

void shelf_keep(struct shelf *shelf, const char *file, const struct endpoint_text *texts, unsigned count)
{
	size_t size = sizeof size + strlen(file) + 1;
	char *at;

	for (unsigned i = 0; i < count; i++)
		size += strlen(texts[i].name) + 1 + sizeof texts[i].len + texts[i].len;
	if (size > KEPT_MAX)
		return;
	take_lock(shelf);
	remove_record(shelf, find_record(shelf, file));
	while (size > KEPT_MAX - shelf->used)
		remove_record(shelf, shelf->kept);
	at = put(shelf->kept + shelf->used, &size, sizeof size);
	at = put(at, file, strlen(file) + 1);
	for (unsigned i = 0; i < count; i++) {
		at = put(at, texts[i].name, strlen(texts[i].name) + 1);
		at = put(at, &texts[i].len, sizeof texts[i].len);
		at = put(at, texts[i].bytes, texts[i].len);
	}
	shelf->used += size;
	give_lock(shelf);
}

/* Reads a record that is nobody else's any more. */
static enum rc read_record(struct arena *arena, const char *record, struct endpoint_text **texts, unsigned *count)
{
	const char *end = record + size_at(record), *at = record + sizeof(size_t);
	struct endpoint_text *out = arena_array(arena, 1 + ENDPOINT_PARTIALS_MAX, sizeof *out);

	if (out == NULL)
		return RC_NOMEM;
	*texts = out;
	*count = 0;
	for (at += strlen(at) + 1; at < end; (*count)++, out++) {
		out->name = at;
		at += strlen(at) + 1;
		out->len = size_at(at);
		out->bytes = at + sizeof(size_t);
		at = out->bytes + out->len;
	}
	return RC_OK;
}

enum rc shelf_find(struct shelf *shelf, struct arena *arena, const char *file, struct endpoint_text **texts, unsigned *count)
{
	char *record, *copy = NULL;
	enum rc rc = RC_NOTFOUND;

	take_lock(shelf);
	record = find_record(shelf, file);
	if (record != NULL) {
		copy = arena_alloc(arena, size_at(record));
		rc = copy == NULL ? RC_NOMEM : RC_OK;
	}
	if (copy != NULL)
		memcpy(copy, record, size_at(record));
	give_lock(shelf);
	return rc == RC_OK ? read_record(arena, copy, texts, count) : rc;
}

static struct shelf_complaint *find_complaint(struct shelf *shelf, const char *file)
{
	for (unsigned i = 0; i < shelf->complaint_count; i++)
		if (strncmp(shelf->complaints[i].file, file, SHELF_PATH_SIZE - 1) == 0)
			return &shelf->complaints[i];
	return NULL;
}

static bool remove_complaint(struct shelf *shelf, const char *file)
{
	struct shelf_complaint *complaint = find_complaint(shelf, file);

	if (complaint == NULL)
		return false;
	shelf->complaint_count--;
	memmove(complaint, complaint + 1, (shelf->complaint_count - (size_t)(complaint - shelf->complaints)) * sizeof *complaint);
	return true;
}

void shelf_forget(struct shelf *shelf, const char *file)
{
	take_lock(shelf);
	remove_record(shelf, find_record(shelf, file));
	remove_complaint(shelf, file);
	give_lock(shelf);
}

bool shelf_mend(struct shelf *shelf, const char *file)
{
	bool was;

	take_lock(shelf);
	was = remove_complaint(shelf, file);
	give_lock(shelf);
	return was;
}

static uint64_t fold(uint64_t hash, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3); /* FNV-1a */
	return hash;
}

static void describe(struct shelf_complaint *complaint, const struct diagnostics *list)
{
	const struct diagnostic *first = list->first;

	complaint->digest = UINT64_C(0xcbf29ce484222325);
	for (const struct diagnostic *d = list->first; d != NULL; d = d->next)
		complaint->digest = fold(fold(complaint->digest, d->file), d->message) * 31 + d->line * 1009u + d->column;
	while (first != NULL && first->warning)
		first = first->next;
	if (first == NULL)
		return;
	snprintf(complaint->at, sizeof complaint->at, "%s", first->file);
	complaint->line = first->line;
	complaint->column = first->column;
	snprintf(complaint->message, sizeof complaint->message, "%s%s%s%s", first->message, first->hint == NULL ? "" : " [",
	         first->hint == NULL ? "" : first->hint, first->hint == NULL ? "" : "]");
	complaint->message[str_utf8_whole(complaint->message, strlen(complaint->message))] = '\0';
}

/* Where there is no room for one more, the oldest goes: it is in the log. */
bool shelf_complain(struct shelf *shelf, const char *file, const struct diagnostics *list, bool serving, bool own)
{
	struct shelf_complaint complaint = {.since = time(NULL), .serving = serving, .own = own}, *known;
	bool news;

	snprintf(complaint.file, sizeof complaint.file, "%s", file);
	snprintf(complaint.at, sizeof complaint.at, "%s", file);
	describe(&complaint, list);
	take_lock(shelf);
	known = find_complaint(shelf, file);
	news = known == NULL || known->digest != complaint.digest;
	if (known != NULL)
		complaint.since = known->since;
	else if (shelf->complaint_count == COMPLAINTS_MAX)
		remove_complaint(shelf, shelf->complaints[0].file);
	if (known == NULL)
		known = &shelf->complaints[shelf->complaint_count++];
	*known = complaint;
	give_lock(shelf);
	return news;
}

struct shelf_complaint *shelf_complaints(struct shelf *shelf, struct arena *arena, unsigned *count)
{
	struct shelf_complaint *copy = arena_array(arena, COMPLAINTS_MAX, sizeof *copy);

	*count = 0;
	if (copy == NULL)
		return NULL;
	take_lock(shelf);
	*count = shelf->complaint_count;
	memcpy(copy, shelf->complaints, *count * sizeof *copy);
	give_lock(shelf);
	return copy;
}
