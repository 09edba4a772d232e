/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernels/tune_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/options.h"
#include "kernels/tune.h"
#include "os/os.h"

#define HEAD	  "numarena tuning 1\n"
#define MOST	  ((size_t)32 << 10) /* of the file: NA_TUNE_STORED lines with the longest names */
#define PATH_MOST 1024
#define REST_NS	  UINT64_C(1000000000)

static struct na_lock
	busy; /* only tried, but by flush: of all below. Held while a file is read or written, by who owns the
				 * buffer; no lock of the heap is taken under it. */
static char text[MOST + 1];
static uint64_t looked_ns, wrote_ns;
static struct timespec seen_time; /* of the file that was read last, with its inode */
static ino_t seen_inode;
static bool seen, complained;
static _Atomic bool fresh; /* something to write. Relaxed: the cells are read under their locks */

/* ---- where ---- */

/* vendor, family, model, stepping and name of the first processor, as the kernel has them; other architectures' names as well. */
void na_tune_cpu(char *out, size_t capacity)
{
	static const char *const fields[] = { "vendor_id",	 "cpu family",	"model",    "stepping", "model name",
					      "CPU implementer", "CPU variant", "CPU part", "cpu" };
	char buffer[4096], *line = buffer, *end;
	int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buffer, sizeof(buffer) - 1);
	size_t at = 0;

	if (fd >= 0)
		close(fd);
	buffer[n > 0 ? n : 0] = '\0';
	out[0] = '\0';
	for (; (end = strchr(line, '\n')) && end != line; line = end + 1) {
		char *colon = memchr(line, ':', (size_t)(end - line));

		for (size_t i = 0; colon && i < sizeof(fields) / sizeof(fields[0]); i++) {
			size_t length = strlen(fields[i]);

			if (strncmp(line, fields[i], length) != 0 || strchr("\t :", line[length]) == NULL ||
			    (line[length] == ' ' && colon != line + length + 1))
				continue;
			*end = '\0';
			at += na_format(out + at, capacity - at, "%s%s", at ? " " : "", colon + 1 + (colon[1] == ' '));
			*end = '\n';
		}
	}
	if (at == 0)
		na_format(out, capacity, "unknown");
}

