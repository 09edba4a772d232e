/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuring the default pool: fields out of range, what a change does, the limit, and the settings of the
 * environment, which win over the program's. Started again with the name of a case and other settings.
 */
#include "api/api.h"

#include <limits.h>

/* The alignment in force, told from outside: what all of many small blocks have in common. */
static size_t alignment_in_force(void)
{
	uintptr_t common = 0;
	void *p[300];

	for (int i = 0; i < 300; i++)
		common |= (uintptr_t)(p[i] = allocate_from_pool(1));
	for (int i = 0; i < 300; i++)
		return_to_pool(p[i]);
	return (size_t)(common & -common);
}

static void null_and_zero_mean_defaults(void)
{
	memory_pool_config_t zero = { 0 };

	GOOD(initialize_memory_pool(NULL));
	CHECK_EQ(alignment_in_force(), 64);
	GOOD(initialize_memory_pool(&zero));
	GOOD(initialize_memory_pool(&zero));
	CHECK_EQ(alignment_in_force(), 64);
}

static void the_documented_sample(void)
{
	memory_pool_config_t config = {
		.total_size = 8 * 1024 * 1024 * 1024ull,
		.block_size = 4096,
		.alignment = 64,
		.enable_monitoring = true,
		.enable_defragmentation = true,
		.defrag_threshold = 0.7,
	};
	void *data;

	GOOD(initialize_memory_pool(&config));
	GOOD(initialize_memory_pool(&config));
	data = allocate_from_pool(12345);
	CHECK(data != NULL && api_aligned(data, 64));
	return_to_pool(data);
	GOOD(stop_memory_monitoring());
	GOOD(initialize_memory_pool(NULL));
}

static void every_alignment_takes_effect(void)
{
	for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
		memory_pool_config_t config = { .alignment = alignment };

		GOOD(initialize_memory_pool(&config));
		CHECK_EQ(alignment_in_force(), alignment);
		for (size_t size = 0; size < 3 * MIB; size = size * 2 + 1) {
			void *p = allocate_from_pool(size), *z = allocate_zeroed_from_pool(size);

			CHECK_MSG(api_aligned(p, alignment) && api_aligned(z, alignment),
				  "alignment %zu, size %zu: %p, %p", alignment, size, p, z);
			return_to_pool(p);
			return_to_pool(z);
		}
	}
	GOOD(initialize_memory_pool(NULL));
	CHECK_EQ(alignment_in_force(), 64);
}

static void refuse(const memory_pool_config_t *config, const char *field, const char *value)
{
	ERROR(initialize_memory_pool(config), MEMORY_ERROR_INVALID_ARGUMENT, field, value, "must be");
	CHECK_EQ(alignment_in_force(), 16); /* changes nothing */
}

static void fields_out_of_range_are_named(void)
{
	const size_t alignments[] = { 1, 8, 15, 24, 100, 8192, SIZE_MAX };
	const size_t blocks[] = { 1, 100, 2048, 4095, 5000, 12288, 67108864, SIZE_MAX };
	const double thresholds[] = { -0.5, 1.5, -INFINITY, INFINITY, NAN };
	memory_pool_config_t config = { .alignment = 16 };
	char text[32];

	GOOD(initialize_memory_pool(&config));
	for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++) {
		snprintf(text, sizeof(text), "%zu", alignments[i]);
		refuse(&(memory_pool_config_t){ .alignment = alignments[i] }, "alignment", text);
	}
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		snprintf(text, sizeof(text), "%zu", blocks[i]);
		refuse(&(memory_pool_config_t){ .block_size = blocks[i], .alignment = 4096 }, "block_size", text);
	}
	for (size_t i = 0; i < sizeof(thresholds) / sizeof(thresholds[0]); i++)
		refuse(&(memory_pool_config_t){ .defrag_threshold = thresholds[i], .alignment = 4096 },
		       "defrag_threshold", "");
	GOOD(initialize_memory_pool(NULL));
}

