/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading the data (the inverse of src/report/pack.c), printing figures as report.txt does, and making elements. Text goes into the
 * page as text nodes and attributes only, so no name in a report can be taken for markup. */

function numbers(text, unit, differences) {
	const out = [];
	let sum = 0;

	for (const word of text.split(" ")) {
		if (word === "~") {
			out.push(null);
			continue;
		}
		const v = parseInt(word, 36) * unit;
		sum = differences ? sum + v : v;
		out.push(sum);
	}
	return out;
}

function unpack(v) {
	if (Array.isArray(v))
		return v.map(unpack);
	if (v === null || typeof v !== "object")
		return v;
	if ("$n" in v)
		return numbers(v.$n, v.u || 1, false);
	if ("$d" in v)
		return numbers(v.$d, v.u || 1, true);
	if ("$k" in v)
		return Array.from({ length: v.n }, () => unpack(v.$k));
	if ("$s" in v)
		return unpack(v.i).map(i => i === null ? null : v.$s[i]);
	if ("$t" in v) {
		const rows = Array.from({ length: v.$t }, () => ({}));
		for (const [name, column] of Object.entries(v.k))
			unpack(column).forEach((x, i) => { rows[i][name] = x; });
		return rows;
	}
	return Object.fromEntries(Object.entries(v).map(([name, x]) => [name, unpack(x)]));
}

const UNKNOWN = "unavailable";

function digits(v) {
	return v.toFixed(v < 9.995 ? 2 : v < 99.95 ? 1 : 0);
}

/* [number, unit] */
function steps(value, step, units) {
	let v = value, i = 0;

	while (v >= step - 0.5 && i + 1 < units.length) {
		v /= step;
		i++;
	}
	return [i || !Number.isInteger(value) ? digits(v) : String(value), units[i]];
}

function parts(value, unit) {
	if (value === null || value === undefined || Number.isNaN(value))
		return [UNKNOWN, ""];
	if (value < 0) {
		const [number, of] = parts(-value, unit);
		return ["−" + number, of];
	}
	switch (unit) {
	case "bytes":
		return steps(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
	case "count":
		return steps(value, 1000, ["", "k", "M", "G", "T", "P", "E"]);
	case "ns":
		return value < 999500000 ? steps(value, 1000, ["ns", "µs", "ms"]) : seconds(value / 1e9);
	case "ratio":
		return [(value * 100).toFixed(2), "%"];
	case "times":
		return [digits(value), "×"];
	default:
		return [String(value), ""];
	}
}

function seconds(s) {
	if (s < 600)
		return [digits(s), "s"];
	const m = Math.round(s / 60);
	return m < 600 ? [String(m), "min"] : [Math.floor(m / 60) + " h " + String(m % 60).padStart(2, "0"), "min"];
}

function show(value, unit) {
	const [number, of] = parts(value, unit);
	return of ? number + " " + of : number;
}

/* For tooltips: no digit is lost. */
function exact(value, unit) {
	if (value === null || value === undefined || typeof value !== "number")
		return "";
	return value.toLocaleString("en") + ({ bytes: " bytes", ns: " ns" }[unit] || "");
}

/* Seconds since the start, as an axis or a readout has them. */
function clock(ms) {
	const s = ms / 1000;

	if (s < 60)
		return (Number.isInteger(s) ? String(s) : s < 10 ? s.toFixed(2) : s.toFixed(1)) + " s";
	const t = Math.round(s), h = Math.floor(t / 3600), m = Math.floor(t / 60) % 60;
	return (h ? h + ":" + String(m).padStart(2, "0") : String(m)) + ":" + String(t % 60).padStart(2, "0") + (h ? " h" : " min");
}

function fill(e, attributes, children) {
	for (const [name, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false)
			continue;
		if (name === "on")
			for (const [event, f] of Object.entries(value))
				e.addEventListener(event, f);
		else
			e.setAttribute(name, value === true ? "" : value);
	}
	for (const child of children.flat(2))
		if (child !== null && child !== undefined && child !== false)
			e.append(child instanceof Node ? child : String(child));
	return e;
}

function el(name, attributes, ...children) {
	return fill(document.createElement(name), attributes, children);
}

function sv(name, attributes, ...children) {
	return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/* A value of the style sheet, as it is in this theme. */
function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function whom(w) {
	if (!w)
		return "";
	return (w.rank === null || w.rank === undefined ? "process " + w.pid : "rank " + w.rank) + (w.host ? " on " + w.host : "");
}

function most(list) {
	return list.reduce((a, b) => b !== null && (a === null || b > a) ? b : a, null); /* Math.max(...) has no room for a million */
}

function fewest(list) {
	return list.reduce((a, b) => b !== null && (a === null || b < a) ? b : a, null);
}
