/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NUMARENA_HARDEN=1: what programs must not do is found and told, with the block and its stacks, and a program that does nothing wrong
 * runs as it does without. The program starts itself again for each case.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "api.h"

static const char *const hardened[] = { "NUMARENA_HARDEN=1", "NUMARENA_HARDEN_SAMPLE=0", NULL };
static const char *const fenced[] = { "NUMARENA_HARDEN=1", "NUMARENA_HARDEN_SAMPLE=1", NULL };

static const char *const sampled[] = { "NUMARENA_HARDEN=1", "NUMARENA_HARDEN_SAMPLE=100", "NUMARENA_SAMPLE_BYTES=16k",
				       "NUMARENA_MONITORING=1", NULL };

static memory_integrity_report_t events(void)
{
	memory_integrity_report_t report;

	GOOD(get_memory_integrity_report(&report));
	return report;
}

static char *volatile block; /* volatile: compilers know malloc's ways */

/* ---- what the children do ---- */

static void overrun(void)
{
	size_t before = 0;

	for (size_t size = 1; size < 200000; size = size * 3 + 1) {
		before = events().canary_faults;

		block = allocate_memory(size);
		CHECK_EQ(allocation_size(block), size);
		memset(block, 1, size);
		block[size] = 2;
		release_memory(block);
		CHECK_EQ(events().canary_faults, before + 1);
	}
	block = allocate_memory(100); /* far behind: over the canary itself */
	memset(block, 1, 112);
	release_memory(block);
	CHECK_EQ(events().canary_faults, before + 2);
}

static void overrun_is_validated(void)
{
	char *volatile near = allocate_memory(77);

	block = allocate_memory(1000);
	for (int i = 0; i < 1000; i++)
		block[i] = (char)i;
	CHECK_EQ(validate_memory_blocks(), 0);
	block[1000] = 9;
	near[77] = 1;
	CHECK_EQ(validate_memory_blocks(), 2);
	GOOD(repair_corruption());
	CHECK_EQ(validate_memory_blocks(), 0);
	CHECK_EQ(events().lost_blocks, 2);
	CHECK_EQ(events().lost_bytes, 1077);
	CHECK(strstr(events().first, "behind its end") != NULL);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(block[i], (char)i);
	release_memory(block);
	CHECK_EQ(events().canary_faults, 0);
}

static void free_twice(void)
{
	const size_t sizes[] = { 1, 100, 5000, 100000, 20000000 };

	for (int i = 0; i < 5; i++) {
		block = allocate_memory(sizes[i]);
		release_memory(block);
		release_memory(block);
		CHECK_EQ(events().double_frees, i + 1);
	}
	block = allocate_memory(64);
	return_to_pool(block);
	return_to_pool(block);
	CHECK_EQ(last_memory_error(), MEMORY_ERROR_CORRUPTION);
	CHECK_EQ(events().double_frees, 6);
}

static void free_inside(void)
{
	block = allocate_memory(100);
	release_memory(block + 16);
	CHECK_EQ(events().invalid_frees, 1);
	release_memory(block);
	block = allocate_memory(100000);
	release_memory(block + 4096);
	CHECK_EQ(events().invalid_frees, 2);
	release_memory(block);
	CHECK_EQ(events().double_frees, 0);
}

static void write_after_free(void)
{
	block = allocate_memory(100);
	release_memory(block);
	block[40] = 7;
	CHECK_EQ(validate_memory_blocks(), 1);
	for (int i = 0; i < 5000; i++) /* until it is its turn to be used again */
		release_memory(allocate_memory(48));
	CHECK_EQ(events().writes_after_free, 1);
}

#define SLOTS 500

static _Atomic(char *) shared[SLOTS];

static void *honest(void *argument)
{
	unsigned int seed = (unsigned int)(size_t)argument;

	for (int round = 0; round < (api_brief() ? 200 : 8000); round++) {
		size_t i = (size_t)rand_r(&seed) % SLOTS,
		       size = (size_t)rand_r(&seed) % (rand_r(&seed) % 32 ? 600 : 90000);
		size_t alignment = (size_t)16 << rand_r(&seed) % 6;
		char *p = rand_r(&seed) % 4 ? allocate_memory(size) : allocate_aligned_memory(alignment, size), *old;

		REQUIRE(p != NULL);
		memset(p, (int)size, size);
		if (rand_r(&seed) % 4 == 0) {
			p = resize_memory(p, size * 2 + 1);
			REQUIRE(p != NULL);
			for (size_t k = 0; k < size; k += 17)
				CHECK_EQ(p[k], (char)size);
			memset(p, (int)size, size * 2 + 1);
		}
		old = atomic_exchange(&shared[i], p);
		release_memory(old);
	}
	return NULL;
}

