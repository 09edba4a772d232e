/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the program as a child and waits for it, so that its report is made however it ends: by exit, by _exit() (as
 * shells do), by a signal. Only where no launcher started us: under mpirun or srun numarena-run becomes the
 * program, whose launcher sees its own process and nothing between.
 *
 * A program that launches an MPI job (numarena-run mpirun ...) leaves the report to that job. If its ranks were killed, their records are here, and the
 * report of what is known is made of them.
 *
 * To the outside the two are one: signals that reach us go on to the child, a stop of the child stops us, and we end as
 * it ended. If we are killed outright, so is the child.
 */
#ifndef NA_TOOLS_SUPERVISE_H
#define NA_TOOLS_SUPERVISE_H

/* Becomes the program, or a process that runs it. Returns only to say that it could not: an exit status. Arguments end
 * with NULL; `folder` is the report's; empty: none is wanted. */
int na_supervise(char **arguments, const char *folder);

#endif
