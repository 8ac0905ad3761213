/*
 * token.c - random tokens and digests. SHA-256 is OpenSSL's, which uses what the processor has; randomness is the kernel's, which has no state in the process
 * that a fork could double or that each of a thousand threads would keep for itself.
 */
#include "port/token.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define KEY_PREFIX "pfk_"
#define KEY_RANDOM 32u
#define KEY_CHECK 6u
#define KEY_BODY (sizeof KEY_PREFIX - 1 + KEY_RANDOM) /* what the checksum is taken over */
#define REQUEST_PREFIX "req_"
#define REQUEST_RANDOM 22u

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Bytes past the largest multiple of 62 are thrown away, so that no digit is likelier than another. */
static enum rc random_base62(char *out, size_t digits)
{
	unsigned char bytes[32];
	size_t have = 0;

	while (have < digits) {
		if (getentropy(bytes, sizeof bytes) != 0)
			return RC_SYS;
		for (size_t i = 0; i < sizeof bytes && have < digits; i++)
			if (bytes[i] < 62 * 4)
				out[have++] = base62[bytes[i] % 62];
	}
	explicit_bzero(bytes, sizeof bytes);
	out[digits] = '\0';
	return RC_OK;
}

static void write_check(const char *key, char check[KEY_CHECK + 1])
{
	unsigned crc = token_crc32(key, KEY_BODY);

	for (size_t i = KEY_CHECK; i-- > 0; crc /= 62)
		check[i] = base62[crc % 62];
	check[KEY_CHECK] = '\0';
}

enum rc token_key_new(char key[TOKEN_KEY_SIZE])
{
	enum rc rc;

	memset(key, 0, TOKEN_KEY_SIZE);
	memcpy(key, KEY_PREFIX, sizeof KEY_PREFIX);
	rc = random_base62(key + strlen(KEY_PREFIX), KEY_RANDOM);
	if (rc == RC_OK)
		write_check(key, key + KEY_BODY);
	return rc;
}

bool token_key_wellformed(const char *key)
{
	char check[KEY_CHECK + 1];

	if (key == NULL || strlen(key) != KEY_BODY + KEY_CHECK || strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
		return false;
	if (strspn(key + strlen(KEY_PREFIX), base62) != KEY_RANDOM + KEY_CHECK)
		return false;
	write_check(key, check);
	return CRYPTO_memcmp(check, key + KEY_BODY, KEY_CHECK) == 0;
}

enum rc token_request_id(char id[TOKEN_REQUEST_SIZE])
{
	memcpy(id, REQUEST_PREFIX, sizeof REQUEST_PREFIX);
	return random_base62(id + strlen(REQUEST_PREFIX), REQUEST_RANDOM);
}

static void write_hex(char *out, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

/* Version 7. */
static void write_uuid(char *uuid, unsigned char bytes[16])
{
	static const size_t groups[] = {4, 2, 2, 2, 6};
	size_t at = 0;

	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x70);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		write_hex(uuid, bytes + at, groups[i]);
		uuid += 2 * groups[i];
		at += groups[i];
		*uuid++ = '-';
	}
	uuid[-1] = '\0';
}

enum rc token_uuid_rising(char uuid[TOKEN_UUID_SIZE])
{
	unsigned char bytes[16];
	struct timespec now;
	uint64_t ms;

	if (getentropy(bytes, sizeof bytes) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
		return RC_SYS;
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (size_t i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
	write_uuid(uuid, bytes);
	return RC_OK;
}

static EVP_MD *sha256;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* Fetched once: EVP_sha256() has OpenSSL look for it at each use. NULL when out of memory, and from then on. */
static const EVP_MD *get_sha256(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_sha256);
	return sha256;
}

enum rc token_sha256(const void *bytes, size_t n, char digest[TOKEN_DIGEST_SIZE])
{
	unsigned char hash[32];

	if (get_sha256() == NULL || EVP_Digest(bytes, n, hash, NULL, get_sha256(), NULL) != 1)
		return RC_NOMEM;
	write_hex(digest, hash, sizeof hash);
	return RC_OK;
}

static bool add_piece(EVP_MD_CTX *context, const struct token_piece *piece)
{
	unsigned char length[8];

	for (size_t i = 0; i < sizeof length; i++)
		length[i] = (unsigned char)((uint64_t)piece->len >> (8 * (sizeof length - 1 - i)));
	return EVP_DigestUpdate(context, length, sizeof length) == 1 && EVP_DigestUpdate(context, piece->bytes, piece->len) == 1;
}

enum rc token_sha256_pieces(const struct token_piece *pieces, size_t count, char digest[TOKEN_DIGEST_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char hash[32];
	bool ok = context != NULL && get_sha256() != NULL && EVP_DigestInit_ex(context, get_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < count; i++)
		ok = add_piece(context, &pieces[i]);
	ok = ok && EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (!ok)
		return RC_NOMEM;
	write_hex(digest, hash, sizeof hash);
	return RC_OK;
}

unsigned token_crc32(const void *bytes, size_t n)
{
	/* What four bits shifted out leave behind, for the polynomial 0xedb88320. */
	static const uint32_t left[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
					  0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	const unsigned char *p = bytes;
	uint32_t crc = 0xffffffffu;

	while (n-- > 0) {
		crc ^= *p++;
		crc = (crc >> 4) ^ left[crc & 15];
		crc = (crc >> 4) ^ left[crc & 15];
	}
	return crc ^ 0xffffffffu;
}
