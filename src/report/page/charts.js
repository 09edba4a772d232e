/* SPDX-License-Identifier: BSD-3-Clause */
/* Charts in SVG: lines over time, and bars of a histogram. Drawn anew when their width or the theme changes. Each has its numbers
 * in a table as well. */

const redraws = new Set();

/* Draws now, when the width changes, and with the theme: draw(width). */
function drawn(holder, draw) {
	let width = 0;
	const again = () => { if (width > 0) draw(width); };

	new ResizeObserver(entries => {
		const w = Math.floor(entries[0].contentRect.width);
		if (w !== width) {
			width = w;
			again();
		}
	}).observe(holder);
	redraws.add(again);
	return again;
}

/* A step of 1, 2 or 5 times a power of ten. */
function nice(rough) {
	const p = Math.pow(10, Math.floor(Math.log10(rough)));

	return [1, 2, 5, 10].find(k => k * p >= rough * 0.999) * p;
}

/* Marks of an axis for bytes, in one unit: [[value, label]]. */
function byteTicks(high, count) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let i = 0;

	while (high / Math.pow(1024, i) >= 1024 && i + 1 < units.length)
		i++;
	const unit = Math.pow(1024, i), step = nice(Math.max(high / unit / count, 1e-9)), out = [];
	for (let k = 0; k * step * unit <= high * 1.0001; k++)
		out.push([k * step * unit, Number((k * step).toPrecision(6)) + (k ? " " + units[i] : "")]);
	return out;
}

function countTicks(high, count) {
	const step = Math.max(1, nice(high / count)), out = [];

	for (let v = 0; v <= high * 1.0001; v += step)
		out.push([v, show(v, "count").replace(".00", "")]);
	return out;
}

function timeTicks(low, high, count) {
	const choices = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5,
		216e5, 432e5, 864e5, 1728e5];
	const span = high - low, step = choices.find(c => span / c <= count) || nice(span / count), out = [];

	for (let t = Math.ceil(low / step) * step; t <= high; t += step)
		out.push([t, clock(t)]);
	return out;
}

const LINES = [
	["live_bytes", "live", "Live", ""], ["physical_bytes", "physical", "Physical", "8 3"], ["requested_bytes", "requested", "Requested", "2 3"],
	["compressed_bytes", "compressed", "Compressed", "10 3 2 3"], ["misplaced_bytes", "misplaced", "Misplaced", "5 3"],
];

/* Bins are steps: each holds the maximum of its time. */
function stepPath(values, x, y) {
	let d = "", on = false;

	values.forEach((v, i) => {
		if (v === null) {
			on = false;
			return;
		}
		d += `${on ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}H${x(i + 1).toFixed(1)}`;
		on = true;
	});
	return d;
}

function areaPath(values, x, y) {
	let d = "";

	values.forEach((v, i) => { if (v !== null) d += `M${x(i).toFixed(1)} ${y(0).toFixed(1)}V${y(v).toFixed(1)}H${x(i + 1).toFixed(1)}V${y(0).toFixed(1)}Z`; });
	return d;
}

