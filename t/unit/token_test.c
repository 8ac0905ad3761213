/*
 * token_test.c - keys, ids and digests against published test vectors and their own promises.
 */
#include "port/token.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

START_TEST(digests_match_the_published_vectors)
{
	char digest[TOKEN_DIGEST_SIZE];

	ck_assert_int_eq(token_sha256("abc", 3, digest), RC_OK);
	ck_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ck_assert_int_eq(token_sha256("", 0, digest), RC_OK);
	ck_assert_str_eq(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_uint_eq(token_crc32("123456789", 9), 0xcbf43926u);
	ck_assert_uint_eq(token_crc32("", 0), 0);
}
END_TEST

START_TEST(pieces_cannot_be_shifted_into_each_other)
{
	const struct token_piece one[] = {{"ab", 2}, {"c", 1}}, two[] = {{"a", 1}, {"bc", 2}}, three[] = {{"abc", 3}, {"", 0}};
	char a[TOKEN_DIGEST_SIZE], b[TOKEN_DIGEST_SIZE], c[TOKEN_DIGEST_SIZE], again[TOKEN_DIGEST_SIZE];

	ck_assert_int_eq(token_sha256_pieces(one, 2, a), RC_OK);
	ck_assert_int_eq(token_sha256_pieces(two, 2, b), RC_OK);
	ck_assert_int_eq(token_sha256_pieces(three, 2, c), RC_OK);
	ck_assert_int_eq(token_sha256_pieces(one, 2, again), RC_OK);
	ck_assert_str_eq(a, again);
	ck_assert_str_ne(a, b);
	ck_assert_str_ne(a, c);
	ck_assert_str_ne(b, c);
}
END_TEST

START_TEST(a_new_key_is_wellformed_and_unlike_the_last)
{
	char key[TOKEN_KEY_SIZE], last[TOKEN_KEY_SIZE] = "";

	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(token_key_new(key), RC_OK);
		ck_assert_uint_eq(strlen(key), 42);
		ck_assert(token_key_wellformed(key));
		ck_assert_str_ne(key, last);
		memcpy(last, key, sizeof last);
	}
}
END_TEST

START_TEST(any_one_typing_error_is_told)
{
	char key[TOKEN_KEY_SIZE];

	ck_assert_int_eq(token_key_new(key), RC_OK);
	for (size_t i = 0; i < strlen(key); i++) {
		char kept = key[i];

		key[i] = kept == 'x' ? 'y' : 'x';
		ck_assert_msg(!token_key_wellformed(key), "position %zu", i);
		key[i] = '-';
		ck_assert(!token_key_wellformed(key));
		key[i] = kept;
	}
	key[41] = '\0';
	ck_assert(!token_key_wellformed(key));
	ck_assert(!token_key_wellformed(""));
	ck_assert(!token_key_wellformed(NULL));
	ck_assert(!token_key_wellformed("pfk_"));
}
END_TEST

START_TEST(ids_have_their_form)
{
	char id[TOKEN_REQUEST_SIZE], uuid[TOKEN_UUID_SIZE], earlier[TOKEN_UUID_SIZE] = "";

	ck_assert_int_eq(token_request_id(id), RC_OK);
	ck_assert_uint_eq(strlen(id), 26);
	ck_assert(strncmp(id, "req_", 4) == 0);
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(token_uuid_rising(uuid), RC_OK);
		ck_assert_uint_eq(strlen(uuid), 36);
		ck_assert(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
		ck_assert_uint_eq(strspn(uuid, "0123456789abcdef-"), 36);
		ck_assert_int_eq(uuid[14], '7');
		ck_assert_ptr_nonnull(strchr("89ab", uuid[19]));
		ck_assert_int_le(strncmp(earlier, uuid, 13), 0);
		ck_assert_str_ne(earlier, uuid);
		memcpy(earlier, uuid, sizeof earlier);
	}
	/* Milliseconds since 1970, in front. */
	memmove(earlier + 8, earlier + 9, 4);
	earlier[12] = '\0';
	ck_assert_int_lt(llabs(strtoll(earlier, NULL, 16) / 1000 - (long long)time(NULL)), 60);
}
END_TEST

START_TEST(every_digit_is_about_as_likely)
{
	unsigned count[256] = {0};
	char id[TOKEN_REQUEST_SIZE];

	for (int i = 0; i < 6200; i++) {
		ck_assert_int_eq(token_request_id(id), RC_OK);
		for (const char *c = id + 4; *c != '\0'; c++)
			count[(unsigned char)*c]++;
	}
	/* 2,200 each on average, standard deviation 47 */
	for (const char *c = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; *c != '\0'; c++)
		ck_assert_msg(count[(unsigned char)*c] > 1850 && count[(unsigned char)*c] < 2550, "%c came %u times", *c, count[(unsigned char)*c]);
}
END_TEST

START_TEST(a_forked_process_does_not_repeat_its_parent)
{
	char id[TOKEN_REQUEST_SIZE], childs[TOKEN_REQUEST_SIZE] = "";
	int ends[2], status;
	pid_t child;

	ck_assert_int_eq(token_request_id(id), RC_OK); /* the generator is seeded before the fork */
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (token_request_id(id) != RC_OK || write(ends[1], id, sizeof id) != sizeof id)
			_exit(1);
		_exit(0);
	}
	ck_assert_int_eq(read(ends[0], childs, sizeof childs), sizeof childs);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(token_request_id(id), RC_OK);
	ck_assert_str_ne(id, childs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("token");
	TCase *tcase = tcase_create("token");

	tcase_add_test(tcase, digests_match_the_published_vectors);
	tcase_add_test(tcase, pieces_cannot_be_shifted_into_each_other);
	tcase_add_test(tcase, a_new_key_is_wellformed_and_unlike_the_last);
	tcase_add_test(tcase, any_one_typing_error_is_told);
	tcase_add_test(tcase, ids_have_their_form);
	tcase_add_test(tcase, every_digit_is_about_as_likely);
	tcase_add_test(tcase, a_forked_process_does_not_repeat_its_parent);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
