/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A block that io_uring has registered: the kernel writes to the page that was there at the registration, so a page that is replaced loses
 * what comes in. A pass that could merge it must not; and what is read into it afterwards arrives. By system calls, for not every machine has
 * liburing; skipped where io_uring is refused.
 */
#include "api.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCKS 20000
#define SIZE   1024

struct ring {
	int fd;
	struct io_uring_params p;
	char *queues; /* both: IORING_FEAT_SINGLE_MMAP */
	size_t bytes;
	struct io_uring_sqe *entries;
};

static char *blocks[BLOCKS];

static int open_ring(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return -errno;
	if (!(r->p.features & IORING_FEAT_SINGLE_MMAP))
		return -ENOSYS;
	r->bytes = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	if (r->bytes < r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t))
		r->bytes = r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t);
	r->queues = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->entries = mmap(NULL, 4 * sizeof(*r->entries), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->queues == MAP_FAILED || (void *)r->entries == MAP_FAILED ? -errno : 0;
}

static void close_ring(struct ring *r)
{
	munmap(r->queues, r->bytes);
	munmap(r->entries, 4 * sizeof(*r->entries));
	close(r->fd);
}

static uint32_t *word(const struct ring *r, uint32_t at)
{
	return (uint32_t *)(void *)(r->queues + at);
}

/* Reads into the registered buffer, and waits: what the kernel says. */
static int read_fixed(struct ring *r, int fd, void *to, uint32_t size)
{
	uint32_t tail = *word(r, r->p.sq_off.tail), mask = *word(r, r->p.sq_off.ring_mask), head;

	r->entries[tail & mask] = (struct io_uring_sqe){ .opcode = IORING_OP_READ_FIXED, .fd = fd, .addr = (uintptr_t)to, .len = size };
	word(r, r->p.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(word(r, r->p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	head = *word(r, r->p.cq_off.head);
	__atomic_store_n(word(r, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return ((struct io_uring_cqe *)(void *)(r->queues + r->p.cq_off.cqes))[head & *word(r, r->p.cq_off.ring_mask)].res;
}

static void scatter(memory_pool_t *pool)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = allocate_from(pool, SIZE);
		REQUIRE(blocks[i]);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		if ((uint32_t)i * 2654435761u >> 29) {
			return_to_pool(blocks[i]);
			blocks[i] = NULL;
		} else {
			check_fill(blocks[i], 0, SIZE, i);
		}
}

static void check_blocks(void)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (blocks[i])
			CHECK_EQ(check_filled(blocks[i], 0, SIZE, i), SIZE);
}

static defrag_stats_t pass(void)
{
	defrag_stats_t s;

	GOOD(trigger_defragmentation());
	GOOD(get_defragmentation_statistics(&s));
	return s;
}

/* Every living block of the pool in turn is registered, a pass is made, and a message comes in. */
static void through_a_pass(bool no_move)
{
	memory_pool_t *pool;
	struct ring r;
	int pipes[2];
	char message[SIZE];
	defrag_stats_t s;

	GOOD(create_memory_pool(&(named_pool_config_t){ .name = "registered", .node = MEMORY_NODE_ANY, .no_move = no_move }, &pool));
	REQUIRE(pipe(pipes) == 0);
	scatter(pool);
	for (size_t i = 0, done = 0; done < 5; i++) {
		struct iovec buffer = { blocks[i], SIZE };

		if (!blocks[i])
			continue;
		done++;
		REQUIRE(open_ring(&r) == 0);
		if (syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &buffer, 1) < 0)
			SKIP("buffers cannot be registered (error %d)", errno);
		s = pass();
		CHECK_EQ(s.merge_addresses, 0);
		if (!no_move)
			CHECK_MSG(strstr(s.merge_refusal, "pinned") != NULL, "\"%s\" does not say that memory is pinned", s.merge_refusal);
		check_fill(message, 0, SIZE, i + BLOCKS);
		REQUIRE(write(pipes[1], message, SIZE) == SIZE);
		CHECK_EQ(read_fixed(&r, pipes[0], blocks[i], SIZE), SIZE);
		CHECK_EQ(check_filled(blocks[i], 0, SIZE, i + BLOCKS), SIZE);
		check_fill(blocks[i], 0, SIZE, i);
		check_blocks();
		close_ring(&r);
	}
	/* Nothing is registered any more, but the kernel may take its time to let go. */
	for (int tries = 0; tries < 500; tries++) {
		s = pass();
		if (no_move || !s.merge_refusal[0])
			break;
		usleep(10000);
	}
	CHECK(no_move ? s.merge_addresses == 0 : s.merge_addresses > 0);
	check_blocks();
	close(pipes[0]);
	close(pipes[1]);
	GOOD(destroy_memory_pool(pool));
}

int main(void)
{
	struct ring r;
	int rc = open_ring(&r);

	check_watchdog(120);
	if (rc < 0)
		SKIP("io_uring is refused here (error %d)", -rc);
	close_ring(&r);
	GOOD(start_defragmentation(&(defrag_config_t){ .strategy = DEFRAG_COORDINATED }));
	through_a_pass(false);
	through_a_pass(true);
	CHECK_EQ(validate_memory_blocks(), 0);
	return check_result();
}
