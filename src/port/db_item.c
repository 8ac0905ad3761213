/*
 * db_item.c - rows in binary.
 */
#include "port/db_item.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Types' numbers, the same in every database (PostgreSQL's pg_type.dat). */
enum {
	TYPE_BOOL = 16,
	TYPE_INT8 = 20,
	TYPE_INT4 = 23,
	TYPE_TEXT = 25,
	TYPE_BPCHAR = 1042,
	TYPE_UUID = 2950,
};

#define UUID_BYTES 16

void db_item_begin(struct buf *item)
{
	buf_add(item, &(uint32_t){0}, sizeof(uint32_t));
}

/* NULL: null. */
static void add(struct buf *item, uint32_t type, const void *value, size_t len)
{
	uint32_t head[] = {htonl(type), value == NULL ? htonl(UINT32_MAX) : htonl((uint32_t)len)}, count;

	buf_add(item, head, sizeof head);
	if (value != NULL)
		buf_add(item, value, len);
	if (item->rc != RC_OK)
		return;
	memcpy(&count, item->data, sizeof count);
	count = htonl(ntohl(count) + 1);
	memcpy(item->data, &count, sizeof count);
}

void db_item_text(struct buf *item, const char *value)
{
	add(item, TYPE_TEXT, value, value == NULL ? 0 : strlen(value));
}

void db_item_char(struct buf *item, const char *value)
{
	add(item, TYPE_BPCHAR, value, value == NULL ? 0 : strlen(value));
}

void db_item_int4(struct buf *item, int32_t value)
{
	uint32_t bytes = htonl((uint32_t)value);

	add(item, TYPE_INT4, &bytes, sizeof bytes);
}

void db_item_int8(struct buf *item, int64_t value)
{
	uint32_t bytes[] = {htonl((uint32_t)((uint64_t)value >> 32)), htonl((uint32_t)value)};

	add(item, TYPE_INT8, bytes, sizeof bytes);
}

void db_item_bool(struct buf *item, bool value)
{
	add(item, TYPE_BOOL, &(char){value}, 1);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void db_item_uuid(struct buf *item, const char *value)
{
	unsigned char bytes[UUID_BYTES];
	size_t n = 0;

	while (value != NULL && *value != '\0' && n < UUID_BYTES) {
		int high, low;

		value += *value == '-';
		high = digit_of(value[0]);
		low = high < 0 ? -1 : digit_of(value[1]);
		if (low < 0)
			break;
		bytes[n++] = (unsigned char)(high << 4 | low);
		value += 2;
	}
	add(item, TYPE_UUID, n == UUID_BYTES && *value == '\0' ? bytes : NULL, UUID_BYTES);
}

static char *put(char *end, uint32_t value)
{
	value = htonl(value);
	return mempcpy(end, &value, sizeof value);
}

char *db_item_join(const struct buf *const *items, const int32_t *last, unsigned count, uint32_t type, size_t *size)
{
	enum { HEAD = 5 * 4, LAST = 3 * 4 };
	char *array, *end;

	*size = HEAD;
	for (unsigned i = 0; i < count; i++)
		*size += 4 + items[i]->len + LAST;
	array = malloc(*size);
	if (array == NULL)
		return NULL;
	end = put(put(put(put(put(array, 1), 0), type), count), 1);
	for (unsigned i = 0; i < count; i++) {
		uint32_t fields;

		memcpy(&fields, items[i]->data, sizeof fields);
		end = put(end, (uint32_t)(items[i]->len + LAST));
		end = put(end, ntohl(fields) + 1);
		end = mempcpy(end, items[i]->data + sizeof fields, items[i]->len - sizeof fields);
		end = put(put(put(end, TYPE_INT4), sizeof(int32_t)), (uint32_t)last[i]);
	}
	return array;
}
