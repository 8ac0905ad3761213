/*
 * refusal.h - refusals are counted in memory and written once in a while, so that a flood of them costs next to nothing.
 */
#ifndef REQUEST_REFUSAL_H
#define REQUEST_REFUSAL_H

#include "port/db.h"

struct refusals;

/* The owner frees it with refusals_free. */
enum rc refusals_new(struct refusals **out) MUST_CHECK;
void refusals_free(struct refusals *refusals);

/* One more refusal; `supplier` may be NULL. Any thread. Where the table is full it is counted under no supplier. */
void refusals_count(struct refusals *refusals, const char *supplier, const char *feature, const char *reason);

/* Writes what was counted since the last time; keeps it when the database does not take it. */
enum rc refusals_write(struct refusals *refusals, struct db *db);

#endif
