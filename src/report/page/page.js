/* SPDX-License-Identifier: BSD-3-Clause */
/* The page: one section a subject, each left out of the contents only if the report has no such field. Older reports (1.1) have less. */

const report = unpack(JSON.parse(document.getElementById("data").textContent));
const job = report.job, ranks = report.ranks, nodes = report.nodes, M = job.metrics;
const main = document.getElementById("main"), contents = [];
const unit = job.mpi ? "rank" : "process", units = job.mpi ? "ranks" : "processes";
const origin = Date.parse(job.start) || (job.series && job.series.begin_ms) || 0;

const SHORT = { time: "Over time", "ranks-time": units[0].toUpperCase() + units.slice(1) + " over time", spread: "Spread", numa: "NUMA", "numa-matrix": "Placement", nodes: "Nodes",
	outliers: "Outliers", cost: "Cost", pools: "Pools", classes: "Sizes", metrics: "Figures" };

function section(id, title, about, ...content) {
	contents.push([id, SHORT[id] || title]);
	return el("section", { id, "aria-labelledby": id + "-title" },
		el("div", { class: "card" }, el("div", { class: "title" }, el("h2", { id: id + "-title" }, title)),
			about ? el("p", { class: "about" }, about) : null, ...content));
}

function plural(n, word) {
	return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : word.endsWith("s") ? "es" : "s"}`;
}

function pick(label, id, choices, change) {
	return el("label", {}, label, el("select", { id, on: { change: e => change(e.target.value) } },
		choices.map(([value, text]) => el("option", { value }, text))));
}

function metricText(name) {
	return TEXTS[name] || name.replace(/_/g, " ");
}

const TEXTS = { peak_bytes: "Live, peak", live_bytes: "Live at the end", peak_physical_bytes: "Physical, peak", physical_bytes: "Physical at the end",
	peak_rss_bytes: "Resident set, peak", swapped_bytes: "Swapped out", resident_bytes: "Pool pages resident at the end", misplaced_bytes: "Misplaced at the end",
	peak_resident_bytes: "Pool pages resident when fullest", peak_misplaced_bytes: "Misplaced when fullest", huge_bytes: "In huge pages at the end",
	peak_huge_bytes: "In huge pages when fullest", held_bytes: "Pools hold", reclaimable_bytes: "Of that kept for reuse", reserved_bytes: "Address space reserved",
	metadata_bytes: "numarena's metadata", allocations: "Allocations", releases: "Releases", cached_allocations: "Allocations of cached sizes",
	cache_refills: "Thread-cache refills", thread_cache_hit_rate: "Thread-cache hit rate", remote_releases: "Releases by another thread",
	large_allocations: "Large allocations", large_reused: "Large blocks reused", large_reuse_rate: "Large blocks reused, share", large_live_bytes: "Live in large blocks",
	purged_bytes: "Returned to the system", system_calls: "Memory system calls", thread_caches: "Thread caches", wall_ns: "Time",
	maintenance_ns: "Own cost: maintenance", record_ns: "Own cost: records", finalize_ns: "Own cost: last measurement", topology_ns: "Own cost: topology",
	fullest_live_bytes: "Live when fullest", fullest_held_bytes: "Pools hold when fullest", fullest_requested_bytes: "Requested when fullest", growth_bytes: "Growth",
	compressed_bytes: "Compressed at the end", stalled: "Stalled for memory", phase_ns: "Time in the longest phase" };

function head() {
	const state = { complete: "good", incomplete: "warn", aborted: "bad" }[job.status] || "warn";
	const facts = [`job ${job.name}`, `${plural(job.processes, unit)} on ${plural(job.nodes, "node")}`, job.wall_ns !== null ? show(job.wall_ns, "ns") : null,
		job.start ? job.start.replace("T", " ").replace(/\..*/, " UTC") : null, job.launcher, job.post_mortem ? "made from the records after the job's end" : null];
	const themes = [["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]];

	document.getElementById("head").append(
		el("div", {}, el("p", { class: "over" }, "numarena memory report"),
			el("h1", {}, job.program || "(unnamed program)", el("span", { class: "badge " + state }, job.status)),
			el("p", { class: "facts" }, facts.filter(Boolean).map(f => el("span", {}, f)))),
		el("fieldset", { class: "switch" }, el("legend", { class: "hidden" }, "Colours"), themes.map(([value, text]) => el("label", {},
			el("input", { type: "radio", name: "theme", value, on: { change: () => setTheme(value) } }), el("span", {}, text)))));
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
let theme = "auto";

function setTheme(wanted) {
	theme = wanted;
	document.documentElement.dataset.theme = wanted === "dark" || (wanted === "auto" && systemDark.matches) ? "dark" : "light";
	for (const input of document.getElementsByName("theme"))
		input.checked = input.value === wanted;
	redraws.forEach(f => f());
}

function figure(name, value, unitName, note, kind, id) {
	const [number, of] = value && value.text ? [value.text, ""] : parts(value, unitName);
	const raw = typeof value === "number" ? value : null;

	return el("div", { class: "card figure" + (kind ? " " + kind : ""), id: id ? "figure-" + id : null }, el("dt", {}, name),
		el("dd", { class: "number" + (String(number).length > 9 ? " small" : ""), "data-value": raw, title: exact(raw, unitName) || null }, number, of ? el("i", {}, of) : null),
		el("dd", { class: "note" }, note));
}

function headline() {
	const peak = job.peak || { live_bytes: job.peaks.live_peak_of_sums, moment_ms: null, phase: null }, request = job.memory_request, own = job.overhead;
	const when = peak.moment_ms && peak.live_bytes !== null ? `at ${clock(Math.max(0, peak.moment_ms - origin))}${peak.phase ? `, most ${units} in “${peak.phase}”` : ""}` : "";
	const misplaced = M.peak_misplaced_bytes, resident = M.peak_resident_bytes, part = resident.total ? misplaced.total / resident.total : null;
	const least = nodes.filter(n => n.headroom && n.headroom.free_bytes !== null).sort((a, b) => a.headroom.free_bytes - b.headroom.free_bytes)[0];
	const list = [
		figure("Live memory, peak of sums", peak.live_bytes, "bytes", when || "the most that all had at once", null, "live"),
		figure("Physical memory, peak", job.peaks.physical_peak_of_sums, "bytes", `sum of the ${units}’ own peaks ${show(job.peaks.physical_sum_of_peaks, "bytes")}`, null, "physical"),
		figure("Imbalance of live peaks", M.peak_bytes.imbalance, "ratio", M.peak_bytes.max ? `most: ${whom(M.peak_bytes.max)}, ${show(M.peak_bytes.max.value, "bytes")}` : "",
			M.peak_bytes.imbalance > 0.25 ? "warn" : null, "imbalance"),
		figure("Misplaced when fullest", misplaced.total, "bytes", part === null ? "pages on another NUMA node than asked for" : `${show(part, "ratio")} of the pools’ resident pages`, part > 0.1 ? "warn" : null, "misplaced"),
	];

	if (least)
		list.push(figure("Least headroom of a node", least.headroom.free_bytes, "bytes",
			`${least.host}${least.headroom.more_ranks === null ? "" : `: room for ${plural(least.headroom.more_ranks, "more " + unit)}`}`, least.headroom.free_bytes === 0 ? "bad" : null, "headroom"));
	if (request && request.directive)
		list.push(figure("Would have sufficed", { text: request.directive }, "",
			request.requested_bytes === null ? "no request is known" : `requested ${show(request.requested_bytes, "bytes")}${request.source ? " by " + request.source : ""}`, null, "request"));
	if (job.rates)
		list.push(figure("Allocations a second", job.rates.allocations_per_s, "count",
			`${show(job.rates.allocated_bytes_per_s, "bytes")}/s; ${job.rates.allocator_time_fraction === null ? "time in the allocator not measured" : show(job.rates.allocator_time_fraction, "ratio") + " of the time"}`, null, "rate"));
	list.push(figure("numarena’s own cost", own.fraction_of_time, "ratio", `of the time; metadata ${show(own.metadata_bytes, "bytes")}`, null, "own"));
	main.append(el("section", { id: "overview", "aria-label": "Headline figures" }, el("dl", { class: "figures" }, list)));
	contents.push(["overview", "Overview"]);
}

function findings() {
	const list = job.findings.map(f => el("li", { class: f.rule === "limit" ? "bad" : null },
		el("p", {}, el("span", { class: "rule" }, f.rule.replace(/_/g, " ") + "."), f.bottleneck), f.recommendation ? el("p", {}, f.recommendation) : null));

	if (job.missing)
		list.unshift(el("li", { class: "bad" }, el("p", {}, el("span", { class: "rule" }, "Missing."), `No record of ${plural(job.missing, unit)}: ${job.missing_ranks.join(", ")}${job.missing > job.missing_ranks.length ? ", …" : ""}.`)));
	if (job.out_of_memory.reports)
		list.unshift(el("li", { class: "bad" }, el("p", {}, el("span", { class: "rule" }, "Out of memory."), `Beside the report: ${job.out_of_memory.files.join(", ")}`)));
	const broken = job.processes - job.complete;
	if (broken > 0)
		list.unshift(el("li", { class: "bad" }, el("p", {}, el("span", { class: "rule" }, "Incomplete."), `${plural(broken, unit)} did not come to the end; the table of ${units} has their state and last phase.`)));
	if (!list.length)
		list.push(el("li", { class: "good" }, el("p", {}, "No rule found anything wrong with this job’s memory.")));
	contents.push(["findings", "Findings"]);
	main.append(el("section", { id: "findings", "aria-labelledby": "findings-title" }, el("div", { class: "title" }, el("h2", { id: "findings-title" }, "Findings")),
		el("ul", { class: "findings" }, list)));
}

function overTime() {
	const usable = s => s && s.begin_ms !== null && s.live_bytes && s.live_bytes.length;
	const scopes = [];

	if (usable(job.series))
		scopes.push({ name: "the job", series: job.series, peak: job.peak || { live_bytes: null } });
	for (const n of nodes)
		if (usable(n.series))
			scopes.push({ name: n.host, series: n.series, peak: n.peak, limit: n.headroom && n.headroom.limit_bytes });
	if (!scopes.length) {
		main.append(section("time", "Memory over time", null, el("p", { class: "empty" }, "The job was too short for a history.")));
		return;
	}
	let scope = scopes[0];
	const present = LINES.filter(l => scopes.some(s => s.series[l[0]])), some = l => scopes.some(s => most(s.series[l[0]] || [null]) > 0);
	const shown = new Set(present.filter(l => l[1] === "live" || l[1] === "physical" || some(l)).map(l => l[1]));
	const chart = lineChart(() => ({ ...scope, shown }), origin), holder = el("div");
	const keys = present.map(l => el("label", { class: "key" }, el("input", { type: "checkbox", value: l[1], checked: shown.has(l[1]), on: { change: e => {
		e.target.checked ? shown.add(l[1]) : shown.delete(l[1]);
		chart.redraw();
	} } }), sv("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, sv("line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: `var(--${l[1]})`, "stroke-width": 2.4, "stroke-dasharray": l[3] || null })), l[2]));
	const rows = () => scope.series.live_bytes.map((_, i) => ({ i, t: Math.max(0, scope.series.begin_ms - origin + i * scope.series.bin_ms), s: scope.series }));
	const renew = () => holder.replaceChildren(hideable("The numbers as a table", () => table({ id: "time-table", caption: `Memory of ${scope.name} over time, bins of ${scope.series.bin_ms} ms`, rows: rows(),
		columns: [{ label: "Since the start", unit: "ns", get: r => r.t * 1e6, text: r => clock(r.t) }, ...present.map(l => ({ label: l[2], unit: "bytes", get: r => r.s[l[0]] ? r.s[l[0]][r.i] : null }))] })));

	renew();
	main.append(section("time", "Memory over time", `The highest of each ${scope.series.bin_ms} ms, summed over the ${units}: live blocks, physical memory of the processes, what programs asked for, what is compressed, and pages on a wrong NUMA node.`,
		el("div", { class: "tools" }, scopes.length > 1 ? pick("Of", "time-scope", scopes.map((s, i) => [i, s.name === "the job" ? "the whole job" : s.name]), v => { scope = scopes[v]; chart.redraw(); renew(); }) : null, keys),
		chart.nodes, report.page.node_series_left_out ? el("p", { class: "readout" }, `Nodes with the highest peaks only; ${report.page.node_series_left_out} others are in the JSON.`) : null, holder));
	chart.redraw();
}

function heat() {
	const s = job.rank_series;

	if (!s || !s.rows.length || !s.rows[0].values.length)
		return;
	const columns = Math.max(...s.rows.map(r => r.values.length)), name = r => r.rank === null ? "pid " + r.pid : String(r.rank);
	const facts = s.rows.map(r => { const top = most(r.values); return { ...r, top, when: r.values.indexOf(top), end: r.values[r.values.length - 1] ?? null }; });
	const high = (most(facts.map(f => f.top)) || 1) * s.unit_bytes;
	let order = facts, low = 0;
	const least = (fewest(s.rows.map(r => fewest(r.values))) || 0) * s.unit_bytes;
	const map = heatMap(() => ({ rows: order.length, columns, low, high, height: Math.max(120, Math.min(440, order.length * 22)),
		value: (r, c) => { const v = order[r].values[c]; return v === null || v === undefined ? null : v * s.unit_bytes; },
		rowLabel: r => unit + " " + name(order[r]), columnLabels: width => timeTicks(0, columns * s.bin_ms, Math.max(2, Math.floor(width / 130))).map(([t, text]) => [t / s.bin_ms, text]),
		describe: (r, c) => [[`${unit} ${name(order[r])}`, order[r].host], ["at", clock(Math.max(0, s.begin_ms - origin + c * s.bin_ms))], ["live", show(order[r].values[c] === null || order[r].values[c] === undefined ? null : order[r].values[c] * s.unit_bytes, "bytes")]],
		label: `Live memory of ${plural(order.length, unit)} over time, a row each, up to ${show(high, "bytes")}.` }), "heat-map");

	main.append(section("ranks-time", `${job.mpi ? "Ranks" : "Processes"} over time`, `Live memory, a row a ${unit}: a row that stands out has more than its neighbours, one that brightens or darkens steadily grows.`,
		el("div", { class: "tools" }, pick("Order", "heat-order", [["rank", "by number"], ["peak", "fullest first"], ["end", "most at the end first"]], v => {
			order = v === "rank" ? facts : [...facts].sort((a, b) => v === "peak" ? b.top - a.top : b.end - a.end);
			map.redraw();
		}), el("label", {}, el("input", { type: "checkbox", id: "heat-scale", on: { change: e => { low = e.target.checked ? least : 0; map.redraw(); } } }), "colours begin at the least value")),
		map.nodes, hideable("The numbers as a table", () => table({ id: "heat-table", caption: `Live memory of each ${unit}, in bins of ${show(s.bin_ms * 1e6, "ns")}`, rows: facts, sort: 2, descending: true,
			filter: f => name(f) + " " + f.host, columns: [{ label: job.mpi ? "Rank" : "Process", unit: "int", get: f => f.rank ?? f.pid }, { label: "Node", get: f => f.host },
				{ label: "Highest", unit: "bytes", get: f => f.top === null ? null : f.top * s.unit_bytes }, { label: "When", unit: "ns", get: f => f.top === null ? null : (s.begin_ms - origin + f.when * s.bin_ms) * 1e6, text: f => clock(Math.max(0, s.begin_ms - origin + f.when * s.bin_ms)) },
				{ label: "At the end", unit: "bytes", get: f => f.end === null ? null : f.end * s.unit_bytes }] }))));
	map.redraw();
}

function spreadOverRanks() {
	const names = Object.keys(M).filter(n => M[n].measured_by && (M[n].histogram && M[n].histogram.length || !report.ranks_omitted && ranks.length));

	if (!names.length)
		return null;
	let name = names.includes("peak_bytes") ? "peak_bytes" : names[0];
	const facts = el("div");
	function bins() {
		const m = M[name];
		if (!report.ranks_omitted && ranks.length)
			return [binned(ranks.map(r => r.values[name]).filter(v => v !== null)), true];
		return [m.histogram.map((b, i) => [b.from, i + 1 < m.histogram.length ? m.histogram[i + 1].from : m.max.value, b.ranks]), false];
	}
	const chart = barChart(() => { const [b, linear] = bins(); return { bins: b, linear, unit: M[name].unit, quantiles: M[name].quantiles, name: metricText(name) }; });
	function renew() {
		const m = M[name], q = m.quantiles || {}, [b] = bins();
		const rows = [["Least", m.min && m.min.value, whom(m.min)], ...["p5", "p25", "p50", "p75", "p95", "p99"].filter(k => k in q).map(k => [k === "p50" ? "Median" : k.slice(1) + " % are at most", q[k], ""]),
			["Most", m.max && m.max.value, whom(m.max)], ["Mean", m.mean, ""], ["Standard deviation", m.stddev ?? null, ""], ["Imbalance (most / mean − 1)", m.imbalance, "", "ratio"]];
		facts.replaceChildren(table({ id: "spread-table", caption: `${metricText(name)} over ${plural(m.measured_by, unit)}`, rows, columns: [{ label: "Figure", get: r => r[0] }, { label: "Value", unit: "bytes", unitText: { bytes: "bytes", count: "number", ns: "time", ratio: "%" }[m.unit], get: r => r[1], text: r => show(r[1], r[3] || m.unit), title: r => exact(r[1], r[3] || m.unit) }, { label: "Where", get: r => r[2] }] }),
			hideable("The histogram as a table", () => table({ id: "histogram-table", caption: `Histogram of ${metricText(name)}`, rows: b, columns: [{ label: "From", unit: m.unit, get: x => x[0] }, { label: "To", unit: m.unit, get: x => x[1] }, { label: job.mpi ? "Ranks" : "Processes", unit: "int", get: x => x[2] }] })));
	}
	renew();
	return section("spread", `Spread over ${units}`, null, el("div", { class: "tools" }, pick("Of", "spread-metric", [name, ...names.filter(n => n !== name)].map(n => [n, metricText(n)]), v => { name = v; chart.redraw(); renew(); })), chart.nodes, facts);
}

function numa() {
	const list = job.numa_nodes.map(n => ({ ...n }));

	if (!list.length)
		return null;
	const top = Math.max(1, ...list.map(n => n.when_fullest.resident_bytes || 0));
	const content = [table({ id: "numa-table", caption: "NUMA nodes, when each " + unit + " was fullest", rows: list, columns: [{ label: "NUMA node", unit: "int", get: n => n.node },
		{ label: "Requested", unit: "bytes", get: n => n.when_fullest.requested_bytes }, { label: "Resident", unit: "bytes", get: n => n.when_fullest.resident_bytes, cell: n => metered(n.when_fullest.resident_bytes, top, "bytes") },
		{ label: "Misplaced", unit: "bytes", get: n => n.when_fullest.misplaced_bytes, cell: n => metered(n.when_fullest.misplaced_bytes, n.when_fullest.resident_bytes, "bytes", true) },
		{ label: "Memory", unit: "bytes", get: n => n.memory_bytes }] })];
	return section("numa", "NUMA nodes", "Requested: live blocks of the node’s pools. Resident: their pages, wherever they lie. Misplaced: those on another node than asked for.", content);
}

function matrix() {
	const cells = job.numa_matrix;

	if (!cells || !cells.length)
		return;
	const numbers = [...new Set(cells.map(c => c.node))].sort((a, b) => a - b), rows = new Map();
	for (const c of cells) {
		const key = c.host + " " + c.pid;
		if (!rows.has(key))
			rows.set(key, { rank: c.rank, pid: c.pid, host: c.host, resident: {}, misplaced: {}, wrong: null });
		const row = rows.get(key);
		row.resident[c.node] = c.resident_bytes;
		row.misplaced[c.node] = c.misplaced_bytes;
		if (c.misplaced_bytes !== null)
			row.wrong = (row.wrong || 0) + c.misplaced_bytes;
	}
	const list = [...rows.values()].sort((a, b) => (a.rank ?? 1e9 + a.pid) - (b.rank ?? 1e9 + b.pid));
	let which = "resident";
	const highest = () => Math.max(1, most(list.map(r => most(Object.values(r[which])))) || 0);
	const name = r => r.rank === null ? "process " + r.pid : "rank " + r.rank;
	const map = heatMap(() => ({ rows: numbers.length, columns: list.length, low: 0, high: highest(), height: Math.min(260, numbers.length * 30), middle: true,
		value: (r, c) => list[c][which][numbers[r]] ?? 0, rowLabel: r => "node " + numbers[r],
		columnLabels: width => { const step = Math.max(1, nice(list.length / Math.max(2, Math.floor(width / 120)))), out = []; for (let i = 0; i < list.length; i += step) out.push([i + 0.5, name(list[i])]); return out; },
		describe: (r, c) => [[name(list[c]), list[c].host], ["NUMA node", String(numbers[r])], ["resident", show(list[c].resident[numbers[r]] ?? 0, "bytes")], ["misplaced", show(list[c].misplaced[numbers[r]] ?? 0, "bytes")]],
		label: `Memory of ${plural(list.length, unit)} on ${plural(numbers.length, "NUMA node")}.` }), "numa-map");
	const columns = [{ label: job.mpi ? "Rank" : "Process", unit: "int", get: r => r.rank ?? r.pid }, { label: "Node", get: r => r.host },
		...numbers.map(n => ({ label: `NUMA ${n}`, unit: "bytes", get: r => r.resident[n] ?? 0, cell: r => metered(r.resident[n] ?? 0, highest(), "bytes") })),
		{ label: "Misplaced", unit: "bytes", get: r => r.wrong }];

	main.append(section("numa-matrix", `${job.mpi ? "Ranks" : "Processes"} on NUMA nodes`, `Where the pages of each ${unit}’s pools lay when it was fullest. A ${unit} bound to one node has one strong cell in its column.`,
		el("div", { class: "tools" }, pick("Show", "numa-which", [["resident", "resident pages"], ["misplaced", "misplaced pages"]], v => { which = v; map.redraw(); })), map.nodes,
		list.length <= 16 ? table({ id: "matrix-table", caption: "Resident pages by NUMA node", rows: list, columns }) : hideable("The numbers as a table", () => table({ id: "matrix-table", caption: "Resident pages by NUMA node", rows: list, columns, filter: r => name(r) + " " + r.host }))));
	map.redraw();
}

function phases() {
	const list = job.phases.concat(job.other_phases ? [job.other_phases] : []), longest = Math.max(1, ...list.map(p => p.time_ns.total));
	const max = (label, key, u) => ({ label, unit: u, get: p => p[key].max && p[key].max.value, cell: p => [show(p[key].max && p[key].max.value, u), el("span", { class: "sub" }, p[key].max && p[key].max.rank !== null ? "rank " + p[key].max.rank : "")] });

	main.append(section("phases", "Phases", "What lies between begin_memory_phase() and its end, over all " + units + " that have a phase of that name.", list.length ? table({ id: "phases-table", quiet: true, caption: "Phases", rows: list, columns: [
		{ label: "Phase", wide: true, get: p => p.name, cell: p => [p.name, p.running ? el("span", { class: "sub" }, `still running on ${p.running}`) : null, p.growth ? el("span", { class: "sub" }, `grows on ${plural(p.growth.processes, unit)}: ${show(p.growth.first_bytes, "bytes")} to ${show(p.growth.last_bytes, "bytes")} (${whom(p.growth)})`) : null].filter(Boolean) },
		{ label: job.mpi ? "Ranks" : "Processes", unit: "int", get: p => p.processes }, { label: "Times", unit: "count", get: p => p.entered },
		{ label: "Time, mean", unit: "ns", get: p => p.time_ns.mean, cell: p => metered(p.time_ns.mean === null ? null : Math.round(p.time_ns.mean), longest / Math.max(1, p.processes), "ns") }, max("Time, most", "time_ns", "ns"),
		max("Live peak, most", "peak_bytes", "bytes"), max("Left behind, most", "left_bytes", "bytes"), { label: "Allocated", unit: "bytes", get: p => p.allocated_bytes }] }) : el("p", { class: "empty" }, "The program marks no phases.")));
}

function sites() {
	if (!job.call_sites)
		return;
	main.append(section("call-sites", "Call sites", "Where the bytes of sampled allocations were asked for, over the whole job.", job.call_sites.length ? table({ id: "sites-table", quiet: true, caption: "Call sites", rows: job.call_sites, columns: [
		{ label: "Call stack, innermost first", wide: true, get: s => s.frames.join(" < "), cell: s => el("ol", { class: "frames" }, s.frames.map(f => el("li", {}, f))) },
		{ label: "Allocated", unit: "bytes", get: s => s.bytes }, { label: "Share", unit: "ratio", get: s => s.fraction, cell: s => metered(s.fraction, 1, "ratio") },
		{ label: "Allocations", unit: "count", get: s => s.allocations }, { label: job.mpi ? "Ranks" : "Processes", unit: "int", get: s => s.ranks }] }) : el("p", { class: "empty" }, "None were sampled: set NUMARENA_SAMPLE_BYTES, to 65536 say.")));
}

function pools() {
	const list = job.pools.concat(job.other_pools ? [job.other_pools] : []), top = Math.max(1, ...list.map(p => p.peak_bytes.total));

	return section("pools", "Named pools", null, list.length ? table({ id: "pools-table", quiet: true, caption: "Named pools", rows: list, sort: 1, descending: true, columns: [{ label: "Pool", wide: true, get: p => p.name },
		{ label: "Peaks, sum", unit: "bytes", get: p => p.peak_bytes.total, cell: p => metered(p.peak_bytes.total, top, "bytes") }, { label: "Live", unit: "bytes", get: p => p.live_bytes }, { label: "Held", unit: "bytes", get: p => p.held_bytes },
		{ label: "Allocations", unit: "count", get: p => p.allocations }] }) : el("p", { class: "empty" }, "The program has no named pools."));
}

function classes() {
	const top = Math.max(1, ...job.size_classes.map(c => c.fullest_bytes));

	return section("classes", "Block sizes", null, job.size_classes.length ? table({ id: "classes-table", quiet: true, caption: "Live and allocated bytes by block size", rows: job.size_classes, sort: 1, descending: true, page: 12, columns: [
		{ label: "Blocks of", unit: "bytes", get: c => c.block_bytes === null ? Infinity : c.block_bytes, text: c => c.block_bytes === null ? "over 32 KiB" : show(c.block_bytes, "bytes"), title: () => null },
		{ label: "Live when full", unit: "bytes", get: c => c.fullest_bytes, cell: c => metered(c.fullest_bytes, top, "bytes") }, { label: "At the end", unit: "bytes", get: c => c.live_bytes }, { label: "Allocations", unit: "count", get: c => c.allocations },
		{ label: "Allocated", unit: "bytes", get: c => c.allocated_bytes }] }) : el("p", { class: "empty" }, "Nothing was allocated."));
}

function hosts() {
	const total = (n, name) => n.metrics[name] ? n.metrics[name].total : null, room = n => n.headroom || {};

	main.append(section("nodes", "Nodes and their headroom", "Each node’s peak against what it may use: the cgroup’s limit, else its physical memory." + (report.nodes_omitted ? ` The ${nodes.length} with the least room, of ${job.nodes}.` : ""), nodes.length ? table({ id: "nodes-table", quiet: true, caption: "Nodes", rows: nodes, sort: nodes.some(n => n.headroom) ? 6 : 0, filter: n => n.host, columns: [
		{ label: "Node", wide: true, get: n => n.host }, { label: job.mpi ? "Ranks" : "Processes", unit: "int", get: n => n.processes }, { label: "Live peak", unit: "bytes", get: n => n.peaks.live_peak_of_sums,
			cell: n => [show(n.peaks.live_peak_of_sums, "bytes"), n.peak && n.peak.phase ? el("span", { class: "sub" }, `in ${n.peak.phase}`) : null].filter(Boolean) },
		{ label: "Physical peak", unit: "bytes", get: n => n.peaks.physical_peak_of_sums }, { label: "May use", unit: "bytes", get: n => room(n).limit_bytes ?? n.cgroup_limit_bytes ?? n.memory_bytes, cell: n => [show(room(n).limit_bytes ?? n.cgroup_limit_bytes ?? n.memory_bytes, "bytes"), el("span", { class: "sub" }, room(n).limit === "cgroup" || !n.headroom && n.cgroup_limit_bytes !== null ? "cgroup" : "physical")] },
		{ label: "Used at peak", unit: "ratio", get: n => room(n).limit_bytes ? room(n).peak_bytes / room(n).limit_bytes : null, cell: n => metered(room(n).limit_bytes ? room(n).peak_bytes / room(n).limit_bytes : null, 1, "ratio", room(n).peak_bytes > 0.9 * room(n).limit_bytes) },
		{ label: "Free at peak", unit: "bytes", get: n => room(n).free_bytes ?? null }, { label: `Room for ${units}`, unit: "int", get: n => room(n).more_ranks ?? null, text: n => room(n).more_ranks ?? UNKNOWN },
		{ label: "Misplaced", unit: "bytes", get: n => total(n, "peak_misplaced_bytes") }, { label: "Fragments", unit: "ratio", unitText: "%, external", get: n => n.fragmentation ? n.fragmentation.external : null }] }) : el("p", { class: "empty" }, "No node is known.")));
}

function outliers() {
	if (!job.outliers)
		return null;
	return section("outliers", "Outliers and stragglers", null, job.outliers.length ? table({ id: "outliers-table", quiet: true, caption: "Outliers and stragglers", rows: job.outliers, sort: 3, descending: true, page: 8, columns: [
		{ label: job.mpi ? "Rank" : "Process", unit: "int", get: o => o.rank ?? o.pid, cell: o => [String(o.rank ?? o.pid), el("span", { class: "sub" }, o.host)] }, { label: "Figure", wide: true, get: o => metricText(o.metric), cell: o => [metricText(o.metric), el("span", { class: "sub" }, o.kind)] },
		{ label: "Value", unit: "bytes", unitText: "in its unit", get: o => o.value, cell: o => [show(o.value, (M[o.metric] || {}).unit), el("span", { class: "sub" }, "median " + show(o.median, (M[o.metric] || {}).unit))], title: o => exact(o.value, (M[o.metric] || {}).unit) },
		{ label: "Off the median", unit: "times", get: o => o.times_mad }] }) : el("p", { class: "empty" }, `No ${unit} stands out.`));
}

function cost() {
	const own = job.overhead, p = own.pauses;
	const rows = [["Maintenance", own.maintenance_ns, "ns", "giving memory back, updating records"], ["Records", own.record_ns, "ns", "updates of records, in maintenance for the most part"], ["Last measurement", own.finalize_ns, "ns", ""],
		["Topology", own.topology_ns, "ns", `read from another process by ${own.topology_shared_by}`], ["Reduction over ranks", own.reduce_ns, "ns", "once, on the critical path"], ["Metadata", own.metadata_bytes, "bytes", ""]];

	if (p)
		rows.push(["Pauses", p.count, "count", ""], ["Pauses, time in all", p.total_ns, "ns", ""], ["Longest pause", p.longest && p.longest.ns, "ns", p.longest ? `${whom(p.longest)}, at ${clock(Math.max(0, p.longest.moment_ms - origin))}` : ""],
			["Pauses of all ranks together", p.together_ns, "ns", "the most of any rank"], [`Pauses of a ${unit} alone`, p.alone_ns, "ns", plural(p.alone || 0, "time")],
			["Effect of pauses on the job", p.estimated_job_ns, "ns", "an estimate"]);
	return section("cost", "What numarena cost", `Summed over the ${units}.`, table({ id: "cost-table", quiet: true, caption: "numarena's own cost", rows, page: 16, columns: [{ label: "Part", get: r => r[0] }, { label: "Cost", unit: "ns", unitText: "in its unit", get: r => r[1], text: r => show(r[1], r[2]), title: r => exact(r[1], r[2]) }, { label: "What it is", wide: true, get: r => r[3] }] }));
}

/* What pauses are called, what costs the job most last: where a line of pixels has several, that is what it shows. */
const KINDS = [["waiting", "requested", "while it waited"], ["call", "compressed", "together, by the program’s call"], ["window", "live", "together, in a window"], ["alone", "physical", "when it liked: others wait"]];

/* Ranks in rows, time to the right: together is a line from top to bottom, alone is scattered. */
function pauseMap(list) {
	const key = p => p.rank ?? "pid " + p.pid, rows = new Map(), columns = 300;
	let end = origin + 1, order;

	for (const r of ranks)
		rows.set(r.rank ?? "pid " + r.pid, { name: r.rank ?? "pid " + r.pid, host: r.host, list: [], ns: 0 });
	for (const p of list) {
		if (!rows.has(key(p)))
			rows.set(key(p), { name: key(p), host: p.host, list: [], ns: 0 });
		rows.get(key(p)).list.push(p);
		rows.get(key(p)).ns += p.kind === "waiting" ? 0 : p.ns;
		end = Math.max(end, p.moment_ms + p.ns / 1e6);
	}
	end = Math.max(end, job.wall_ns === null ? 0 : origin + job.wall_ns / 1e6);
	const column = ms => Math.max(0, Math.min(columns - 1, Math.floor((ms - origin) / (end - origin) * columns))), known = KINDS.map(k => k[0]);
	order = [...rows.values()];
	for (const row of order) {
		row.cells = new Int8Array(columns).fill(-1);
		for (const p of row.list)
			for (let c = column(p.moment_ms); c <= column(p.moment_ms + p.ns / 1e6); c++)
				row.cells[c] = Math.max(row.cells[c], known.indexOf(p.kind));
	}
	const numbered = order, shown = KINDS.filter(k => list.some(p => p.kind === k[0]));
	const map = heatMap(() => ({ rows: order.length, columns, low: 0, high: 1, height: Math.max(60, Math.min(440, order.length * 22)), kinds: shown.map(k => [k[1], k[2]]),
		value: (r, c) => order[r].cells[c] < 0 ? null : shown.indexOf(KINDS[order[r].cells[c]]),
		rowLabel: r => typeof order[r].name === "number" ? `${unit} ${order[r].name}` : order[r].name, columnLabels: width => timeTicks(0, end - origin, Math.max(2, Math.floor(width / 130))).map(([t, text]) => [t / (end - origin) * columns, text]),
		describe: (r, c) => {
			const row = order[r], here = row.list.filter(p => column(p.moment_ms) <= c && c <= column(p.moment_ms + p.ns / 1e6)), ns = here.reduce((sum, p) => sum + p.ns, 0);
			return [[typeof row.name === "number" ? `${unit} ${row.name}` : row.name, row.host], ["at", clock(here.length ? Math.max(0, here[0].moment_ms - origin) : c / columns * (end - origin))],
				here.length ? [[...new Set(here.map(p => p.kind))].join(", "), `${here.length > 1 ? here.length + " pauses, " : ""}${show(ns, "ns")}`] : ["no", "pause"]];
		},
		label: `Pauses of ${plural(order.length, unit)} over ${show((end - origin) * 1e6, "ns")}, a row each.` }), "pause-map");

	return { map, tools: el("div", { class: "tools" }, pick("Order", "pause-order", [["rank", "by number"], ["longest", "longest pauses first"]], v => {
		order = v === "rank" ? numbered : [...numbered].sort((a, b) => b.ns - a.ns);
		map.redraw();
	})) };
}

function pauses() {
	const list = report.page.pauses;

	if (!list.length)
		return;
	const { map, tools } = pauseMap(list);
	main.append(section("pauses", "Pauses", `When each ${unit} stood still for numarena. What ${units} do together is a line from top to bottom, and the job waits once; what each does when it likes is scattered, and nearly every step has one that waits for it.${report.page.pauses_a_rank ? ` The newest ${report.page.pauses_a_rank} of each; the JSON has more.` : ""}`,
		tools, map.nodes, hideable("The numbers as a table", () => table({ id: "pauses-table", quiet: true, caption: "Pauses", rows: list, sort: 2, descending: true, page: 10, filter: p => p.host + " " + p.kind + " " + (p.rank ?? p.pid), columns: [
		{ label: job.mpi ? "Rank" : "Process", unit: "int", get: p => p.rank ?? p.pid }, { label: "When", unit: "ns", unitText: "since the start", get: p => p.moment_ms, text: p => clock(Math.max(0, p.moment_ms - origin)), title: p => new Date(p.moment_ms).toISOString() }, { label: "Length", unit: "ns", get: p => p.ns }, { label: "Bytes", unit: "bytes", get: p => p.bytes },
		{ label: "Kind", get: p => p.kind }, { label: "Node", get: p => p.host }] }))));
	map.redraw();
}

function everyRank() {
	const value = name => r => r.values[name], states = new Set(ranks.map(r => r.state));
	const top = Math.max(1, ...ranks.map(r => r.values.peak_bytes || 0));
	const columns = [{ label: job.mpi ? "Rank" : "Process", unit: "int", get: r => r.rank ?? r.pid }, { label: "Node", get: r => r.host }, { label: "State", get: r => r.state, cell: r => [r.state, r.phase ? el("span", { class: "sub" }, "in " + r.phase) : null].filter(Boolean) },
		{ label: "Live, peak", unit: "bytes", get: value("peak_bytes"), cell: r => metered(r.values.peak_bytes, top, "bytes") }, ...["live_bytes", "peak_physical_bytes", "physical_bytes", "peak_misplaced_bytes"].map(n => ({ label: metricText(n), unit: "bytes", get: value(n) })),
		{ label: "Allocations", unit: "count", get: value("allocations") }, { label: "Cache hits", unit: "ratio", get: value("thread_cache_hit_rate") }, { label: "Time", unit: "ns", get: value("wall_ns") }];

	if (!job.mpi)
		columns.splice(1, 0, { label: "Program", wide: true, get: r => r.program });
	main.append(section("ranks", job.mpi ? "Ranks" : "Processes", states.size > 1 ? `Not all are complete: sort by state.` : null, ranks.length ? table({ id: "ranks-table", quiet: true, caption: "Every " + unit, rows: ranks, sort: 0, filter: r => `${r.rank ?? ""} ${r.pid} ${r.host} ${r.state} ${r.program} ${r.phase || ""}`, columns }) : el("p", { class: "empty" }, `A job of ${plural(job.processes, unit)} has the figures of the job and its nodes, and names the extremes, but lists no single ${units}.`)));
}

function everyMetric() {
	const list = Object.entries(M).map(([name, m]) => ({ name, ...m }));
	const of = (label, get, fixed) => ({ label, unit: fixed || "bytes", unitText: fixed ? null : "in its unit", get, text: m => show(get(m), fixed || m.unit), title: m => exact(get(m), fixed || m.unit) });

	main.append(section("metrics", "All figures", `Each over the ${units}; a ratio’s total is the ratio of the sums.`, table({ id: "metrics-table", quiet: true, caption: "All figures", rows: list, columns: [
		{ label: "Figure", wide: true, get: m => metricText(m.name), cell: m => [metricText(m.name), el("span", { class: "sub" }, el("code", {}, m.name))] }, of("Total", m => m.total), of("Least", m => m.min && m.min.value), of("Mean", m => m.mean), of("Most", m => m.max && m.max.value),
		of("Imbalance", m => m.imbalance, "ratio"), { label: "Most on", get: m => whom(m.max) }] })));
}

function end() {
	if (report.notes.length)
		main.append(section("notes", "Notes", null, el("ul", { class: "notes" }, report.notes.map(n => el("li", {}, n)))));
	document.getElementById("foot").append(`Made by ${report.generator} from report.json, schema ${report.schema_version}. KiB, MiB, GiB are powers of 1024. This page holds all it shows and asks the network for nothing.`);
	const links = contents.map(([id, title]) => el("a", { href: "#" + id }, title));
	document.getElementById("contents").append(el("ul", {}, links.map(a => el("li", {}, a))));
	const seen = new IntersectionObserver(entries => {
		const at = entries.filter(e => e.isIntersecting)[0];
		if (at)
			links.forEach(a => a.getAttribute("href") === "#" + at.target.id ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current"));
	}, { rootMargin: "-10% 0px -75% 0px" });
	contents.forEach(([id]) => seen.observe(document.getElementById(id)));
}

function stack(...parts) {
	const some = parts.filter(Boolean);

	return some.length ? el("div", { class: "stack" }, some) : null;
}

function pair(a, b) {
	const both = [a, b].filter(Boolean);

	if (both.length === 2)
		main.append(el("div", { class: "two" }, both));
	else
		main.append(...both);
}

setTheme("auto"); /* before anything is drawn: charts take their colours from it */
head();
setTheme("auto");
systemDark.addEventListener("change", () => { if (theme === "auto") setTheme("auto"); });
headline();
findings();
overTime();
heat();
pair(spreadOverRanks(), stack(numa(), outliers()));
matrix();
phases();
hosts();
sites();
pair(stack(pools(), classes()), cost());
pauses();
everyRank();
everyMetric();
end();
document.documentElement.dataset.ready = "1";
