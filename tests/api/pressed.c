/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program whose live data exceed its cgroup's limit by half, but compress well: with compression it finishes, with every byte right; with blocks of
 * the C library it is killed. Each in a child of its own, in a cgroup that the test makes (version 1 or 2) and removes; where it may not make
 * one, or the kernel does not let us answer page faults, it is skipped or left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "api/api.h"
#include "support/contents.h"

enum { LIMIT_MIB = 160, BLOCKS = 240 }; /* of 1 MiB: 1.5 times the limit */

static char group[256];
static bool second_version;

static bool put(const char *file, const char *text)
{
	char path[400];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text);
}

static bool make_group(void)
{
	static const char *const places[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	char bytes[32];

	snprintf(bytes, sizeof(bytes), "%d", LIMIT_MIB << 20);
	for (int i = 0; i < 2; i++) {
		snprintf(group, sizeof(group), "%s/numarena-test-%d", places[i], (int)getpid());
		second_version = i == 1;
		if (mkdir(group, 0755) < 0)
			continue;
		if (put(second_version ? "memory.max" : "memory.limit_in_bytes", bytes)) {
			put("memory.swap.max", "0");
			put("memory.memsw.limit_in_bytes", bytes);
			return true;
		}
		rmdir(group);
	}
	return false;
}

static void enter(void)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(put("cgroup.procs", pid));
}

static void fill(void *block, int i)
{
	contents_fill(block, MIB, i % 2 ? CONTENTS_INTEGERS : CONTENTS_RAMP, (uint64_t)i);
}

static void check(const void *block, int i)
{
	static char wanted[MIB];

	fill(wanted, i);
	if (memcmp(block, wanted, MIB) != 0)
		check_fail(__FILE__, __LINE__, "block %d has changed", i);
}

static void begin(void)
{
	compression_config_t config = { .algorithm = COMPRESSION_LZ4, .level = COMPRESSION_FAST, .enable_cache = true };

	GOOD(initialize_memory_compression(&config));
}

static int raw(void)
{
	static char *blocks[BLOCKS];
	memory_hints_t cold = { .lifetime = LIFETIME_LONG, .priority = PRIORITY_LOW };

	begin();
	for (int i = 0; i < BLOCKS; i++) {
		REQUIRE((blocks[i] = optimized_allocate(MIB, &cold)));
		fill(blocks[i], i);
	}
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < BLOCKS; i++) {
			check(blocks[i], i);
			fill(blocks[i], i + 1); /* written, too */
			fill(blocks[i], i);
		}
	for (int i = 0; i < BLOCKS; i++)
		return_to_pool(blocks[i]);
	return check_result();
}

static int movable(void)
{
	static memory_handle_t blocks[BLOCKS];

	begin();
	for (int i = 0; i < BLOCKS; i++) {
		void *p;

		REQUIRE((blocks[i] = allocate_movable(MIB)));
		REQUIRE((p = pin_memory(blocks[i])));
		fill(p, i);
		unpin_memory(blocks[i]);
	}
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < BLOCKS; i++) {
			void *p = pin_memory(blocks[i]);

			REQUIRE(p);
			check(p, i);
			fill(p, i);
			unpin_memory(blocks[i]);
		}
	for (int i = 0; i < BLOCKS; i++)
		GOOD(release_movable(blocks[i]));
	return check_result();
}

static int plain(void)
{
	static char *blocks[BLOCKS];

	for (int i = 0; i < BLOCKS; i++) {
		REQUIRE((blocks[i] = malloc(MIB)));
		fill(blocks[i], i);
	}
	for (int i = 0; i < BLOCKS; i++)
		check(blocks[i], i);
	return check_result();
}

static const struct program {
	const char *name;
	int (*run)(void);
} programs[] = { { "plain", plain }, { "movable", movable }, { "raw", raw } };

/* Started anew within the group, as jobs are: which limits there are is asked at the start, and then now and again. */
static int status_of(const char *name)
{
	pid_t child = fork();
	int status;

	REQUIRE(child >= 0);
	if (child == 0) {
		enter();
		execl("/proc/self/exe", "pressed", name, (char *)NULL);
		_exit(127);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

static void remove_group(void)
{
	for (int i = 0; i < 100 && rmdir(group) < 0; i++)
		usleep(20000);
}

int main(int argc, char **argv)
{
	memory_metrics_t m;
	int status;

	check_watchdog(240);
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(argv[1], programs[i].name) == 0)
			return programs[i].run();
	if (initialize_memory_compression(NULL))
		SKIP("%s", last_memory_error_message());
	GOOD(get_memory_metrics(&m));
	GOOD(cleanup_compression());
	if (!make_group())
		SKIP("no cgroup with a memory limit can be made here");
	status = status_of("plain");
	CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "blocks of malloc: status %x, and not killed", status);
	status = status_of("movable");
	CHECK_MSG(status == 0, "movable blocks: status %x", status);
	if (m.transparently_compressed_bytes == MEMORY_METRIC_UNAVAILABLE) {
		fprintf(stderr, "raw blocks left out: %s\n", memory_metric_unavailable_reason("transparently_compressed_bytes"));
	} else {
		status = status_of("raw");
		CHECK_MSG(status == 0, "raw blocks: status %x", status);
	}
	remove_group();
	return check_result();
}
