/*
 * token.h - random tokens and digests, through OpenSSL (the only file that includes it is token.c).
 */
#ifndef PORT_TOKEN_H
#define PORT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

#define TOKEN_KEY_SIZE 48     /* "pfk_" + 32 Base62 + 6 Base62 of CRC-32 + NUL, and some room */
#define TOKEN_DIGEST_SIZE 65  /* 64 hex digits + NUL */
#define TOKEN_REQUEST_SIZE 28 /* "req_" + 22 Base62 + NUL */
#define TOKEN_UUID_SIZE 37

/* A new caller's key; its checksum is over the 36 characters before it. RC_SYS when the system has no randomness to give. */
enum rc token_key_new(char key[TOKEN_KEY_SIZE]) MUST_CHECK;

/* Whether it has the form of a key and its checksum holds: tells typing errors from real keys without asking anybody. */
bool token_key_wellformed(const char *key);

/* A new request id. */
enum rc token_request_id(char id[TOKEN_REQUEST_SIZE]) MUST_CHECK;

/* A UUID that rises with time (version 7, RFC 9562). */
enum rc token_uuid_rising(char uuid[TOKEN_UUID_SIZE]) MUST_CHECK;

/* SHA-256 in lower-case hex. */
enum rc token_sha256(const void *bytes, size_t n, char digest[TOKEN_DIGEST_SIZE]) MUST_CHECK;

/* The same over several pieces; each piece's length goes in before it, so that no two lists of pieces hash alike. */
struct token_piece {
	const void *bytes;
	size_t len;
};
enum rc token_sha256_pieces(const struct token_piece *pieces, size_t count, char digest[TOKEN_DIGEST_SIZE]) MUST_CHECK;

/* CRC-32 (ISO-HDLC, as in zlib). */
unsigned token_crc32(const void *bytes, size_t n);

#endif
