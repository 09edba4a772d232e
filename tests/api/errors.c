/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors: one last error a thread, which no success resets, with a sentence; and a name for each code. */
#include "api/api.h"

static void none_at_first(void)
{
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_NONE);
	CHECK(last_memory_error_message() && last_memory_error_message()[0] == '\0');
}

static void every_code_has_a_name_of_its_own(void)
{
	for (int a = MEMORY_ERROR_NONE; a <= MEMORY_ERROR_IO; a++) {
		const char *name = memory_error_string((memory_error_t)a);

		REQUIRE(name);
		CHECK(strlen(name) > 3);
		for (int b = MEMORY_ERROR_NONE; b < a; b++)
			CHECK_MSG(strcmp(name, memory_error_string((memory_error_t)b)) != 0, "%d and %d: %s", a, b,
				  name);
		CHECK(name == memory_error_string((memory_error_t)a)); /* static storage */
	}
	CHECK(memory_error_string((memory_error_t)999) != NULL);
	CHECK(memory_error_string((memory_error_t)-1) != NULL);
}

static void success_does_not_reset(void)
{
	char said[256];

	REFUSED(allocate_from_pool(hide_size(SIZE_MAX)), ENOMEM, MEMORY_ERROR_ALLOCATION, "18446744073709551615");
	snprintf(said, sizeof(said), "%s", last_memory_error_message());
	return_to_pool(allocate_from_pool(100));
	GOOD(initialize_memory_pool(NULL));
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_ALLOCATION);
	CHECK(strcmp(said, last_memory_error_message()) == 0);
	ERROR(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats"); /* the next one replaces it */
}

static void *fails_alone(void *number)
{
	size_t size = SIZE_MAX / 2 + (uintptr_t)number + 1;
	char text[32];

	none_at_first();
	snprintf(text, sizeof(text), "%zu", size);
	for (int i = 0; i < 500; i++) {
		REFUSED(allocate_from_pool(hide_size(size)), ENOMEM, MEMORY_ERROR_ALLOCATION, text);
		return_to_pool(allocate_from_pool(100));
	}
	return NULL;
}

static void each_thread_has_its_own(void)
{
	pthread_t threads[6];

	ERROR(get_memory_statistics(NULL), MEMORY_ERROR_INVALID_ARGUMENT, "stats");
	for (int round = 0; round < 5; round++) { /* threads come and go: none inherits the last one's error */
		for (uintptr_t i = 0; i < 6; i++)
			REQUIRE(pthread_create(&threads[i], NULL, fails_alone, (void *)(i * 10)) == 0);
		for (int i = 0; i < 6; i++)
			pthread_join(threads[i], NULL);
	}
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_INVALID_ARGUMENT);
	CHECK(strstr(last_memory_error_message(), "stats") != NULL);
}

int main(void)
{
	check_watchdog(60);
	RUN(none_at_first);
	RUN(every_code_has_a_name_of_its_own);
	RUN(success_does_not_reset);
	RUN(each_thread_has_its_own);
	return check_result();
}
