/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables: a heading sorts by its column (aria-sort tells), long ones come in pages and have a field that filters, and scroll
 * within themselves on a narrow screen. Columns are
 *   { label, unit, get(row), text(row)?, cell(row)?, wide?, unitless?, title? }
 * where unit is bytes, count, ns, ratio, times, int, or absent for text. Each cell of a figure carries it in data-value, as the JSON has it. */

const PAGE = 40;
let tables = 0;

function compare(a, b) {
	if (typeof a === "number" && typeof b === "number")
		return a - b;
	return String(a).localeCompare(String(b), "en", { numeric: true });
}

const UNIT_WORDS = { bytes: "bytes", count: "number", ns: "time", ratio: "%", times: "× MAD" };

function cellOf(column, row, first) {
	const value = column.get(row), numeric = !!column.unit;
	const e = el(first ? "th" : "td", {
		scope: first ? "row" : null,
		class: [numeric ? "num" : column.wide ? "long" : "", numeric && (value === null || value === undefined) ? "off" : ""].join(" ").trim() || null,
		"data-value": numeric && typeof value === "number" ? String(value) : null,
		title: column.title ? column.title(row) : exact(value, column.unit) || null,
	});

	if (column.cell)
		e.append(...[column.cell(row)].flat());
	else
		e.append(column.text ? column.text(row) : numeric ? show(value, column.unit) : String(value ?? ""));
	return e;
}

function sorted(rows, column, descending) {
	const known = [], unknown = [];

	for (const row of rows) {
		const v = column.get(row);
		(v === null || v === undefined ? unknown : known).push(row);
	}
	known.sort((a, b) => compare(column.get(a), column.get(b)) * (descending ? -1 : 1));
	return known.concat(unknown);
}

/* { id, caption, columns, rows, sort: index, descending, page, filter(row): text } */
function table(spec) {
	const { columns, rows } = spec, page = spec.page || PAGE;
	let sort = spec.sort ?? -1, descending = !!spec.descending, at = 0, wanted = "";
	const name = spec.id || "table-" + ++tables;
	const body = el("tbody"), status = el("span", { role: "status" });
	const back = el("button", { class: "plain", type: "button", on: { click: () => { at -= page; draw(); } } }, "Previous");
	const next = el("button", { class: "plain", type: "button", on: { click: () => { at += page; draw(); } } }, "Next");
	const heads = columns.map((c, i) => {
		const button = el("button", { type: "button", on: { click: () => by(i) } }, c.label);
		return el("th", { scope: "col", class: c.unit ? "num" : null, "aria-sort": "none" }, button,
			c.unit && UNIT_WORDS[c.unit] && !c.unitless ? el("span", { class: "unit" }, c.unitText || UNIT_WORDS[c.unit]) : null);
	});

	function by(i) {
		descending = sort === i ? !descending : !!columns[i].unit && columns[i].unit !== "int";
		sort = i;
		at = 0;
		draw();
	}

	function draw() {
		let list = wanted ? rows.filter(r => spec.filter(r).toLowerCase().includes(wanted)) : rows;
		if (sort >= 0)
			list = sorted(list, columns[sort], descending);
		at = Math.max(0, Math.min(at, Math.max(0, list.length - 1)));
		at -= at % page;
		heads.forEach((h, i) => h.setAttribute("aria-sort", i === sort ? (descending ? "descending" : "ascending") : "none"));
		body.replaceChildren(...list.slice(at, at + page).map(r => el("tr", {}, columns.map((c, i) => cellOf(c, r, i === 0)))));
		if (!list.length)
			body.append(el("tr", {}, el("td", { colspan: columns.length, class: "off" }, "None matches.")));
		status.textContent = list.length ? `${at + 1} to ${Math.min(at + page, list.length)} of ${list.length}` : "";
		back.disabled = at === 0;
		next.disabled = at + page >= list.length;
	}

	const search = el("input", { type: "search", id: name + "-filter", placeholder: "name or number", autocomplete: "off",
		on: { input: e => { wanted = e.target.value.trim().toLowerCase(); at = 0; draw(); } } });
	const out = el("div", {},
		spec.filter && rows.length > page ? el("div", { class: "tools" }, el("label", {}, "Show only", search)) : null,
		el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": spec.caption },
			el("table", { id: name, class: spec.class || null },
				el("caption", { class: spec.quiet ? "hidden" : null }, spec.caption), el("thead", {}, el("tr", {}, heads)), body)),
		rows.length > page ? el("div", { class: "pager" }, back, next, status) : null);

	draw();
	return out;
}

/* A figure with a bar under it: which part of `whole` it is. */
function metered(value, whole, unit, hot) {
	if (value === null || value === undefined || !whole)
		return [show(value, unit)];
	const bar = el("span", { class: hot ? "meter hot" : "meter", "aria-hidden": "true" }, el("i"));

	bar.style.setProperty("--w", Math.min(100, Math.max(0, value / whole * 100)).toFixed(2) + "%");
	return [show(value, unit), bar];
}

function hideable(summary, content) {
	const holder = el("div");
	let made = false;

	return el("details", { on: { toggle: e => { if (e.target.open && !made) { made = true; holder.append(content()); } } } },
		el("summary", {}, summary), holder);
}
