/* SPDX-License-Identifier: BSD-3-Clause */
/* The input file: a field and its value or values on each line; # begins a comment. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lj.h"

static int wrong(const char *path, int line, const char *field, const char *why)
{
	fprintf(stderr, "lj: %s:%d: %s: %s\n", path, line, field, why);
	return 1;
}

static int number(const char *text, double *out)
{
	char *end;

	*out = text ? strtod(text, &end) : 0;
	return !text || end == text || *end;
}

static int set_field(struct input *in, const char *path, int line, const char *field, char *rest)
{
	struct {
		const char *name;
		double *real;
		int *whole;
		double least, most;
	} fields[] = {
		{ "density", &in->density, NULL, 1e-3, 2.0 },
		{ "temperature", &in->temperature, NULL, 0.0, 100.0 },
		{ "timestep", &in->timestep, NULL, 1e-6, 0.05 },
		{ "steps", NULL, &in->steps, 0, 1e9 },
		{ "cutoff", &in->cutoff, NULL, 1.2, 10.0 },
		{ "skin", &in->skin, NULL, 0.01, 2.0 },
		{ "print_every", NULL, &in->print_every, 1, 1e9 },
		{ "shuffle", NULL, &in->shuffle, 0, 1 },
		{ "tolerance", &in->tolerance, NULL, 0.0, 100.0 },
	};
	double value;

	if (strcmp(field, "cells") == 0) {
		for (int k = 0; k < 3; k++) {
			if (number(strtok(k ? NULL : rest, " \t"), &value) || value < 1 || value > 1000 || value != (int)value)
				return wrong(path, line, field, "needs three whole numbers from 1 to 1000");
			in->cells[k] = (int)value;
		}
		return strtok(NULL, " \t") ? wrong(path, line, field, "has more than three values") : 0;
	}
	if (strcmp(field, "seed") == 0) {
		if (number(rest, &value) || value < 0 || value > 1e15 || value != (long)value)
			return wrong(path, line, field, "needs a whole number from 0 to 1e15");
		in->seed = (long)value;
		return 0;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char why[100];

		if (strcmp(field, fields[i].name) != 0)
			continue;
		snprintf(why, sizeof(why), "needs a %snumber from %g to %g", fields[i].whole ? "whole " : "",
			 fields[i].least, fields[i].most);
		if (number(rest, &value) || !(value >= fields[i].least && value <= fields[i].most) ||
		    (fields[i].whole && value != (int)value))
			return wrong(path, line, field, why);
		if (fields[i].whole)
			*fields[i].whole = (int)value;
		else
			*fields[i].real = value;
		return 0;
	}
	return wrong(path, line, field, "no such field");
}

int input_read(const char *path, struct input *in)
{
	FILE *file = fopen(path, "r");
	char text[256];
	int line = 0, bad = 0;

	*in = (struct input){ .cells = { 10, 10, 10 },
			      .density = 0.8442,
			      .temperature = 1.44,
			      .timestep = 0.004,
			      .steps = 100,
			      .cutoff = 2.5,
			      .skin = 0.3,
			      .seed = 1,
			      .print_every = 10,
			      .tolerance = 1e-3 };
	if (!file) {
		fprintf(stderr, "lj: %s: %s\n", path, strerror(errno));
		return 1;
	}
	while (!bad && fgets(text, sizeof(text), file)) {
		char *field, *rest, *end;

		line++;
		text[strcspn(text, "#\r\n")] = '\0';
		field = text + strspn(text, " \t");
		if (!*field)
			continue;
		end = field + strcspn(field, " \t");
		rest = end + strspn(end, " \t");
		*end = '\0';
		for (char *tail = rest + strlen(rest); tail > rest && (tail[-1] == ' ' || tail[-1] == '\t');)
			*--tail = '\0';
		bad = set_field(in, path, line, field, rest);
	}
	fclose(file);
	return bad;
}
