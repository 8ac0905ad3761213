/*
 * tries.c - the count of calls by request.
 */
#include "tries.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct tries {
	long count;
	char *id;
};

static void *root;

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct tries *)a)->id, ((const struct tries *)b)->id);
}

static void forget(void *node)
{
	struct tries *tries = node;

	free(tries->id);
	free(tries);
}

long tries_add(const char *id)
{
	struct tries *tries = take(sizeof *tries), **found;

	tries->id = take_copy(id, strlen(id));
	found = tsearch(tries, &root, compare);
	if (found == NULL)
		abort();
	if (*found != tries)
		forget(tries);
	return ++(*found)->count;
}

void tries_reset(void)
{
	tdestroy(root, forget);
	root = NULL;
}
