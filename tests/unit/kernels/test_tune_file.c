/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of tuned distances: what is written is read again, and what is wrong with it is noticed. HOME is a folder of the test's. */
#include "kernels/tune_file.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/options.h"
#include "kernels/tune.h"
#include "support/machine.h"
#include "support/unit.h"

static char home[PATH_MAX], path[PATH_MAX];
static char good[65536];
static size_t length;

static int begin(void **state)
{
	(void)state;
	test_folder_make(home);
	setenv("HOME", home, 1);
	unsetenv("XDG_CACHE_HOME");
	unsetenv("PMIX_RANK");
	unsetenv("OMPI_COMM_WORLD_LOCAL_RANK");
	na_options.tuning_cache = 1;
	na_tune_reset();
	na_tune_file_forget();
	assert_int_equal(na_tune_file_path(path, sizeof(path)), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	test_folder_remove(home);
	return 0;
}

static const struct na_tune_stored some = { .key = 0xabcdef, .kind = NA_TUNE_DISTANCE, .footprint = 28, .value = 48, .gain = 210 };
static const struct na_tune_stored other = { .key = 0x1234567, .kind = NA_TUNE_GROUP, .footprint = 25, .value = 16, .gain = 900 };

static uint32_t value_of(uint64_t key)
{
	for (size_t i = 0; i < NA_TUNE_CELLS; i++) {
		struct na_cell *cell = na_tune_cell(i);

		if (cell && cell->key == key)
			return cell->settled - 1;
	}
	return UINT32_MAX;
}

static void write_both(void)
{
	assert_true(na_tune_adopt(&some, "force.c:40"));
	assert_true(na_tune_adopt(&other, "a name: with blanks"));
	na_tune_file_changed();
	na_tune_file_flush();
}

static void put(const char *text, size_t bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	fclose(f);
}

static void get(void)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	length = fread(good, 1, sizeof(good) - 1, f);
	good[length] = '\0';
	fclose(f);
}

/* As another process would find it. */
static bool takes_over(void)
{
	na_tune_reset();
	na_tune_file_forget();
	na_tune_file_look();
	return value_of(some.key) == some.value && value_of(other.key) == other.value;
}

static void what_is_written_is_read_again(void **state)
{
	struct stat s;

	(void)state;
	write_both();
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_true(takes_over());
	for (size_t i = 0; i < NA_TUNE_CELLS; i++)
		if (na_tune_cell(i) && na_tune_cell(i)->key == other.key) {
			assert_string_equal(na_tune_cell(i)->name, "a name: with blanks");
			assert_int_equal(na_tune_cell(i)->kind, NA_TUNE_GROUP);
			assert_int_equal(na_tune_cell(i)->gain, 900);
			assert_true(na_tune_cell(i)->stored);
		}
}

static void quietly(void)
{
	na_options.verbose = 0;
}

static void loudly(void)
{
	na_options.verbose = 1;
}

static bool takes_nothing(void)
{
	bool any = takes_over();

	for (size_t i = 0; i < NA_TUNE_CELLS; i++)
		any |= na_tune_cell(i) != NULL;
	return !any;
}

static void a_file_that_is_cut_off_is_ignored(void **state)
{
	(void)state;
	quietly();
	write_both();
	get();
	for (size_t i = 0; i < length; i++) {
		put(good, i);
		assert_true(takes_nothing());
	}
	put(good, length);
	assert_true(takes_over());
	loudly();
}

static void a_file_that_was_changed_is_ignored(void **state)
{
	(void)state;
	quietly();
	write_both();
	get();
	for (size_t i = 0; i < length; i++)
		for (unsigned int bit = 0; bit < 8; bit += 3) {
			good[i] ^= (char)(1 << bit);
			put(good, length);
			assert_true(takes_nothing());
			good[i] ^= (char)(1 << bit);
		}
	good[length] = 'x';
	put(good, length + 1);
	assert_true(takes_nothing());
	loudly();
}

/* With a hash that is right, so that it is the contents which are judged. */
static void put_signed(const char *body, unsigned int entries)
{
	static char text[70000];

	snprintf(text, sizeof(text), "%send %u %llx\n", body, entries,
		 (unsigned long long)na_hash_text(NA_HASH_START, body));
	put(text, strlen(text));
}

static void foreign_files_are_ignored(void **state)
{
	static const char *const lines[] = { "0 0 20 16 200 zero key\n",      "5 7 20 16 200 no such kind\n",
					     "5 0 90 16 200 too large\n",     "5 0 20 4000 200 too far\n",
					     "5 1 20 0 200 none at once\n",   "5 1 20 64 200 too many at once\n",
					     "5 0 20 16 200 \n",	      "5 0 20 -1 200 negative\n",
					     "5 0 20 99999999999999999999 2 overflow\n",
					     "nonsense\n",		      "\n" };
	char cpu[256], body[1024];

	(void)state;
	quietly();
	write_both();
	na_tune_cpu(cpu, sizeof(cpu));
	assert_true(strlen(cpu) > 3 && !strchr(cpu, '\n'));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(body, sizeof(body), "numarena tuning 1\ncpu %s\n%s", cpu, lines[i]);
		put_signed(body, 1);
		assert_true(takes_nothing());
	}
	snprintf(body, sizeof(body), "numarena tuning 1\ncpu %s\n5 0 20 16 200 fine\n", cpu);
	put_signed(body, 2);
	assert_true(takes_nothing()); /* the count is wrong */
	put_signed(body, 1);
	na_tune_file_forget();
	na_tune_file_look();
	assert_int_equal(value_of(5), 16);
	snprintf(body, sizeof(body), "numarena tuning 1\ncpu Another 1 2 3\n5 0 20 16 200 fine\n");
	put_signed(body, 1);
	assert_true(takes_nothing());
	snprintf(body, sizeof(body), "numarena tuning 9\ncpu %s\n5 0 20 16 200 fine\n", cpu);
	put_signed(body, 1);
	assert_true(takes_nothing());
	loudly();
}

