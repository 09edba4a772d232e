/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page of a block is lost, as if the memory had failed (MADV_HWPOISON): numarena names the block, the program goes on, who touches
 * the page ends by SIGBUS, and once it is freed the memory is good again. Preloaded, with NUMARENA_MEMORY_ERRORS=1.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

static char said[8192];
static int log_read = -1;

static const char *hear(void)
{
	ssize_t n = read(log_read, said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = '\0';
	return said;
}

static void fail(const char *why)
{
	printf("not ok: %s; it said: %s\n", why, said);
	exit(1);
}

static int touched(volatile unsigned char *p)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)*p;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void lose(size_t size, size_t at)
{
	unsigned char *volatile p = malloc(size), *q;
	unsigned char *page;
	char name[64];
	int status;

	memset(p, 7, size);
	page = (unsigned char *)(((uintptr_t)p + at) & ~(PAGE - 1));
	if (madvise(page, PAGE, MADV_HWPOISON)) {
		printf("not ok: MADV_HWPOISON: %s\n", strerror(errno));
		exit(1);
	}
	snprintf(name, sizeof(name), "block %p of ", (void *)p);
	if (!strstr(hear(), name) || !strstr(said, "has lost its bytes"))
		fail("the block was not named when the page was lost");
	for (size_t i = 0; i < size; i++)
		if ((p + i < page || p + i >= page + PAGE) && p[i] != 7)
			fail("another page of it has changed");
	status = touched(page);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
		fail("who touches the page is not ended");
	hear();
	free(p);
	for (int i = 0; i < 200; i++) { /* whichever of these is there again, it can be written to */
		q = malloc(size);
		memset(q, i, size);
		free(q);
	}
}

int main(void)
{
	int pipes[2];

	if (pipe(pipes) || fcntl(pipes[0], F_SETFL, O_NONBLOCK))
		return 1;
	log_read = pipes[0];
	dup2(pipes[1], STDERR_FILENO);
	lose(100000, 40000);
	lose((size_t)20 << 20, (size_t)3 << 20);
	lose(30000, 10000);
	printf("ok poison\n");
	return 0;
}
