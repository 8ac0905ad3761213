/*
 * ticket.h - the order in which the ledger's locks are taken.
 */
#ifndef REQUEST_TICKET_H
#define REQUEST_TICKET_H

#include <stdint.h>

/* What fpm.admit and fpm.settle lock for a supplier and a feature, as a number to sort by (db.h: lock_key). Processes agree on it, so that two transactions that
 * hold several such locks never wait for each other in a circle. FNV-1a, 64 bits. */
int64_t ticket_lock_key(const char *supplier, const char *feature);

#endif
