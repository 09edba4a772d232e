/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps of cells on a canvas: ranks over time, ranks over NUMA nodes, pauses over time. Colours are those of mako: even steps to the eye, from dark to
 * light all the way, so that they are told apart with any kind of colour blindness and in print. Nothing is nearly the ground's colour, and
 * more stands out: darker on light ground, brighter on dark. */

const MAKO = [[11, 4, 5], [35, 21, 38], [53, 38, 76], [64, 58, 117], [61, 82, 150], [54, 109, 160], [52, 135, 166], [53, 161, 171],
	[67, 187, 173], [108, 211, 173], [173, 227, 192], [222, 245, 229]];

function dark() {
	return document.documentElement.dataset.theme === "dark";
}

/* 0..1 to red, green, blue. */
function ramp(part) {
	const p = Math.max(0, Math.min(1, dark() ? part : 1 - part)) * (MAKO.length - 1), i = Math.min(MAKO.length - 2, Math.floor(p)), f = p - i;

	return MAKO[i].map((c, k) => Math.round(c + (MAKO[i + 1][k] - c) * f));
}

function rgb(text) {
	const n = parseInt(text.slice(1), 16);

	return [n >> 16, n >> 8 & 255, n & 255];
}

/* The scale under a map. */
function scaleLegend() {
	const canvas = el("canvas", { width: 180, height: 1, "aria-hidden": "true" }), low = el("span"), high = el("span");
	const none = el("span", {}, el("span", { class: "none", "aria-hidden": "true" }), " no figure");

	return { node: el("p", { class: "legend" }, low, canvas, high, none), draw(from, to, anyUnknown) {
		const context = canvas.getContext("2d"), image = context.createImageData(180, 1);
		for (let i = 0; i < 180; i++)
			image.data.set([...ramp(i / 179), 255], i * 4);
		context.putImageData(image, 0, 0);
		low.textContent = show(from, "bytes");
		high.textContent = show(to, "bytes");
		none.hidden = !anyUnknown;
	} };
}

/* What the colours of kinds mean. */
function kindsLegend(kinds) {
	return { node: el("p", { class: "legend" }, kinds.map(([name, text]) => el("span", {}, el("span", { class: "kind", style: `background: var(--${name})`, "aria-hidden": "true" }), " " + text))), draw() {} };
}

/* spec(): { rows, columns, value(r, c), low, high, rowLabel(r), columnLabels: [[column, text]], describe(r, c), label, height }.
 * If there are more rows than lines of pixels, a line shows the highest of its rows.
 * With kinds: [[colour, text]] a value is the place of its kind, and null is nothing that is shown: then the arrow keys to the left and right go to
 * the next cell with something in it. */
