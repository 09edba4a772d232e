/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * benchmarks/kernels: the kernels of numarena/kernels.h against the plain loops that they replace, one core. Of each case it prints
 * both bandwidths, the ratio (plain time / our time: above 1 we are faster) with its quartiles, the goal, and the share of the
 * machine's measured peak. --sweep runs from 1 KiB to four times the last-level cache and prints where each case is worst.
 * Exits with 1 if a result is wrong: a goal that is not met is a result.
 */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 128, MOST_SIZES = 32 };

struct kernel_settings kernel_settings = { .rounds = 15, .sample = 0.004 };

static const struct kernel_case *cases[MOST_CASES];
static size_t case_count;

static const char *only, *json, *svg;
static bool sweep, list;
static size_t sweep_from = 1024, sweep_to;

void kernel_cases_add(const struct kernel_case *add, size_t count)
{
	for (size_t i = 0; i < count && case_count < MOST_CASES; i++)
		cases[case_count++] = &add[i];
}

static const char usage[] =
	"usage: benchmarks/kernels [options]\n"
	"  --list           the cases\n"
	"  --only=A,B       these cases, or all whose name begins so with a * behind\n"
	"  --size=BYTES     working set, with K, M or G (five times the last-level cache)\n"
	"  --rounds=N       1 to 101 (15)\n"
	"  --quick          fewer and shorter rounds\n"
	"  --huge           arrays on transparent huge pages\n"
	"  --sweep          all sizes from 1 KiB to four times the last-level cache: prints the worst\n"
	"  --from=BYTES, --to=BYTES  of a sweep, only these sizes\n"
	"  --json=FILE      all figures\n"
	"  --svg=FILE       a roofline: operations a byte against operations a second\n";

static void stop(const char *option)
{
	fprintf(stderr, "kernels: %s\n%s", option, usage);
	exit(2);
}

static size_t bytes_of(const char *text, const char *option)
{
	char *end;
	double v = strtod(text, &end);
	static const char units[] = "KMG";
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (unit) {
		v *= (double)((size_t)1 << 10 * (unit - units + 1));
		end++;
	}
	if (end == text || *end || !(v >= 1024 && v <= 0x1p38))
		stop(option);
	return (size_t)v;
}

static bool value_of(const char *argument, const char *name, const char **value)
{
	size_t length = strlen(name);

	if (strncmp(argument, name, length) != 0)
		return false;
	*value = argument + length;
	return true;
}

static void parse(int argc, char **argv)
{
	const char *v;

	for (int i = 1; i < argc; i++) {
		if (value_of(argv[i], "--only=", &only) || value_of(argv[i], "--json=", &json) ||
		    value_of(argv[i], "--svg=", &svg))
			continue;
		if (value_of(argv[i], "--size=", &v)) {
			kernel_settings.size = bytes_of(v, argv[i]);
		} else if (value_of(argv[i], "--from=", &v)) {
			sweep_from = bytes_of(v, argv[i]);
		} else if (value_of(argv[i], "--to=", &v)) {
			sweep_to = bytes_of(v, argv[i]);
		} else if (value_of(argv[i], "--rounds=", &v)) {
			kernel_settings.rounds = atoi(v);
			if (kernel_settings.rounds < 1 || kernel_settings.rounds > 101)
				stop(argv[i]);
		} else if (strcmp(argv[i], "--quick") == 0) {
			kernel_settings.quick = true;
			kernel_settings.rounds = 5;
			kernel_settings.sample = 0.001;
		} else if (strcmp(argv[i], "--huge") == 0) {
			kernel_settings.huge = true;
		} else if (strcmp(argv[i], "--sweep") == 0) {
			sweep = true;
		} else if (strcmp(argv[i], "--list") == 0) {
			list = true;
		} else if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else {
			stop(argv[i]);
		}
	}
}

static bool named(const char *name, const char *in)
{
	while (in && *in) {
		size_t length = strcspn(in, ",");

		if (length && in[length - 1] == '*' ? strncmp(name, in, length - 1) == 0 :
						      strlen(name) == length && strncmp(name, in, length) == 0)
			return true;
		in += length + (in[length] == ',');
	}
	return false;
}

static void keep_named(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < case_count; i++)
		if (!only || named(cases[i]->name, only))
			cases[kept++] = cases[i];
	case_count = kept;
	if (kept == 0)
		stop("--only names no case; --list does");
}

static void print_size(size_t bytes)
{
	if (bytes >= (size_t)1 << 20)
		printf("%6.4g MiB", (double)bytes / 0x1p20);
	else
		printf("%6.4g KiB", (double)bytes / 0x1p10);
}

static const char *verdict(double goal, double got)
{
	return goal == 0 ? "" : got >= goal ? "met" : "NOT MET";
}

