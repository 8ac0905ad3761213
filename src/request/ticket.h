/*
 * ticket.h - a supplier's feature as a number.
 */
#ifndef REQUEST_TICKET_H
#define REQUEST_TICKET_H

#include <stdint.h>

/* A name for what the ledger locks for a supplier and a feature, known before the database has told the lock's own key (ready.h): to sort admissions by, and to tell which of a
 * set belong together. The functions take their locks in the order of the keys. FNV-1a, 64 bits. */
int64_t ticket_lock_key(const char *supplier, const char *feature);

#endif
