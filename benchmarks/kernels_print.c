/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that benchmarks/kernels writes: all figures as JSON, and a roofline as SVG. */
#include <math.h>

#include "kernels.h"

static void write_spread(FILE *out, const char *key, const struct kernel_spread *s)
{
	fprintf(out, "\"%s\": {\"median\": %.9g, \"low\": %.9g, \"high\": %.9g}", key, s->median, s->low, s->high);
}

static void write_case(FILE *out, const struct kernel_figures *f, const struct kernel_peak *peak)
{
	fprintf(out, "    {\"case\": \"%s\", \"size\": %zu, ", f->of->name, f->size);
	if (f->absent) {
		fprintf(out, "\"absent\": true}");
		return;
	}
	write_spread(out, "plain_seconds", &f->plain);
	fprintf(out, ", ");
	write_spread(out, "seconds", &f->ours);
	fprintf(out, ",\n     ");
	write_spread(out, "ratio", &f->ratio);
	fprintf(out, ", \"goal\": %g, \"bytes\": %.0f, \"operations\": %.0f, \"GB/s\": %.4g, \"wrong\": %s", f->of->goal,
		f->bytes, f->operations, f->bytes / f->ours.median * 1e-9, f->wrong ? "true" : "false");
	if (peak->bandwidth > 0)
		fprintf(out, ", \"share_of_peak\": %.4g", f->bytes / f->ours.median / peak->bandwidth);
	for (int k = 0; k < KERNEL_RIVALS && f->of->rival[k].run; k++) {
		fprintf(out, ",\n     \"rival %s\": {", f->of->rival[k].name);
		write_spread(out, "seconds", &f->rival[k]);
		fprintf(out, ", ");
		write_spread(out, "ratio", &f->rival_ratio[k]);
		fprintf(out, "}");
	}
	fprintf(out, "}");
}

static void write_list(FILE *out, const char *key, const struct kernel_figures *f, size_t count,
		       const struct kernel_peak *peak)
{
	fprintf(out, "  \"%s\": [\n", key);
	for (size_t i = 0; i < count; i++) {
		write_case(out, &f[i], peak);
		fprintf(out, "%s\n", i + 1 < count ? "," : "");
	}
	fprintf(out, "  ]");
}

void kernel_write_json(FILE *out, const struct kernel_peak *peak, const struct kernel_figures *all, size_t count,
		       const struct kernel_figures *swept, size_t swept_count)
{
	fprintf(out, "{\n  \"rounds\": %d, \"last_level_cache\": %zu, \"size\": %zu, \"huge\": %s,\n",
		kernel_settings.rounds, kernel_settings.cache, kernel_settings.size,
		kernel_settings.huge ? "true" : "false");
	fprintf(out, "  \"peak\": {\"GB/s\": %.4g, \"loop\": \"%s\", \"operations\": %.4g},\n", peak->bandwidth * 1e-9,
		peak->loop ? peak->loop : "", peak->operations);
	write_list(out, "cases", all, count, peak);
	fprintf(out, ",\n");
	write_list(out, "sweep", swept, swept_count, peak);
	fprintf(out, "\n}\n");
}

/* The plot: both axes logarithmic. A case without arithmetic counts an operation for each eight bytes that it moves, so that
 * it has a place: on the roof it is at the machine's bandwidth all the same. */
enum { WIDTH = 860, HEIGHT = 560, LEFT = 70, RIGHT = 30, TOP = 50, BOTTOM = 60 };
static const double X_LEAST = 1.0 / 64, X_MOST = 64;

struct scale {
	double y_least, y_most;
};

static double place_x(double intensity)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * log(intensity / X_LEAST) / log(X_MOST / X_LEAST);
}

static double place_y(const struct scale *s, double rate)
{
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * log(rate / s->y_least) / log(s->y_most / s->y_least);
}

static double intensity(const struct kernel_figures *f)
{
	double x = (f->operations > 0 ? f->operations : f->bytes / 8) / f->bytes;

	return x < X_LEAST ? X_LEAST : x > X_MOST ? X_MOST : x;
}