static void print_figures(const struct kernel_figures *f, const struct kernel_peak *peak)
{
	const struct kernel_case *c = f->of;

	printf("%-24s ", c->name);
	print_size(f->size);
	if (f->absent) {
		printf("   cannot be had here\n");
		return;
	}
	printf(" %8.2f %8.2f  %5.2f (%.2f-%.2f)", f->bytes / f->plain.median * 1e-9, f->bytes / f->ours.median * 1e-9,
	       f->ratio.median, f->ratio.low, f->ratio.high);
	if (c->goal > 0)
		printf("  %4.2f %-8s", c->goal, verdict(c->goal, f->ratio.median));
	else
		printf("  %4s %-8s", "-", "");
	if (peak->bandwidth > 0)
		printf(" %4.0f %%", f->bytes / f->ours.median / peak->bandwidth * 100);
	printf("%s\n", f->wrong ? "  WRONG RESULT" : "");
	for (int k = 0; k < KERNEL_RIVALS && c->rival[k].run; k++)
		printf("  %-22s            %8.2f          %5.2f (%.2f-%.2f)  %5.2f x plain%s\n", c->rival[k].name,
		       f->bytes / f->rival[k].median * 1e-9, f->rival_ratio[k].median, f->rival_ratio[k].low,
		       f->rival_ratio[k].high, f->plain.median / f->rival[k].median,
		       k == f->best_rival ? "  best rival" : "");
	if (c->rivals > 0 && f->best_rival >= 0)
		printf("  %-50s %5.2f                %4.2f %s\n", "against the best rival",
		       f->rival_ratio[f->best_rival].median, c->rivals,
		       verdict(c->rivals, f->rival_ratio[f->best_rival].median));
	fflush(stdout);
}

/* The lowest ratio, of those whose upper quartile is below 1 as well where there are such. */
static size_t sweep_case(const struct kernel_case *c, struct kernel_figures *out)
{
	size_t count = 0;
	struct kernel_figures *worst = NULL;

	for (size_t size = sweep_from; size <= sweep_to && count < MOST_SIZES; size *= 2) {
		kernel_measure(c, size, &out[count]);
		if (out[count].absent)
			continue;
		if (!worst || out[count].ratio.median < worst->ratio.median)
			worst = &out[count];
		count++;
	}
	if (!worst)
		return 0;
	printf("%-24s worst ", c->name);
	print_size(worst->size);
	printf("  %5.2f (%.2f-%.2f) %-8s all:", worst->ratio.median, worst->ratio.low, worst->ratio.high,
	       verdict(0.97, worst->ratio.median));
	for (size_t i = 0; i < count; i++)
		printf(" %.2f", out[i].ratio.median);
	printf("\n");
	fflush(stdout);
	return count;
}

/* As the kernel says: what sysconf() makes of cpuid is the whole machine's in some virtual machines. */
static size_t last_level_cache(void)
{
	size_t found = (size_t)32 << 20, kib;
	char path[80];

	for (int i = 0; i < 8; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
		f = fopen(path, "r");
		if (!f)
			break;
		if (fscanf(f, "%zuK", &kib) == 1)
			found = kib << 10;
		fclose(f);
	}
	return found;
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static void write_files(const struct kernel_peak *peak, const struct kernel_figures *all, size_t count,
			const struct kernel_figures *swept, size_t swept_count)
{
	FILE *f;

	if (json) {
		f = create(json);
		kernel_write_json(f, peak, all, count, swept, swept_count);
		fclose(f);
	}
	if (svg) {
		f = create(svg);
		kernel_write_svg(f, peak, all, count);
		fclose(f);
	}
}

int main(int argc, char **argv)
{
	static struct kernel_figures all[MOST_CASES], swept[MOST_CASES * MOST_SIZES];
	struct kernel_peak peak = { 0 };
	size_t swept_count = 0, done = 0;
	bool wrong = false;

	parse(argc, argv);
	keep_named();
	for (size_t i = 0; list && i < case_count; i++)
		printf("%-24s %s\n", cases[i]->name, cases[i]->what);
	if (list)
		return 0;
	kernel_settings.cache = last_level_cache();
	if (!kernel_settings.size)
		kernel_settings.size = 5 * kernel_settings.cache;
	if (!sweep_to)
		sweep_to = 4 * kernel_settings.cache;
	if (sweep) {
		for (size_t i = 0; i < case_count; i++)
			if (cases[i]->sweep)
				swept_count += sweep_case(cases[i], &swept[swept_count]);
	} else {
		kernel_measure_peak(kernel_settings.size, &peak);
		printf("peak: %.2f GB/s (%s), %.1f G operations/s; last-level cache %zu MiB; one core, %d rounds\n\n",
		       peak.bandwidth * 1e-9, peak.loop, peak.operations * 1e-9, kernel_settings.cache >> 20,
		       kernel_settings.rounds);
		printf("%-24s %10s %8s %8s  %-17s  %-13s %s\n", "", "size", "plain", "ours", "plain/ours", "goal",
		       "of peak");
		printf("%-24s %10s %8s %8s\n", "", "", "GB/s", "GB/s");
		for (; done < case_count; done++) {
			const struct kernel_case *c = cases[done];

			kernel_measure(c, c->size ? c->size : kernel_settings.size, &all[done]);
			print_figures(&all[done], &peak);
		}
	}
	for (size_t i = 0; i < done; i++)
		wrong |= all[i].wrong;
	for (size_t i = 0; i < swept_count; i++)
		wrong |= swept[i].wrong;
	write_files(&peak, all, done, swept, swept_count);
	return wrong;
}