static const char *folder_variable(const char *name)
{
	const char *value = secure_getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

/* The folder that is the user's, and what of ours lies within. */
static const char *root(const char **below)
{
	const char *cache = folder_variable("XDG_CACHE_HOME");

	*below = cache ? "" : "/.cache";
	return cache ? cache : folder_variable("HOME");
}

int na_tune_file_path(char *out, size_t capacity)
{
	const char *below, *home = root(&below);
	char cpu[256];

	if (!home || !__atomic_load_n(&na_options.tuning_cache, __ATOMIC_RELAXED))
		return -ENOENT;
	na_tune_cpu(cpu, sizeof(cpu));
	if (na_format(out, capacity, "%s%s/numarena/tuning-%llx", home, below,
		      (unsigned long long)na_hash_text(NA_HASH_START, cpu)) >= capacity - 1)
		return -ENOENT;
	return 0;
}

/* ---- reading ---- */

static bool number(char **at, uint64_t most, unsigned int base, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(*at, &end, (int)base);
	if (end == *at || **at == '-' || *end != ' ' || errno || *out > most)
		return false;
	*at = end + 1;
	return true;
}

static bool parse_line(char *line, struct na_tune_stored *out, char **name)
{
	uint64_t kind, footprint, value, gain;

	if (!number(&line, UINT64_MAX, 16, &out->key) || !number(&line, NA_TUNE_GROUP, 10, &kind) ||
	    !number(&line, 64, 10, &footprint) || !number(&line, NA_TUNE_FARTHEST, 10, &value) ||
	    !number(&line, NA_TUNE_MOST_GAIN, 10, &gain) || out->key == 0 || *line == '\0')
		return false;
	out->kind = (enum na_tune_kind)kind;
	out->footprint = (uint32_t)footprint;
	out->value = (uint32_t)value;
	out->gain = (uint32_t)gain;
	*name = line;
	return na_tune_possible(out);
}

/* Checks all before anything is taken over. What is wrong with it, or NULL. */
static const char *check(size_t length, char **first, size_t *entries)
{
	char cpu[256], ours[256], *line, *end, *tail = NULL;
	uint64_t count, hash;

	if (length == 0 || text[length - 1] != '\n' || strlen(text) != length)
		return "it is damaged";
	if (strncmp(text, HEAD, strlen(HEAD)) != 0)
		return "it is not of this version";
	for (line = text; (end = strchr(line, '\n')); line = end + 1)
		tail = line;
	if (strncmp(tail, "end ", 4) != 0)
		return "it is cut off";
	text[length - 1] = ' '; /* as number() wants it */
	line = tail + 4;
	if (!number(&line, NA_TUNE_CELLS, 10, &count) || !number(&line, UINT64_MAX, 16, &hash) || *line != '\0' ||
	    hash != na_hash(NA_HASH_START, text, (size_t)(tail - text)))
		return "it is damaged";
	na_tune_cpu(ours, sizeof(ours));
	na_format(cpu, sizeof(cpu), "cpu %s\n", ours);
	*first = text + strlen(HEAD);
	if (strncmp(*first, cpu, strlen(cpu)) != 0)
		return "it is another processor's";
	*first += strlen(cpu);
	*tail = '\0';
	*entries = (size_t)count;
	return NULL;
}

static const char *take_over(size_t length)
{
	struct na_tune_stored stored;
	char *first, *line, *end, *name;
	size_t entries, found = 0;
	const char *wrong = check(length, &first, &entries);

	if (wrong)
		return wrong;
	for (line = first; (end = strchr(line, '\n')); line = end + 1, found++) {
		*end = '\0';
		if (!parse_line(line, &stored, &name))
			return "it is damaged";
	}
	if (found != entries)
		return "it is damaged";
	for (line = first; found-- > 0; line += strlen(line) + 1)
		if (parse_line(line, &stored, &name))
			na_tune_adopt(&stored, name);
	return NULL;
}

static ssize_t read_all(int fd)
{
	size_t at = 0;
	ssize_t n;

	while (at < MOST && (n = read(fd, text + at, MOST - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	return (ssize_t)at;
}

/* Under `busy`. */
static void load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *wrong = NULL;
	struct stat s;

	if (fd < 0)
		return;
	if (fstat(fd, &s) == 0 && (!seen || s.st_ino != seen_inode || s.st_mtim.tv_sec != seen_time.tv_sec ||
				   s.st_mtim.tv_nsec != seen_time.tv_nsec)) {
		seen = true;
		seen_inode = s.st_ino;
		seen_time = s.st_mtim;
		if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || (size_t)s.st_size > MOST)
			wrong = "it is no file of ours";
		else
			wrong = take_over((size_t)read_all(fd));
	}
	close(fd);
	if (wrong && !complained)
		na_log(NA_LOG_WARNING, "tuned distances in %s are ignored: %s", path, wrong);
	complained |= wrong != NULL;
}

void na_tune_file_look(void)
{
	char path[PATH_MOST];
	uint64_t now = na_os_now_ns();
	int saved = errno;

	if (!na_trylock(&busy))
		return;
	if ((looked_ns == 0 || now - looked_ns > REST_NS) && na_tune_file_path(path, sizeof(path)) == 0)
		load(path);
	looked_ns = now;
	na_unlock(&busy);
	errno = saved;
}

/* ---- writing ---- */

static bool is_zero(const char *const *names, size_t count, bool *any)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(names[i]);

		if (!value || !*value)
			continue;
		*any = true;
		return strcmp(value, "0") == 0;
	}
	return false;
}

static bool is_shared(const char *folder)
{
	static const uint32_t network[] = { 0x6969,	0x0bd00bd0, 0x47504653, 0x19830326, 0xff534d42, 0xfe534d42,
					    0x00c36400, 0x5346414f, 0xaad7aaea, 0x65735546, 0x01021997 };
	struct statfs s;

	if (statfs(folder, &s) < 0)
		return true;
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		if ((uint32_t)s.f_type == network[i])
			return true;
	return false;
}