static void the_limit_holds_and_memory_comes_back(void)
{
	enum { N = 200 };
	memory_pool_config_t config = { .total_size = 64 * MIB };
	void *p[N];
	size_t n = 0;

	GOOD(initialize_memory_pool(&config));
	while (n < N && (p[n] = allocate_from_pool(MIB)) != NULL)
		memset(p[n++], 1, MIB);
	CHECK_MSG(n >= 32 && n <= 64, "%zu blocks of 1 MiB under a limit of 64 MiB", n);
	REFUSED(allocate_from_pool(MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "1048576", "total_size", "67108864");
	REFUSED(allocate_from_pool(hide_size(65 * MIB)), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size");
	CHECK(api_stats().held_bytes <= 64 * MIB);
	return_to_pool(p[--n]);
	p[n] = allocate_from_pool(MIB);
	CHECK(p[n] != NULL);
	return_to_pool(p[n]);
	/* The free memory, kept for reuse as blocks of 1 MiB, serves other sizes. */
	while (n > 0)
		return_to_pool(p[--n]);
	for (size_t size = 16; size <= 32 * MIB; size *= 4) {
		p[0] = allocate_from_pool(size);
		CHECK_MSG(p[0] != NULL, "no %zu bytes under an empty pool's limit: %s", size,
			  last_memory_error_message());
		return_to_pool(p[0]);
	}
	GOOD(initialize_memory_pool(NULL));
}

/* A block that grows by moving its pages needs room for what it grows by, not for two of itself. */
static void resizing_obeys_the_limit(void)
{
	memory_pool_config_t config = { .total_size = 64 * MIB };
	unsigned char *p, *q;
	void *kept[40];

	GOOD(initialize_memory_pool(&config));
	flush_memory_pools();
	for (int i = 0; i < 40; i++) /* 40 MiB kept for reuse, which must make room */
		kept[i] = allocate_from_pool(MIB);
	for (int i = 0; i < 40; i++)
		return_to_pool(kept[i]);
	p = allocate_from_pool(20 * MIB);
	check_fill(p, 0, 20000, 8);
	p = resize_in_pool(p, 50 * MIB);
	REQUIRE(p);
	REFUSED(resize_in_pool(hide(p), hide_size(100 * MIB)), ENOMEM, MEMORY_ERROR_ALLOCATION, "104857600",
		"total_size");
	CHECK_EQ(check_filled(p, 0, 20000, 8), 20000);
	CHECK(allocation_size(p) >= 50 * MIB);
	p = resize_in_pool(p, 10 * MIB);
	REQUIRE(p);
	q = allocate_from_pool(40 * MIB); /* what it shrank by is there */
	CHECK_MSG(q != NULL, "%s", last_memory_error_message());
	CHECK_EQ(check_filled(p, 0, 20000, 8), 20000);
	return_to_pool(q);
	return_to_pool(p);
	GOOD(initialize_memory_pool(NULL));
}

static void a_limit_below_what_is_in_use_is_busy(void)
{
	unsigned char *p = allocate_from_pool(40 * MIB), *q;
	memory_pool_config_t config = { .total_size = 20 * MIB, .alignment = 512 };

	check_fill(p, 0, 10000, 9);
	ERROR(initialize_memory_pool(&config), MEMORY_ERROR_BUSY, "total_size", "20971520");
	CHECK_EQ(alignment_in_force(), 64);
	q = allocate_from_pool(40 * MIB); /* the old limit is still in force */
	CHECK(q != NULL);
	return_to_pool(q);
	CHECK_EQ(check_filled(p, 0, 10000, 9), 10000);
	return_to_pool(p); /* kept for reuse only: that must not be in the way */
	GOOD(initialize_memory_pool(&config));
	GOOD(initialize_memory_pool(NULL));
}

static void monitoring_starts_tracking(void)
{
	memory_pool_config_t config = { .enable_monitoring = true };

	GOOD(initialize_memory_pool(&config));
	EVENTUALLY(get_memory_samples(NULL, 0) > 0);
	GOOD(stop_memory_monitoring());
}

static void *configure(void *number)
{
	for (int i = 0; i < (api_brief() ? 30 : 300); i++) {
		memory_pool_config_t config = { .alignment = (size_t)16 << ((uintptr_t)number + (size_t)i) % 9,
						.block_size = (size_t)4096 << i % 10,
						.enable_defragmentation = i % 2 };
		void *p;

		GOOD(initialize_memory_pool(&config));
		p = allocate_from_pool(100 * ((size_t)i + 1));
		CHECK(p && api_aligned(p, 16));
		memset(p, 1, 100 * ((size_t)i + 1));
		return_to_pool(p);
	}
	return NULL;
}

static void threads_configure_at_once(void)
{
	pthread_t threads[4];

	for (uintptr_t i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, configure, (void *)i) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	GOOD(initialize_memory_pool(NULL));
	CHECK_EQ(alignment_in_force(), 64);
}

/* ---- started again: the environment ---- */

static void in_environment_limit(void)
{
	memory_pool_config_t config = { .total_size = GIB, .alignment = 16 };
	void *p;

	CHECK_EQ(alignment_in_force(), 256);
	GOOD(initialize_memory_pool(&config)); /* the environment wins, and it is no error */
	CHECK_EQ(alignment_in_force(), 256);
	REFUSED(allocate_from_pool(60 * MIB), ENOMEM, MEMORY_ERROR_ALLOCATION, "total_size", "50331648");
	p = allocate_from_pool(20 * MIB);
	CHECK(p != NULL);
	return_to_pool(p);
	GOOD(cleanup_memory_resources());
	CHECK_EQ(alignment_in_force(), 256);
}

static void in_monitoring(void)
{
	EVENTUALLY(get_memory_samples(NULL, 0) > 3);
}

/* With an hour's decay, only defragmentation gives memory back. The maintenance thread looks as it starts, which is when the
 * process first holds 16 MiB. */
static void in_defragmentation(void)
{
	memory_pool_config_t config = { .enable_defragmentation = true, .defrag_threshold = 0.2 };
	enum { N = 12 };
	void *p[N];

	for (int i = 0; i < N; i++)
		memset(p[i] = allocate_from_pool(MIB), 1, MIB);
	for (int i = 1; i < N; i++)
		return_to_pool(p[i]);
	CHECK(api_stats().physical_bytes > 11 * MIB);
	GOOD(initialize_memory_pool(&config));
	p[1] = allocate_from_pool(10 * MIB);
	EVENTUALLY(api_stats().physical_bytes < 3 * MIB);
	return_to_pool(p[0]);
	return_to_pool(p[1]);
}

static const struct {
	const char *name;
	void (*function)(void);
} cases[] = {
	{ "limit", in_environment_limit },
	{ "monitoring", in_monitoring },
	{ "defragmentation", in_defragmentation },
};

static void again(const char *name, const char *const *settings)
{
	struct child c;

	api_again(name, settings, &c);
	CHILD_GOOD(&c, name);
}

static void the_environment_wins(void)
{
	again("limit", (const char *const[]){ "NUMARENA_TOTAL_SIZE=48M", "NUMARENA_ALIGNMENT=256", NULL });
	again("monitoring", (const char *const[]){ "NUMARENA_MONITORING=1", "NUMARENA_SAMPLING_INTERVAL=5", NULL });
	again("defragmentation", (const char *const[]){ "NUMARENA_DECAY_MS=3600000", NULL });
}

static void a_wrong_setting_ends_the_program_before_it_starts(void)
{
	static const char *const wrong[] = {
		"NUMARENA_ALIGNMENT=77",       "NUMARENA_ALIGNMENT=",	       "NUMARENA_BLOCK_SIZE=3G",
		"NUMARENA_TOTAL_SIZE=lots",    "NUMARENA_TOTAL_SIZE=-1",       "NUMARENA_DECAY_MS=1.5",
		"NUMARENA_DEFRAG_THRESHOLD=7", "NUMARENA_DEFRAGMENTATION=yep", "NUMARENA_SAMPLING_INTERVAL=0",
		"NUMARENA_VERBOSE=9",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct child c;

		api_again("reached", (const char *const[]){ wrong[i], NULL }, &c);
		CHECK_MSG(WIFEXITED(c.status) && WEXITSTATUS(c.status) == 2, "%s: status %x", wrong[i],
			  (unsigned int)c.status);
		CHECK_MSG(strstr(c.text, wrong[i]) && child_lines_with(&c, "numarena: ") == 1, "%s: said \"%s\"",
			  wrong[i], c.text);
		CHECK_MSG(strstr(c.text, "must be") != NULL, "%s: does not say what is allowed: \"%s\"", wrong[i],
			  c.text);
		CHECK_MSG(!strstr(c.text, "main was reached"), "%s: the program ran", wrong[i]);
	}
}

static void an_unknown_setting_is_mentioned(void)
{
	struct child c;

	api_again("reached", (const char *const[]){ "NUMARENA_ALIGNEMENT=64", NULL }, &c);
	CHILD_GOOD(&c, "an unknown setting");
	CHECK(strstr(c.text, "NUMARENA_ALIGNEMENT") && strstr(c.text, "main was reached"));
	api_again("reached", (const char *const[]){ "NUMARENA_ALIGNEMENT=64", "NUMARENA_VERBOSE=0", NULL }, &c);
	CHECK_EQ(child_lines_with(&c, "numarena: "), 0);
}

int main(int argc, char **argv)
{
	check_watchdog(60);
	if (argc > 1 && strcmp(argv[1], "reached") == 0) {
		fprintf(stderr, "main was reached\n");
		return check_result();
	}
	for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(argv[1], cases[i].name) == 0) {
			check_case = cases[i].name;
			cases[i].function();
			return check_result();
		}
	RUN(null_and_zero_mean_defaults);
	RUN(the_documented_sample);
	RUN(every_alignment_takes_effect);
	RUN(fields_out_of_range_are_named);
	RUN(the_limit_holds_and_memory_comes_back);
	RUN(resizing_obeys_the_limit);
	RUN(a_limit_below_what_is_in_use_is_busy);
	RUN(monitoring_starts_tracking);
	RUN(threads_configure_at_once);
	RUN(the_environment_wins);
	RUN(a_wrong_setting_ends_the_program_before_it_starts);
	RUN(an_unknown_setting_is_mentioned);
	return check_result();
}