/* options(): { series, name, peak, limit, shown: Set of ids }; origin: ms of the time axis's zero. */
function lineChart(options, origin) {
	const holder = el("div", { class: "chart", id: "time-chart", tabindex: "0", role: "slider", "aria-orientation": "horizontal",
		"aria-roledescription": "chart of memory over time" });
	const readout = el("p", { class: "readout" });
	let at = -1, marks = () => {};

	function describe(i) {
		const { series, shown } = options(), t = series.begin_ms - origin + i * series.bin_ms;
		return [clock(Math.max(0, t)), LINES.filter(l => shown.has(l[1]) && series[l[0]]).map(l => [l[2], show(series[l[0]][i], "bytes")])];
	}

	function point(i) {
		const n = options().series.live_bytes.length;
		at = Math.max(0, Math.min(n - 1, i));
		const [when, values] = describe(at);
		holder.setAttribute("aria-valuenow", at);
		holder.setAttribute("aria-valuetext", `at ${when}: ` + values.map(v => v.join(" ")).join(", "));
		readout.replaceChildren(el("span", {}, "at ", el("b", {}, when)), ...values.map(v => el("span", {}, v[0] + " ", el("b", {}, v[1]))));
		marks();
	}

	const draw = drawn(holder, width => {
		const { series, name, peak, limit, shown } = options(), n = series.live_bytes.length;
		const height = width < 500 ? 230 : 300, left = 64, right = 14, top = 26, bottom = 28;
		const visible = LINES.filter(l => shown.has(l[1]) && series[l[0]]);
		let high = Math.max(1, ...visible.map(l => most(series[l[0]]) || 0));
		const withLimit = limit && limit < high * 1.5;
		if (withLimit)
			high = Math.max(high, limit);
		high *= 1.06;
		const x = i => left + (width - left - right) * i / n, y = v => height - bottom - (height - top - bottom) * v / high;
		const from = series.begin_ms - origin, xt = t => x((t - from) / series.bin_ms);
		const svg = sv("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });

		for (const [v, label] of byteTicks(high, 5))
			svg.append(sv("line", { class: v ? "grid" : "axis", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
				sv("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, label));
		for (const [t, label] of timeTicks(Math.max(0, from), from + n * series.bin_ms, Math.max(2, Math.floor(width / 110))))
			svg.append(sv("line", { class: "axis", x1: xt(t), x2: xt(t), y1: height - bottom, y2: height - bottom + 5 }),
				sv("text", { x: xt(t), y: height - 8, "text-anchor": xt(t) > width - 44 ? "end" : "middle" }, label));
		if (visible.some(l => l[1] === "live"))
			svg.append(sv("path", { d: areaPath(series.live_bytes, x, y), fill: "var(--live)", opacity: ".12" }));
		for (const [id, css, , dash] of visible)
			svg.append(sv("path", { d: stepPath(series[id], x, y), fill: "none", stroke: `var(--${css})`, "stroke-width": css === "live" ? 2.2 : 1.8,
				"stroke-dasharray": dash || null, "stroke-linejoin": "round" }));
		if (withLimit)
			svg.append(sv("line", { class: "limit", x1: left, x2: width - right, y1: y(limit), y2: y(limit) }),
				sv("text", { x: width - right, y: y(limit) - 5, "text-anchor": "end" }, "limit " + show(limit, "bytes")));
		if (peak && peak.live_bytes !== null && peak.moment_ms && shown.has("live")) {
			const px = Math.min(width - right, Math.max(left, xt(peak.moment_ms - origin))), far = px > width * 0.6;
			const py = Math.max(top, y(peak.live_bytes));
			svg.append(sv("line", { class: "leader", x1: px, x2: px, y1: top - 4, y2: py }),
				sv("circle", { cx: px, cy: py, r: 4.5, fill: "var(--card)", stroke: "var(--live)", "stroke-width": 2.2 }),
				sv("text", { class: "strong", x: px + (far ? 4 : -4), y: top - 9, "text-anchor": far ? "end" : "start" }, "live peak " + show(peak.live_bytes, "bytes")));
		}
		const cross = sv("line", { class: "cross", y1: top, y2: height - bottom, visibility: "hidden" });
		const dots = visible.map(l => sv("circle", { r: 3.5, fill: `var(--${l[1]})`, visibility: "hidden" }));
		svg.append(cross, ...dots);
		marks = () => {
			const cx = x(at + 0.5);
			cross.setAttribute("x1", cx);
			cross.setAttribute("x2", cx);
			cross.setAttribute("visibility", "visible");
			visible.forEach((l, k) => {
				const v = series[l[0]][at];
				dots[k].setAttribute("visibility", v === null || v === undefined ? "hidden" : "visible");
				if (v !== null && v !== undefined) {
					dots[k].setAttribute("cx", cx);
					dots[k].setAttribute("cy", y(v));
				}
			});
		};
		const seek = e => point(Math.floor((e.offsetX - left) / (width - left - right) * n));
		svg.addEventListener("pointermove", seek);
		svg.addEventListener("pointerdown", seek);
		holder.replaceChildren(svg);
		holder.setAttribute("aria-valuemin", 0);
		holder.setAttribute("aria-valuemax", n - 1);
		holder.setAttribute("aria-label", `Memory of ${name} over time, arrow keys move`);
		if (at >= 0)
			point(at);
	});

	holder.addEventListener("keydown", e => {
		const n = options().series.live_bytes.length;
		const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1, PageUp: at + 10, PageDown: at - 10, Home: 0, End: n - 1 }[e.key];

		if (to !== undefined) {
			e.preventDefault();
			point(to);
		}
	});
	return { nodes: [holder, readout], redraw() {
		const { series } = options(), live = series.live_bytes, top = most(live);
		at = Math.max(0, top === null ? 0 : live.indexOf(top));
		draw();
		point(at);
	} };
}

/* Figures of ranks in bins of one width: [[from, to, ranks]]. */
function binned(values) {
	const low = Math.min(...values), high = Math.max(...values);

	if (low === high)
		return [[low, high, values.length]];
	const count = Math.max(4, Math.min(28, Math.ceil(2 * Math.cbrt(values.length)))), width = (high - low) / count;
	const bins = Array.from({ length: count }, (_, i) => [low + i * width, low + (i + 1) * width, 0]);
	for (const v of values)
		bins[Math.min(count - 1, Math.floor((v - low) / width))][2]++;
	return bins;
}

/* options(): { bins, linear, unit, quantiles, name } */
function barChart(options) {
	const holder = el("div", { class: "chart", id: "histogram", role: "img" });
	const draw = drawn(holder, width => {
		const { bins, linear, unit, quantiles, name } = options(), height = 230, left = 50, right = 12, top = 26, bottom = 28;
		const low = bins[0][0], high = bins[bins.length - 1][1], top1 = Math.max(...bins.map(b => b[2]));
		const room = width - left - right, y = v => height - bottom - (height - top - bottom) * v / (top1 * 1.05);
		const one = bins.length === 1, across = v => left + (one ? 0.5 : (v - low) / (high - low)) * room;
		const svg = sv("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });

		for (const [v, label] of countTicks(top1 * 1.05, 4))
			svg.append(sv("line", { class: v ? "grid" : "axis", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
				sv("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, label));
		bins.forEach((b, i) => {
			const x1 = one ? left + room / 2 - 30 : linear ? across(b[0]) : left + room * i / bins.length;
			const x2 = one ? left + room / 2 + 30 : linear ? across(b[1]) : left + room * (i + 1) / bins.length;
			svg.append(sv("rect", { class: "bar", x: x1 + 0.75, width: Math.max(1, x2 - x1 - 1.5), y: y(b[2]), height: Math.max(0, height - bottom - y(b[2])), rx: 1.5 }));
		});
		const shownEdges = Math.max(1, Math.floor(room / 110)), marks = one ? [[left + room / 2, low]] : [];
		for (let k = 0; !one && k <= shownEdges; k++) {
			const i = Math.round(k * bins.length / shownEdges), v = linear ? low + (high - low) * k / shownEdges : i < bins.length ? bins[i][0] : high;
			marks.push([left + room * (linear ? k / shownEdges : i / bins.length), v]);
		}
		marks.forEach(([x, v], k) => svg.append(sv("text", { x, y: height - 8, "text-anchor": one ? "middle" : k === 0 ? "start" : k === marks.length - 1 ? "end" : "middle" }, show(v, unit))));
		if (linear && !one && quantiles) {
			let last = -100;
			for (const [q, label] of [["p5", "5 %"], ["p50", "median"], ["p95", "95 %"]]) {
				if (quantiles[q] === null || quantiles[q] === undefined)
					continue;
				const x = across(quantiles[q]);
				svg.append(sv("line", { class: "quantile", x1: x, x2: x, y1: top - 4, y2: height - bottom }));
				if (x - last > 46) {
					svg.append(sv("text", { x, y: top - 10, "text-anchor": x > width - 40 ? "end" : x < left + 30 ? "start" : "middle" }, label));
					last = x;
				}
			}
		}
		holder.replaceChildren(svg);
		holder.setAttribute("aria-label", `Histogram of ${name} over ranks: from ${show(low, unit)} to ${show(high, unit)}, the fullest bin has ${top1} ranks. The table below has the numbers.`);
	});
	return { nodes: [holder], redraw: draw };
}
