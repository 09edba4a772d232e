/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/top_screen.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config.h"

#if NA_HAVE_CURSES
#include <curses.h>

static volatile sig_atomic_t ended; /* by a signal */

static void end(int number)
{
	ended = 1;
}

struct screen {
	struct na_top *t;
	struct na_top_choice *choice;
	size_t first; /* row at the top */
	bool stopped, helping;
	int error; /* of the last look */
};

static const char *const keys[] = { "q        quit",
				    "r l p    sort by rank, live, peak",
				    "m x a    sort by physical memory, misplaced, allocations a second",
				    "< >      sort by the column before, after",
				    "R        the other way round",
				    "arrows   scroll; also PageUp, PageDown, Home, End",
				    "space    stop, go on",
				    "+ -      look more often, less often",
				    "h ?      these keys" };

static int rows_shown(void)
{
	return LINES > NA_TOP_HEAD + 1 ? LINES - NA_TOP_HEAD - 1 : 1;
}

static void draw_row(const struct screen *s, int y, size_t at)
{
	const struct na_top_row *r = &s->t->rows[at];
	bool gone = r->row.state != NA_RECORD_RUNNING && r->row.state != NA_RECORD_FINALIZING;
	struct na_top_line line;

	na_top_row_line(r, COLS, s->choice->utf8, &line);
	if (gone)
		attron(A_DIM);
	mvaddstr(y, 0, line.text);
	if (gone)
		attroff(A_DIM);
}

static void draw_foot(const struct screen *s)
{
	char text[256], more[64] = "";

	if (s->t->count > (size_t)rows_shown())
		snprintf(more, sizeof(more), "  rows %zu to %zu of %zu", s->first + 1,
			 s->first + (size_t)rows_shown() < s->t->count ? s->first + (size_t)rows_shown() : s->t->count,
			 s->t->count);
	if (s->error)
		snprintf(text, sizeof(text), "%.160s: %s", s->t->folder, strerror(-s->error));
	else if (!s->t->count)
		snprintf(text, sizeof(text), "no process on this node has a record in %.120s: waiting", s->t->folder);
	else
		snprintf(text, sizeof(text), "q quit  h keys  every %g s%s%s", s->choice->delay,
			 s->stopped ? "  STOPPED" : "", more);
	mvaddnstr(LINES - 1, 0, text, COLS - 1);
}

static void draw(struct screen *s)
{
	struct na_top_line line;
	int begin, width;

	erase();
	na_top_sort(s->t, s->choice->by, s->choice->reversed);
	if (s->first >= s->t->count)
		s->first = s->t->count ? s->t->count - 1 : 0;
	for (int i = 0; i < NA_TOP_HEAD && i < LINES; i++) {
		na_top_head(s->t, i, s->choice->by, COLS < NA_TOP_WIDTH ? COLS : NA_TOP_WIDTH - 1, s->choice->utf8,
			    &line);
		mvaddstr(i, 0, line.text);
	}
	mvchgat(0, 0, -1, A_BOLD, 0, NULL);
	if (LINES >= NA_TOP_HEAD) {
		mvchgat(NA_TOP_HEAD - 1, 0, -1, A_REVERSE, 0, NULL);
		na_top_column_place(s->choice->by, &begin, &width);
		if (begin + width <= COLS)
			mvchgat(NA_TOP_HEAD - 1, begin, width, A_REVERSE | A_BOLD | A_UNDERLINE, 0, NULL);
	}
	if (s->helping)
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && NA_TOP_HEAD + (int)i + 1 < LINES; i++)
			mvaddnstr(NA_TOP_HEAD + (int)i, 2, keys[i], COLS - 3);
	else
		for (int y = 0; y < rows_shown() && s->first + (size_t)y < s->t->count; y++)
			draw_row(s, NA_TOP_HEAD + y, s->first + (size_t)y);
	draw_foot(s);
	refresh();
}

static void sort_by(struct screen *s, int column)
{
	s->choice->by = (enum na_top_column)((column + NA_TOP_COLUMNS) % NA_TOP_COLUMNS);
	s->first = 0;
}

static void scroll_by(struct screen *s, long rows)
{
	long to = (long)s->first + rows, last = (long)s->t->count - rows_shown();

	s->first = (size_t)(to > last ? (last > 0 ? last : 0) : to < 0 ? 0 : to);
}

static void change_delay(struct screen *s, double times)
{
	double to = s->choice->delay * times;

	s->choice->delay = to < 0.1 ? 0.1 : to > 3600 ? 3600 : to;
}

/* False: quit. */
static bool press(struct screen *s, int key)
{
	static const char letters[] = "rlpmxa"; /* in the order of the columns */
	const char *letter = key > 0 && key < 128 ? strchr(letters, key) : NULL;

	if (letter)
		sort_by(s, (int)(letter - letters));
	else if (key == 'q' || key == 'Q')
		return false;
	else if (key == '<' || key == '>')
		sort_by(s, (int)s->choice->by + (key == '<' ? -1 : 1));
	else if (key == 'R')
		s->choice->reversed = !s->choice->reversed;
	else if (key == ' ')
		s->stopped = !s->stopped;
	else if (key == 'h' || key == '?')
		s->helping = !s->helping;
	else if (key == '+' || key == '-')
		change_delay(s, key == '+' ? 0.5 : 2);
	else if (key == KEY_UP || key == KEY_DOWN)
		scroll_by(s, key == KEY_UP ? -1 : 1);
	else if (key == KEY_PPAGE || key == KEY_NPAGE)
		scroll_by(s, key == KEY_PPAGE ? -rows_shown() : rows_shown());
	else if (key == KEY_HOME || key == KEY_END)
		scroll_by(s, key == KEY_HOME ? -(long)s->first : (long)s->t->count);
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A key or a new size of the terminal is answered at once, and does not bring the next look forward. */
static void watch(struct screen *s)
{
	double next = 0;

	while (!ended) {
		double left = next - now();
		int key;

		if (left <= 0) {
			if (!s->stopped)
				s->error = na_top_look(s->t);
			left = s->choice->delay;
			next = now() + left;
		}
		draw(s);
		timeout((int)(left * 1000) + 1);
		key = getch();
		if (key != ERR && !press(s, key))
			return;
		if (key == '+' && next > now() + s->choice->delay)
			next = now() + s->choice->delay;
	}
}

int na_top_screen(struct na_top *t, struct na_top_choice *choice, char *complaint, size_t capacity)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = end };
	struct screen s = { .t = t, .choice = choice };
	SCREEN *terminal = newterm(NULL, stdout, stdin);

	if (!terminal) {
		snprintf(complaint, capacity,
			 "the terminal cannot be used: TERM is unset, or not known; --once and --batch=TIMES do "
			 "without");
		return -ENOTTY;
	}
	set_term(terminal);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL); /* without SA_RESTART: getch() returns */
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	watch(&s);
	endwin();
	delscreen(terminal);
	return 0;
}

#else

int na_top_screen(struct na_top *t, struct na_top_choice *choice, char *complaint, size_t capacity)
{
	snprintf(complaint, capacity, "this was built without %s: --once and --batch=TIMES do without it",
		 NA_CURSES_WHY);
	return -ENOTSUP;
}

#endif