function heatMap(spec, id) {
	const canvas = el("canvas", { "aria-hidden": "true" });
	const holder = el("div", { class: "chart", id, tabindex: "0", role: "application" }, canvas);
	const hint = "Point at a cell, or move with the arrow keys.";
	const readout = el("p", { class: "readout", role: "status" }, hint), legend = spec().kinds ? kindsLegend(spec().kinds) : scaleLegend();
	let place = () => null, at = null, geometry = null;

	function point(r, c) {
		const s = spec();
		at = [Math.max(0, Math.min(s.rows - 1, r)), Math.max(0, Math.min(s.columns - 1, c))];
		readout.replaceChildren(...s.describe(...at).map(([k, v]) => el("span", {}, k + " ", el("b", {}, v))));
		draw();
	}

	const draw = drawn(holder, width => {
		const s = spec(), ratio = window.devicePixelRatio || 1, left = s.left || 74, bottom = 24, right = 2;
		const lineHeight = Math.max(1, Math.min(30, Math.floor(s.height / s.rows))), height = Math.min(s.height, lineHeight * s.rows);
		const context = canvas.getContext("2d"), room = width - left - right;
		const lines = Math.min(s.rows, Math.floor(height)), empty = rgb(colour(s.kinds ? "track" : "unknown"));
		const cells = document.createElement("canvas");
		const paints = s.kinds && s.kinds.map(([name]) => rgb(colour(name)));
		let unknown = false;

		cells.width = s.columns;
		cells.height = lines;
		const image = cells.getContext("2d").createImageData(s.columns, lines), span = s.high - s.low || 1;
		for (let l = 0; l < lines; l++) {
			const from = Math.floor(l * s.rows / lines), to = Math.max(from + 1, Math.floor((l + 1) * s.rows / lines));
			for (let c = 0; c < s.columns; c++) {
				let v = null;
				for (let r = from; r < to; r++) {
					const x = s.value(r, c);
					if (x !== null && x !== undefined && (v === null || x > v))
						v = x;
				}
				unknown = unknown || v === null;
				image.data.set([...(v === null ? empty : paints ? paints[v] : ramp((v - s.low) / span)), 255], (l * s.columns + c) * 4);
			}
		}
		cells.getContext("2d").putImageData(image, 0, 0);
		canvas.width = width * ratio;
		canvas.height = (height + bottom) * ratio;
		canvas.style.height = height + bottom + "px";
		context.scale(ratio, ratio);
		context.imageSmoothingEnabled = false;
		context.drawImage(cells, left, 0, room, height);
		context.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
		context.fillStyle = context.strokeStyle = colour("quiet");
		context.textAlign = "right";
		context.textBaseline = "middle";
		if (lineHeight >= 8 && s.rows > 1) { /* rows are told apart by a gap */
			context.fillStyle = colour("card");
			for (let r = 1; r < s.rows; r++)
				context.fillRect(left, r * height / s.rows - 0.5, room, 1);
			context.fillStyle = colour("quiet");
		}
		const every = Math.max(1, nice(s.rows / Math.max(1, Math.floor(height / 22))));
		for (let r = 0; r < s.rows; r += every) {
			const y = (r + 0.5) * height / s.rows;
			context.fillText(s.rowLabel(r), left - 8, Math.max(7, Math.min(height - 6, y)), left - 10);
		}
		context.textBaseline = "alphabetic";
		for (const [column, text] of s.columnLabels(width)) {
			const x = left + column / s.columns * room;
			context.textAlign = x > width - 40 ? "right" : x < left + 16 ? "left" : "center";
			context.fillText(text, x, height + 18);
			if (!s.middle)
				context.fillRect(x, height, 1, 4);
		}
		if (at) {
			const y = at[0] * height / s.rows, h = Math.max(5, height / s.rows), w = Math.max(3, room / s.columns);
			context.lineWidth = 2;
			context.strokeStyle = dark() ? "#ffffff" : "#000000";
			context.strokeRect(left + at[1] / s.columns * room, Math.min(y, height - h), w, h);
			context.lineWidth = 1;
			context.strokeStyle = dark() ? "#000000" : "#ffffff";
			context.strokeRect(left + at[1] / s.columns * room + 1.5, Math.min(y, height - h) + 1.5, Math.max(0, w - 3), Math.max(0, h - 3));
		}
		geometry = { left, room, height, s };
		legend.draw(s.low, s.high, unknown);
		holder.setAttribute("aria-label", `${s.label} Arrow keys move from ${s.kinds ? "pause to pause" : "cell to cell"}; the table below has the numbers.`);
	});

	function seek(e) {
		if (!geometry)
			return;
		const { left, room, height, s } = geometry, c = Math.floor((e.offsetX - left) / room * s.columns), r = Math.floor(e.offsetY / height * s.rows);
		if (c >= 0 && c < s.columns && r >= 0 && r < s.rows && !(at && at[0] === r && at[1] === c))
			point(r, c);
	}
	canvas.addEventListener("pointermove", seek);
	canvas.addEventListener("pointerdown", seek);
	/* The next column of row r with something in it; the one that it comes from if there is none. */
	function beside(s, r, c, step) {
		if (!s.kinds)
			return c + step;
		for (let to = c + step; to >= 0 && to < s.columns; to += step)
			if (s.value(r, to) !== null)
				return to;
		return c;
	}

	holder.addEventListener("keydown", e => {
		const [r, c] = at || [0, 0], s = spec();
		const to = { ArrowLeft: [r, beside(s, r, c, -1)], ArrowRight: [r, beside(s, r, c, 1)], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], PageUp: [r - 16, c],
			PageDown: [r + 16, c], Home: [r, 0], End: [r, s.columns - 1] }[e.key];
		if (to) {
			e.preventDefault();
			point(...(at ? to : [0, s.kinds && s.value(0, 0) === null ? beside(s, 0, 0, 1) : 0]));
		}
	});
	return { nodes: [holder, legend.node, readout], redraw() { at = null; readout.replaceChildren(hint); draw(); } };
}
