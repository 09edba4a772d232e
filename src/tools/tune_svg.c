/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The curves as a picture: how many times as fast as the plain loop (both axes logarithmic, as distances double and gains of lists are
 * tenfold those of loops), each line with its name at its end, the best point of each filled. Without scripts, fonts or files of others.
 */
#include <math.h>
#include <string.h>

#include "tools/tune_curves.h"

#define WIDTH  860
#define HEIGHT 520
#define LEFT   70
#define RIGHT  200
#define TOP    84
#define BOTTOM 64
#define LINES  10 /* powers of two across: 0 or 1 list, 1 to 512 */

static const char *const colours[NA_CURVES] = { "#0072b2", "#d55e00", "#009e73", "#aa4499", "#555555" };

static double x_of(uint32_t at)
{
	return LEFT + (at ? log2(at) + 1 : 0) * (WIDTH - LEFT - RIGHT) / LINES;
}

struct scale {
	double low, high; /* powers of two */
};

static double y_of(struct scale s, double gain)
{
	return TOP + (s.high - log2(gain)) * (HEIGHT - TOP - BOTTOM) / (s.high - s.low);
}

static struct scale scale_of(const struct na_curves *curves)
{
	struct scale s = { -1, 1 };

	for (size_t c = 0; c < NA_CURVES; c++)
		for (size_t p = 0; p < curves->curve[c].points; p++) {
			double gain = log2(curves->curve[c].ns[0] / curves->curve[c].ns[p]);

			s.low = fmin(s.low, floor(gain));
			s.high = fmax(s.high, ceil(gain));
		}
	return s;
}

static void draw_axes(const struct na_curves *curves, struct scale s, FILE *out)
{
	for (double y = s.low; y <= s.high; y++) {
		fprintf(out, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='%s' stroke-width='%s'/>\n", LEFT,
			y_of(s, exp2(y)), WIDTH - RIGHT, y_of(s, exp2(y)), y == 0 ? "#333333" : "#dddddd",
			y == 0 ? "1.5" : "1");
		fprintf(out, "<text x='%d' y='%.1f' text-anchor='end'>%g&#215;</text>\n", LEFT - 8,
			y_of(s, exp2(y)) + 4, exp2(y));
	}
	for (uint32_t at = 0; at <= 512; at = at ? 2 * at : 1) {
		fprintf(out, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#999999'/>\n", x_of(at),
			HEIGHT - BOTTOM, x_of(at), HEIGHT - BOTTOM + 5);
		if (at)
			fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%u</text>\n", x_of(at),
				HEIGHT - BOTTOM + 20, (unsigned int)at);
		else
			fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>plain</text>\n", x_of(at),
				HEIGHT - BOTTOM + 20);
	}
	fprintf(out, "<text x='%d' y='%d' text-anchor='middle'>elements ahead, or lists at once</text>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16);
	fprintf(out,
		"<text x='%d' y='28' font-size='17' font-weight='bold'>What prefetching gains on this machine</text>\n",
		LEFT);
	fprintf(out,
		"<text x='%d' y='48' fill='#555555'>times as fast as the plain loop, over %zu MiB at random "
		"(last-level cache %zu MiB, "
		"latency %u ns)</text>\n",
		LEFT, curves->bytes >> 20, curves->cache >> 20, (unsigned int)curves->latency_ns);
}

static void draw_escaped(const char *text, FILE *out)
{
	for (; *text; text++)
		if (strchr("<>&'\"", *text) || (unsigned char)*text < ' ')
			fputc('-', out);
		else
			fputc(*text, out);
}

static void draw_curve(const struct na_curve *curve, struct scale s, const char *colour, FILE *out)
{
	size_t best = 0;

	fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='2.2' points='", colour);
	for (size_t p = 0; p < curve->points; p++) {
		/* One list at a time is the plain loop. */
		uint32_t at = p == 0 ? 0 : curve->at[p];

		fprintf(out, "%.1f,%.1f ", x_of(at), y_of(s, curve->ns[0] / curve->ns[p]));
		best = curve->ns[p] < curve->ns[best] ? p : best;
	}
	fputs("'/>\n", out);
	for (size_t p = 0; p < curve->points; p++)
		fprintf(out,
			"<circle cx='%.1f' cy='%.1f' r='%s' fill='%s' stroke='%s'><title>%u: %.2f "
			"ns</title></circle>\n",
			x_of(p == 0 ? 0 : curve->at[p]), y_of(s, curve->ns[0] / curve->ns[p]), p == best ? "5" : "2.6",
			p == best ? colour : "#ffffff", colour, (unsigned int)curve->at[p], curve->ns[p]);
}

/* Names at the ends of the lines, pushed apart where these are near each other: from the top down. */
static void draw_names(const struct na_curves *curves, struct scale s, FILE *out)
{
	size_t order[NA_CURVES];
	double y[NA_CURVES], before = 0;

	for (size_t c = 0; c < NA_CURVES; c++) {
		const struct na_curve *curve = &curves->curve[c];
		size_t k = c;

		y[c] = y_of(s, curve->ns[0] / curve->ns[curve->points - 1]) + 4;
		for (; k > 0 && y[order[k - 1]] > y[c]; k--)
			order[k] = order[k - 1];
		order[k] = c;
	}
	for (size_t i = 0; i < NA_CURVES; i++) {
		const struct na_curve *curve = &curves->curve[order[i]];
		size_t best = 0, last = curve->points - 1;
		double at = y[order[i]], x = curve->at[last] < 512 ? x_of(curve->at[last]) + 10 : WIDTH - RIGHT + 10;

		for (size_t p = 0; p < curve->points; p++)
			best = curve->ns[p] < curve->ns[best] ? p : best;
		if (x > WIDTH - RIGHT) { /* only those at the right edge stand below each other */
			at = at < before + 18 ? before + 18 : at;
			before = at;
		}
		fprintf(out, "<text x='%.1f' y='%.1f' fill='%s'>%s: %.1f&#215;</text>\n", x, at, colours[order[i]],
			curve->label, curve->ns[0] / curve->ns[best]);
	}
}

void na_curves_svg(const struct na_curves *curves, FILE *out)
{
	struct scale s = scale_of(curves);

	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' "
		"font-family='sans-serif' "
		"font-size='13' fill='#222222'>\n<rect width='%d' height='%d' fill='#ffffff'/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
	draw_axes(curves, s, out);
	fprintf(out, "<text x='%d' y='66' fill='#555555'>", LEFT);
	draw_escaped(curves->cpu, out);
	fputs("</text>\n", out);
	for (size_t c = 0; c < NA_CURVES; c++)
		draw_curve(&curves->curve[c], s, colours[c], out);
	draw_names(curves, s, out);
	fputs("</svg>\n", out);
}