static void nothing_wrong(void)
{
	pthread_t t[3];
	char *zeroed;

	for (size_t i = 0; i < 3; i++)
		REQUIRE(pthread_create(&t[i], NULL, honest, (void *)(i + 1)) == 0);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(validate_memory_blocks(), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		release_memory(shared[i]);
	zeroed = allocate_zeroed_memory(100, 100);
	for (int i = 0; i < 10000; i++)
		CHECK_EQ(zeroed[i], 0);
	CHECK(allocation_pool(zeroed) == NULL);
	zeroed = resize_in_pool(zeroed, 30000);
	CHECK(zeroed && allocation_size(zeroed) == 30000);
	release_memory(zeroed);
	CHECK_EQ(validate_memory_blocks(), 0);
	CHECK_EQ(events().canary_faults + events().double_frees + events().invalid_frees + events().writes_after_free,
		 0);
}

static void touch_fence(void)
{
	block = allocate_memory(100);
	memset(block, 1, 100);
	block[112] = 1; /* rounded to 16, as malloc's alignment wants */
}

static void touch_freed(void)
{
	block = allocate_memory(100);
	release_memory(block);
	block[5]++;
}

static void in_slack(void)
{
	block = allocate_memory(100);
	block[101] = 1;
	release_memory(block);
	CHECK_EQ(events().canary_faults, 1);
	block = allocate_memory(200);
	release_memory(block);
	release_memory(block);
	CHECK_EQ(events().double_frees, 1);
}

static memory_sampling_stats_t sampling(void)
{
	memory_sampling_stats_t s;

	GOOD(get_memory_sampling_statistics(&s));
	return s;
}

/* 10 MB of small blocks and 10 MB of large ones at one sample in 16 KiB. */
static void profiled(void)
{
	char *p[1010];

	for (int i = 0; i < 1010; i++)
		p[i] = allocate_memory(i < 1000 ? 10000 : 1000000);
	CHECK(sampling().live_samples > 400);
	CHECK_EQ(validate_memory_blocks(), 0);
	for (int i = 0; i < 1010; i++)
		release_memory(p[i]);
	CHECK(sampling().live_samples < 10);
	CHECK(sampling().samples > 400);
	CHECK_EQ(validate_memory_blocks(), 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
#define MODE(f)                                                                                                        \
	{                                                                                                              \
#f, f                                                                                                  \
	}
	MODE(overrun),	     MODE(overrun_is_validated), MODE(free_twice),  MODE(free_inside), MODE(write_after_free),
	MODE(nothing_wrong), MODE(touch_fence),		 MODE(touch_freed), MODE(in_slack),	 MODE(profiled),
};

/* ---- what they are held to ---- */

static struct child said;

static void good(const char *mode, const char *const *settings, const char *word)
{
	api_again(mode, settings, &said);
	CHILD_GOOD(&said, mode);
	CHECK_MSG(!word || strstr(said.text, word), "%s: no \"%s\" in: %s", mode, word, said.text);
}

static void overruns_are_found_when_the_block_is_freed(void)
{
	good("overrun", hardened, "written to behind its end, at byte 1;");
}

static void overruns_are_found_by_validation_and_the_block_is_kept(void)
{
	good("overrun_is_validated", hardened, "was written to behind its end");
}

static void double_frees_are_told_with_both_places(void)
{
	good("free_twice", hardened, "freed before by thread");
	CHECK(child_lines_with(&said, "was freed twice") >= 6);
}

static void pointers_into_a_block_are_refused(void)
{
	good("free_inside", hardened, "not the start of a block");
}

static void writes_after_free_are_found_before_reuse(void)
{
	good("write_after_free", hardened, "written to after it was freed, at byte 40");
}

static void honest_programs_run_as_ever(void)
{
	good("nothing_wrong", hardened, NULL);
	CHECK_MSG(said.text[0] == '\0', "it said: %s", said.text);
	good("nothing_wrong", fenced, NULL);
	CHECK_MSG(said.text[0] == '\0', "it said: %s", said.text);
	good("nothing_wrong", sampled, NULL);
	CHECK_MSG(said.text[0] == '\0', "it said: %s", said.text);
}

static void samples_are_taken_in_hardened_mode_too(void)
{
	good("profiled", sampled, NULL);
}

static void crashes(const char *mode, const char *word, const char *and_word)
{
	api_again(mode, fenced, &said);
	CHECK_MSG(WIFSIGNALED(said.status) && WTERMSIG(said.status) == SIGSEGV, "%s: status %x", mode, said.status);
	CHECK_MSG(strstr(said.text, word) && strstr(said.text, and_word), "%s: no \"%s\" and \"%s\" in: %s", mode, word,
		  and_word, said.text);
}

static void fences_tell_who_touches_them(void)
{
	crashes("touch_fence", "12 bytes behind the end of the block", "allocated by thread");
	CHECK_MSG(strstr(said.text, "touch_fence") || strstr(said.text, "hardened"), "no stack in: %s", said.text);
	crashes("touch_freed", "which was freed", "freed by thread");
	good("in_slack", fenced, "written to behind its end, at byte 101");
}

int main(int argc, char **argv)
{
	check_watchdog(120);
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run();
			return check_result();
		}
	RUN(overruns_are_found_when_the_block_is_freed);
	RUN(overruns_are_found_by_validation_and_the_block_is_kept);
	RUN(double_frees_are_told_with_both_places);
	RUN(pointers_into_a_block_are_refused);
	RUN(writes_after_free_are_found_before_reuse);
	RUN(honest_programs_run_as_ever);
	RUN(samples_are_taken_in_hardened_mode_too);
	RUN(fences_tell_who_touches_them);
	return check_result();
}