static void one_line_says_what_is_wrong(void **state)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	char said[4096] = "";
	ssize_t n;

	(void)state;
	write_both();
	put("rubbish\n", 8);
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	na_tune_reset();
	na_tune_file_forget();
	na_tune_file_look();
	dup2(saved, STDERR_FILENO);
	close(pipes[1]);
	close(saved);
	n = read(pipes[0], said, sizeof(said) - 1);
	close(pipes[0]);
	assert_true(n > 0);
	assert_non_null(strstr(said, path));
	assert_non_null(strstr(said, "ignored"));
	assert_int_equal(strchr(said, '\n') - said, n - 1);
}

/* Something that is no folder stands where the folder should be: not even root can write there. */
static void without_a_place_nothing_is_kept(void **state)
{
	char block[PATH_MAX + 16];
	FILE *f;

	(void)state;
	snprintf(block, sizeof(block), "%s/.cache", home);
	f = fopen(block, "w");
	assert_non_null(f);
	fclose(f);
	write_both();
	assert_int_not_equal(access(path, F_OK), 0);
	assert_true(takes_nothing());
	setenv("HOME", "/proc/self/fdinfo", 1); /* read-only for everybody */
	assert_int_equal(na_tune_file_path(path, sizeof(path)), 0);
	write_both();
	unsetenv("HOME");
	assert_true(na_tune_file_path(path, sizeof(path)) < 0);
	na_tune_file_changed();
	na_tune_file_flush();
	assert_true(takes_nothing());
}

static size_t entries_of(const char *folder)
{
	DIR *d = opendir(folder);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void switched_off_it_leaves_no_file(void **state)
{
	(void)state;
	na_options.tuning_cache = 0;
	write_both();
	assert_int_equal(entries_of(home), 2); /* . and .. */
	na_options.tuning_cache = 1;
	assert_true(takes_nothing());
}

static void others_entries_stay(void **state)
{
	(void)state;
	write_both();
	na_tune_reset();
	na_tune_file_forget();
	assert_true(na_tune_adopt(&(struct na_tune_stored){ .key = 99, .value = 7 }, "third"));
	na_tune_file_changed();
	na_tune_file_flush();
	assert_true(takes_over());
	assert_int_equal(value_of(99), 7);
}

static void one_rank_of_a_job_writes(void **state)
{
	char parent[PATH_MAX + 32];

	(void)state;
	setenv("PMIX_RANK", "3", 1);
	write_both();
	snprintf(parent, sizeof(parent), "%s/.cache/numarena", home);
	assert_int_not_equal(access(path, F_OK), 0);
	setenv("PMIX_RANK", "0", 1);
	na_tune_file_changed();
	assert_int_equal(na_tune_file_tick(5000000000), UINT32_MAX);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(entries_of(parent), 3); /* no temporary file stays */
	assert_int_equal(na_tune_file_tick(5000000001), UINT32_MAX);
	na_tune_file_changed();
	assert_int_equal(na_tune_file_tick(5000000002), 1000);
}

static void the_cache_folder_of_the_session_goes_first(void **state)
{
	char folder[PATH_MAX + 16];

	(void)state;
	snprintf(folder, sizeof(folder), "%s/elsewhere", home);
	setenv("XDG_CACHE_HOME", folder, 1);
	assert_int_equal(na_tune_file_path(path, sizeof(path)), 0);
	assert_non_null(strstr(path, "/elsewhere/numarena/tuning-"));
	mkdir(folder, 0700);
	write_both();
	assert_true(takes_over());
	setenv("XDG_CACHE_HOME", "relative", 1); /* as the standard has it: ignored */
	assert_int_equal(na_tune_file_path(path, sizeof(path)), 0);
	assert_non_null(strstr(path, "/.cache/numarena/tuning-"));
	unsetenv("XDG_CACHE_HOME");
}

/* The entries of a full file leave room for loops that are new, and these get into the file before what nobody used. */
static void a_full_file_leaves_room(void **state)
{
	struct na_tune_judged what = { .footprint = 25 };
	char name[32];

	(void)state;
	for (unsigned int i = 0; i < NA_TUNE_STORED + 20; i++) {
		snprintf(name, sizeof(name), "loop%u", i);
		assert_true(na_tune_adopt(&(struct na_tune_stored){ .key = 3 + 2 * i, .value = i % 64 }, name) ==
			    (i < NA_TUNE_STORED));
	}
	na_tune_file_changed();
	na_tune_file_flush();
	na_tune_reset();
	na_tune_file_forget();
	na_tune_file_look();
	assert_int_equal(value_of(3), 0);
	assert_non_null(na_tune_find(99999, "new", &what, NA_TUNE_DISTANCE));
	na_tune_find(99999, "new", &what, NA_TUNE_DISTANCE)->settled = 34;
	na_tune_file_changed();
	na_tune_file_flush();
	na_tune_reset();
	na_tune_file_forget();
	na_tune_file_look();
	assert_int_equal(value_of(99999), 33);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_again),
		TEST(a_file_that_is_cut_off_is_ignored),
		TEST(a_file_that_was_changed_is_ignored),
		TEST(foreign_files_are_ignored),
		TEST(one_line_says_what_is_wrong),
		TEST(without_a_place_nothing_is_kept),
		TEST(switched_off_it_leaves_no_file),
		TEST(others_entries_stay),
		TEST(one_rank_of_a_job_writes),
		TEST(a_full_file_leaves_room),
		TEST(the_cache_folder_of_the_session_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