static void draw_axes(FILE *out, const struct scale *s)
{
	for (double x = X_LEAST; x <= X_MOST * 1.01; x *= 4)
		fprintf(out,
			"<line class=\"g\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" "
			"text-anchor=\"middle\">%s%g</text>\n",
			place_x(x), place_x(x), TOP, HEIGHT - BOTTOM, place_x(x), HEIGHT - BOTTOM + 18, x < 1 ? "1/" : "",
			x < 1 ? 1 / x : x);
	for (double y = s->y_least; y <= s->y_most * 1.01; y *= 10)
		fprintf(out,
			"<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
			"text-anchor=\"end\">%g</text>\n",
			LEFT, WIDTH - RIGHT, place_y(s, y), place_y(s, y), LEFT - 6, place_y(s, y) + 4, y * 1e-9);
	fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations a byte</text>\n", (WIDTH + LEFT) / 2,
		HEIGHT - 16);
	fprintf(out, "<text x=\"%d\" y=\"%d\">G operations a second; hollow: plain loop, filled: numarena</text>\n", LEFT, 34);
}

static void draw_roof(FILE *out, const struct scale *s, const struct kernel_peak *peak)
{
	double ridge = peak->operations / peak->bandwidth;

	fprintf(out, "<polyline class=\"r\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>\n", place_x(X_LEAST),
		place_y(s, X_LEAST * peak->bandwidth), place_x(ridge), place_y(s, peak->operations), place_x(X_MOST),
		place_y(s, peak->operations));
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%.1f GB/s (%s)</text>\n", place_x(X_LEAST) + 8,
		place_y(s, X_LEAST * peak->bandwidth) - 12, peak->bandwidth * 1e-9, peak->loop);
}

/* Cases of one intensity stand side by side. */
static void draw_case(FILE *out, const struct scale *s, const struct kernel_figures *all, size_t i)
{
	const struct kernel_figures *f = &all[i];
	double x = place_x(intensity(f)), plain, ours, per_byte = intensity(f);
	int beside = 0;

	for (size_t k = 0; k < i; k++)
		beside += !all[k].absent && fabs(intensity(&all[k]) / per_byte - 1) < 0.2;
	x += 11.0 * (beside % 12);
	plain = place_y(s, f->bytes / f->plain.median * per_byte);
	ours = place_y(s, f->bytes / f->ours.median * per_byte);
	fprintf(out,
		"<line class=\"d\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/><circle class=\"p\" cx=\"%.1f\" "
		"cy=\"%.1f\" r=\"4\"/><circle class=\"o\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%s: %.2f and %.2f GB/s, "
		"%.2f x</title></circle>\n",
		x, x, plain, ours, x, plain, x, ours, f->of->name, f->bytes / f->plain.median * 1e-9,
		f->bytes / f->ours.median * 1e-9, f->ratio.median);
	fprintf(out, "<text class=\"n\" transform=\"translate(%.1f,%.1f) rotate(60)\">%s %.2f x</text>\n", x - 2,
		(plain > ours ? plain : ours) + 12, f->of->name, f->ratio.median);
}

void kernel_write_svg(FILE *out, const struct kernel_peak *peak, const struct kernel_figures *all, size_t count)
{
	struct scale s = { 1e7, 1e11 };

	while (s.y_most < peak->operations)
		s.y_most *= 10;
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
		     "font-size=\"12\">\n<style>.g{stroke:#ddd}.r{fill:none;stroke:#c33;stroke-width:2}.d{stroke:#888}"
		     ".p{fill:#fff;stroke:#258}.o{fill:#258}.n{font-size:10px}</style>\n"
		     "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, HEIGHT);
	draw_axes(out, &s);
	if (peak->bandwidth > 0 && peak->operations > 0)
		draw_roof(out, &s, peak);
	for (size_t i = 0; i < count; i++)
		if (!all[i].absent)
			draw_case(out, &s, all, i);
	fprintf(out, "</svg>\n");
}