static bool may_write(const char *folder)
{
	static const char *const ranks[] = { "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID" };
	static const char *const locals[] = { "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID" };
	bool job = false, known = false;

	if (is_zero(ranks, sizeof(ranks) / sizeof(ranks[0]), &job) || !job)
		return true;
	return is_zero(locals, sizeof(locals) / sizeof(locals[0]), &known) && !is_shared(folder);
}

/* A line for a cell that has settled; of those that this process has used, or of the others. */
static bool render_cell(struct na_cell *cell, bool used, size_t *at)
{
	uint32_t value = atomic_load_explicit(&cell->settled, memory_order_relaxed);
	uint32_t briefs = atomic_load_explicit(&cell->briefs, memory_order_relaxed);
	bool wanted;

	if (value == 0 || !na_trylock(&cell->lock))
		return false;
	wanted = (!cell->stored || cell->runs || briefs) == used && strpbrk(cell->name, "\n\r") == NULL;
	if (wanted)
		*at += na_format(text + *at, MOST - *at, "%llx %u %u %u %u %s\n",
				 (unsigned long long)atomic_load_explicit(&cell->key, memory_order_relaxed),
				 (unsigned int)cell->kind, cell->footprint, value - 1, cell->gain, cell->name);
	na_unlock(&cell->lock);
	return wanted;
}

static size_t render(void)
{
	size_t at, count = 0;
	char cpu[256];

	na_tune_cpu(cpu, sizeof(cpu));
	at = na_format(text, MOST, HEAD "cpu %s\n", cpu);
	for (int used = 1; used >= 0; used--)
		for (size_t i = 0; i < NA_TUNE_CELLS && count < NA_TUNE_STORED; i++)
			if (na_tune_cell(i))
				count += render_cell(na_tune_cell(i), used, &at);
	at += na_format(text + at, MOST - at, "end %zu %llx\n", count,
			(unsigned long long)na_hash(NA_HASH_START, text, at));
	return at;
}

/* The folders, from the user's own down. -errno of the one that cannot be made. */
static int make_folders(char *path)
{
	const char *below, *home = root(&below);

	for (char *slash = path + strlen(home); (slash = strchr(slash, '/')); slash++) {
		int rc;

		*slash = '\0';
		rc = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Under `busy`. */
static void store(void)
{
	char path[PATH_MOST];
	const char *below, *home = root(&below);
	int rc;

	if (na_tune_file_path(path, sizeof(path)) < 0 || !may_write(home))
		return;
	load(path); /* what others have found meanwhile stays */
	rc = make_folders(path);
	if (rc == 0)
		rc = na_file_replace(path, text, render(), 0600, false);
	if (rc < 0)
		na_log(NA_LOG_INFO, "tuned distances are not kept: %s: %s", path, strerror(-rc));
}

void na_tune_file_changed(void)
{
	atomic_store_explicit(&fresh, true, memory_order_relaxed);
}

uint32_t na_tune_file_tick(uint64_t now_ns)
{
	if (!atomic_load_explicit(&fresh, memory_order_relaxed))
		return UINT32_MAX;
	if ((wrote_ns && now_ns - wrote_ns < REST_NS) || !na_trylock(&busy))
		return 1000;
	atomic_store_explicit(&fresh, false, memory_order_relaxed);
	store();
	wrote_ns = now_ns;
	na_unlock(&busy);
	return UINT32_MAX;
}

void na_tune_file_flush(void)
{
	int saved = errno;

	if (!atomic_load_explicit(&fresh, memory_order_relaxed))
		return;
	na_lock(&busy);
	atomic_store_explicit(&fresh, false, memory_order_relaxed);
	store();
	na_unlock(&busy);
	errno = saved;
}

void na_tune_file_forget(void)
{
	na_lock(&busy);
	looked_ns = wrote_ns = 0;
	seen = complained = false;
	atomic_store_explicit(&fresh, false, memory_order_relaxed);
	na_unlock(&busy);
}

void na_tune_file_after_fork(void)
{
	na_lock_reset(&busy);
	atomic_store_explicit(&fresh, false, memory_order_relaxed); /* the parent's to write */
}
