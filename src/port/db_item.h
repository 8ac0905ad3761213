/*
 * db_item.h - a call of a set as a row in PostgreSQL's binary format, which costs the server a quarter of what a text does to be read (PostgreSQL's
 * src/backend/utils/adt/rowtypes.c, record_recv: the number of fields; then each one's type, length and value, in network order).
 *
 * A row type's fields are added in their order and with their types, but for the last one, an int4, which db.c fills in (db.h: item). Null strings are null fields; texts
 * must be UTF-8. Failures are latched in the buffer.
 */
#ifndef PORT_DB_ITEM_H
#define PORT_DB_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void db_item_begin(struct buf *item);
void db_item_text(struct buf *item, const char *value);
void db_item_char(struct buf *item, const char *value); /* char(n), of n characters */
void db_item_int4(struct buf *item, int32_t value);
void db_item_int8(struct buf *item, int64_t value);
void db_item_bool(struct buf *item, bool value);

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", upper or lower case; what is no UUID is null. */
void db_item_uuid(struct buf *item, const char *value);

/* The items as an array of rows of type number `type`, each completed by its last field (arrayfuncs.c, array_recv: dimensions, whether there are nulls, the elements' type,
 * how many, the first one's index; then each one's length and value). *size: its bytes. NULL when out of memory; the caller frees it. */
char *db_item_join(const struct buf *const *items, const int32_t *last, unsigned count, uint32_t type, size_t *size);

#endif
