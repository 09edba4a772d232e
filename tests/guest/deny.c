/* SPDX-License-Identifier: BSD-3-Clause */
/* deny CALL,... COMMAND...: runs COMMAND with these system calls refused by EPERM, as containers' seccomp profiles do. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "guest.h"

static const struct {
	const char *name;
	unsigned int number;
} calls[] = {
	{ "mbind", SYS_mbind },
	{ "move_pages", SYS_move_pages },
	{ "get_mempolicy", SYS_get_mempolicy },
	{ "set_mempolicy", SYS_set_mempolicy },
	{ "migrate_pages", SYS_migrate_pages },
	{ "getcpu", SYS_getcpu },
};

static void refuse(unsigned int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("deny: seccomp");
		exit(77);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (char *name = strtok(argv[1], ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(calls) / sizeof(calls[0]) && strcmp(calls[i].name, name))
			i++;
		if (i == sizeof(calls) / sizeof(calls[0])) {
			fprintf(stderr, "deny: no call %s\n", name);
			return 2;
		}
		refuse(calls[i].number);
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
