/* The timeline ---------------------------------------------------------------------------- */

/*
 * All of the trace in steps, and single slices where the view is close enough and the window has
 * them: data is what timechartjson.c writes. Times in here are ns from the trace's begin.
 */
const TL = { labels: 190, ruler: 20, sum: 44, bar: 12, nest: 9, gap: 5,
             slice: 0, region: 1, instant: 2, wake: 3,
             states: ["running", "ready", "syscall", "waiting", "unknown"],
             words: ["running", "ready", "in a call", "waiting", "unknown"] };

const firstBehind = (list, want) => { /* the first whose end lies behind */
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].end > want)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
};

/* A moment, as precise as `step` is. */
function moment(ns, step) {
  const scale = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  const [unit, name] = scale.find(([u]) => ns >= u) || scale[3];
  return (ns / unit).toFixed(Math.max(0, Math.ceil(Math.log10(unit / step)))) + " " + name;
}

function timelineLanes(data) {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const value = Object.fromEntries([...digits].map((c, i) => [c, i / 63]));
  const origin = data.window.begin_ns - data.begin_ns;
  const lanes = data.lanes.map((l, index) => ({ ...l, index, begin: l.begin_ns - data.begin_ns,
    end: l.end_ns - data.begin_ns, steps: [...l.steps].map((c) => value[c]), depth: 0,
    slices: [], regions: [], instants: [], woken: [] }));
  const wakes = [], items = data.window.items;
  for (let i = 0; i < items.length; i += 6) {
    const [kind, at, begin, length, name, detail] = items.slice(i, i + 6);
    const lane = lanes[at];
    const item = { kind, lane, begin: origin + begin, end: origin + begin + length, detail,
                   name: data.names[name] };
    if (kind === TL.slice) {
      lane.slices.push(item);
    } else if (kind === TL.region) {
      lane.regions.push(item);
      lane.depth = Math.max(lane.depth, detail + 1);
    } else if (kind === TL.instant) {
      item.text = data.names[detail];
      lane.instants.push(item);
    } else {
      item.other = lanes[detail];
      item.other.woken.push(item);
      wakes.push(item);
    }
  }
  return { lanes, wakes };
}

function timeline(data, what) {
  const span = Math.max(1, data.end_ns - data.begin_ns);
  const exact = data.window.begin_ns - data.begin_ns;
  const { lanes, wakes } = timelineLanes(data);
  const most = Math.max(1, ...data.all.map((s) => (s[0] + s[2] + s[1]) / 100));
  const view = { from: 0, to: span };
  let order = lanes, chosen = null, selected = null, queued = false;

  const canvas = element("canvas", { tabindex: "0", role: "application",
    "aria-label": "timeline: arrows move, + and - zoom, Home shows all, n and p step from slice " +
                  "to slice" });
  const spacer = element("div");
  const box = element("div", { class: "timeline" }, canvas, spacer);
  const says = element("p", { class: "note says", "aria-live": "polite" });
  const pen = canvas.getContext("2d");

  /* Places */

  const height = (lane) => TL.bar + TL.nest * lane.depth + TL.gap;
  const top = TL.ruler + TL.sum;
  const width = () => Math.max(10, box.clientWidth - TL.labels);
  const x = (ns) => TL.labels + (ns - view.from) / (view.to - view.from) * width();
  const at = (pixel) => view.from + (pixel - TL.labels) / width() * (view.to - view.from);

  function arrange() {
    let y = top;
    for (const lane of order) {
      lane.y = y;
      y += height(lane);
    }
    const visible = Math.min(y + 2, Math.max(240, innerHeight * 0.6));
    box.style.height = visible + "px";
    spacer.style.height = y + 2 + "px";
    spacer.style.marginTop = -visible + "px";
    redraw();
  }

  /* Drawing */

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue("--" + name).trim();
    return { fore: get("fore"), dim: get("dim"), line: get("line"), back: get("back"),
             head: get("head"), link: get("link"), bad: get("bad"),
             running: get("running"), ready: get("ready"), syscall: get("syscall"),
             waiting: get("waiting"), unknown: get("head") };
  }

  function stacked(left, right, bottom, full, parts, colour) {
    let y = bottom;
    parts.forEach((part, i) => {
      if (!part)
        return;
      const h = Math.min(full, Math.max(0.5, full * part)), begin = Math.round(left);
      pen.fillStyle = colour[TL.states[i]];
      pen.fillRect(begin, y - h, Math.max(1, Math.round(right) - begin), h);
      y -= h;
    });
  }

  function drawRuler(colour) {
    const round = [1, 2, 5], aim = (view.to - view.from) / width() * 110;
    let step = Math.pow(10, Math.floor(Math.log10(Math.max(1, aim))));
    step *= round.find((r) => r * step >= aim) || 10;
    pen.fillStyle = colour.dim;
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
      pen.fillRect(x(t), 0, 1, TL.ruler);
      pen.fillText(moment(t, step), x(t) + 4, 13);
    }
    pen.fillStyle = colour.link;
    pen.fillRect(Math.max(TL.labels, x(exact)), TL.ruler - 3,
                 Math.max(0, x(span) - Math.max(TL.labels, x(exact))), 3);
  }

  function drawSum(colour) {
    const bottom = top - 4, full = TL.sum - 8;
    const first = Math.max(0, Math.floor(view.from / data.step_ns));
    for (let i = first; i < data.all.length && i * data.step_ns < view.to; i++) {
      const left = Math.max(TL.labels, x(i * data.step_ns));
      stacked(left, x((i + 1) * data.step_ns), bottom, full,
              [data.all[i][0], data.all[i][1], data.all[i][2]].map((v) => v / 100 / most),
              colour);
    }
  }

  function drawSteps(lane, from, to, bottom, colour) {
    for (let i = 0; i < lane.steps.length; i += 3) {
      const begin = (lane.from + i / 3) * data.step_ns, end = begin + data.step_ns;
      if (end > from && begin < to)
        stacked(Math.max(TL.labels, x(Math.max(begin, from))), x(Math.min(end, to)), bottom,
                TL.bar, lane.steps.slice(i, i + 3), colour);
    }
  }

  function drawSlices(lane, y, colour) {
    for (let i = firstBehind(lane.slices, view.from); i < lane.slices.length; i++) {
      const s = lane.slices[i];
      if (s.begin > view.to)
        break;
      if (s.detail === 3)
        continue;
      const left = Math.max(TL.labels, x(Math.max(s.begin, exact))), right = x(s.end);
      pen.fillStyle = colour[TL.states[s.detail]];
      pen.fillRect(left, y, Math.max(1, right - left), TL.bar);
    }
  }

  function drawRegions(lane, y, colour) {
    lane.regions.forEach((r) => {
      if (r.end < view.from || r.begin > view.to)
        return;
      const left = Math.max(TL.labels, x(r.begin)), wide = Math.max(1, x(r.end) - left);
      const line = y + TL.bar + 1 + TL.nest * r.detail;
      pen.fillStyle = colour.link;
      pen.globalAlpha = 0.35;
      pen.fillRect(left, line, wide, TL.nest - 1);
      pen.globalAlpha = 1;
      if (wide > 30)
        word(r.name, left + 2, line + TL.nest - 2, wide - 4, colour.fore);
    });
    pen.fillStyle = colour.bad;
    lane.instants.forEach((i) => {
      if (i.begin >= view.from && i.begin <= view.to)
        pen.fillRect(x(i.begin) - 1, y - 2, 2, 5);
    });
  }

  function word(text, left, base, wide, colour) {
    pen.save();
    pen.beginPath();
    pen.rect(left, base - 12, wide, 16);
    pen.clip();
    pen.fillStyle = colour;
    pen.fillText(text, left, base);
    pen.restore();
  }

  function drawWakes(colour, scroll, visible) {
    const inside = wakes.filter((w) => w.begin >= view.from && w.begin <= view.to &&
      w.lane.y !== undefined && w.other.y !== undefined);
    pen.fillStyle = colour.fore;
    pen.globalAlpha = 0.5;
    if (inside.length <= 60)
      for (const w of inside) {
        const a = w.lane.y - scroll + TL.bar / 2, b = w.other.y - scroll + TL.bar / 2;
        const from = Math.max(top, Math.min(a, b)), to = Math.min(visible, Math.max(a, b));
        if (to > from)
          pen.fillRect(x(w.begin), from, 1, to - from);
        if (b > top)
          pen.fillRect(x(w.begin) - 2, b - 2, 5, 5);
      }
    pen.globalAlpha = 1;
  }

  function drawLane(lane, y, colour) {
    const steps = data.step_ns / (view.to - view.from) * width() <= 2;
    const begin = x(lane.begin), end = x(lane.end);
    pen.fillStyle = colour.waiting;
    if (end > TL.labels)
      pen.fillRect(Math.max(TL.labels, begin), y + TL.bar / 2 - 1,
                   Math.max(1, end - Math.max(TL.labels, begin)), 2);
    drawSteps(lane, view.from, steps ? view.to : Math.min(exact, view.to), y + TL.bar, colour);
    if (!steps)
      drawSlices(lane, y, colour);
    drawRegions(lane, y, colour);
    pen.fillStyle = colour.back;
    pen.fillRect(0, y - TL.gap, TL.labels, height(lane));
    word(lane.id + " " + lane.name, 4, y + TL.bar - 2, TL.labels - 10,
         lane === chosen ? colour.link : colour.fore);
  }

  function drawSelected(colour, scroll) {
    if (!selected || selected.lane.y - scroll < top - TL.bar)
      return;
    const region = selected.kind === TL.region;
    const y = selected.lane.y - scroll + (region ? TL.bar + 1 + TL.nest * selected.detail : 0);
    pen.strokeStyle = colour.fore;
    pen.lineWidth = 2;
    pen.strokeRect(Math.max(TL.labels, x(selected.begin)), y,
                   Math.max(2, x(selected.end) - Math.max(TL.labels, x(selected.begin))),
                   region ? TL.nest - 1 : TL.bar);
  }

  function draw() {
    queued = false;
    const colour = colours(), ratio = devicePixelRatio || 1;
    const wide = box.clientWidth, visible = box.clientHeight, scroll = box.scrollTop;
    canvas.width = wide * ratio;
    canvas.height = visible * ratio;
    canvas.style.width = wide + "px";
    canvas.style.height = visible + "px";
    pen.scale(ratio, ratio);
    pen.font = "11px system-ui, sans-serif";
    for (const lane of order)
      if (lane.y - scroll < visible && lane.y - scroll + height(lane) > top)
        drawLane(lane, lane.y - scroll, colour);
    drawWakes(colour, scroll, visible);
    drawSelected(colour, scroll);
    pen.fillStyle = colour.back;
    pen.fillRect(0, 0, wide, top - 2);
    drawRuler(colour);
    drawSum(colour);
    pen.fillStyle = colour.back;
    pen.fillRect(0, 0, TL.labels, top - 2);
    word("at most " + most.toFixed(1) + " at once", 4, top - 16, TL.labels - 10, colour.dim);
    pen.fillStyle = colour.line;
    pen.fillRect(0, top - 3, wide, 1);
    pen.fillRect(TL.labels - 1, 0, 1, visible);
  }

  function redraw() {
    if (!queued)
      requestAnimationFrame(draw);
    queued = true;
  }

  /* Moving */

  function show(from, to) {
    const length = Math.min(span, Math.max(20, to - from));
    view.from = Math.min(Math.max(0, from), span - length);
    view.to = view.from + length;
    canvas.dataset.from = view.from;
    canvas.dataset.to = view.to;
    redraw();
  }

  function zoom(factor, around) {
    const middle = around === undefined ? (view.from + view.to) / 2 : around;
    show(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);
  }

  const pan = (part) => show(view.from + part * (view.to - view.from),
                             view.to + part * (view.to - view.from));

  /* Telling */

  const waker = (item) => item.lane.woken.find((w) => w.begin === item.begin);

  function tell(item) {
    const name = item.lane.id + " " + item.lane.name + ": ";
    const when = ", from " + moment(item.begin, 1) + " on";
    if (item.kind === TL.region)
      return name + "region " + item.name + ", " + time(item.end - item.begin) + when;
    if (item.kind === TL.instant)
      return name + item.name + " " + item.text + " at " + moment(item.begin, 1);
    const by = item.detail === 1 ? waker(item) : null;
    return name + TL.words[item.detail] +
      (item.detail === 3 && item.name !== "waiting" ? " for " + item.name
       : item.detail === 2 && item.name !== "system call" ? ", " + item.name : "") + ", " +
      time(item.end - item.begin) + when +
      (by ? "; made ready by " + by.lane.id + " " + by.lane.name : "");
  }

  function tellStep(lane, ns) {
    const step = Math.floor(ns / data.step_ns), i = 3 * (step - lane.from);
    const parts = i >= 0 && i < lane.steps.length ? lane.steps.slice(i, i + 3) : [0, 0, 0];
    return lane.id + " " + lane.name + ": from " + time(step * data.step_ns) + " on, of " +
      time(data.step_ns) + ": " + parts.map((p, k) =>
        (100 * p).toFixed(0) + " % " + TL.words[k]).join(", ") +
      (ns < exact ? "; single events are known from " + time(exact) + " on" : "");
  }

  function choose(item) {
    selected = item;
    chosen = item.lane;
    says.textContent = tell(item);
    redraw();
  }

  function find(lane, ns, y) {
    const depth = Math.floor((y - lane.y - TL.bar) / TL.nest), near = (at(1) - at(0)) * 4;
    const region = lane.regions.find((r) => r.detail === depth && r.begin <= ns && r.end >= ns);
    const mark = lane.instants.find((i) => Math.abs(i.begin - ns) < near && y < lane.y + 3);
    const slice = lane.slices[firstBehind(lane.slices, ns)];
    return region || mark || (slice && slice.begin <= ns && ns >= exact ? slice : null);
  }

  function click(event) {
    const ns = at(event.offsetX), y = event.offsetY + box.scrollTop;
    const lane = event.offsetY < top ? null
      : order.find((l) => y >= l.y - 2 && y < l.y - 2 + height(l));
    if (!lane)
      return;
    chosen = lane;
    const item = event.offsetX > TL.labels ? find(lane, ns, y) : null;
    if (item) {
      choose(item);
      return;
    }
    selected = null;
    says.textContent = event.offsetX > TL.labels && ns >= lane.begin && ns <= lane.end
      ? tellStep(lane, ns)
      : lane.id + " " + lane.name + ": lived " + time(lane.end - lane.begin) + ", busy for " +
        time(lane.busy_ns);
    redraw();
  }

  /* To the next slice of the chosen lane, or the one before. */
  function step(by) {
    const lane = chosen || order.find((l) => l.slices.length);
    if (!lane || !lane.slices.length)
      return;
    const now = selected && selected.lane === lane ? lane.slices.indexOf(selected) : -1;
    const from = now >= 0 ? now + by : firstBehind(lane.slices, (view.from + view.to) / 2);
    const item = lane.slices[Math.min(lane.slices.length - 1, Math.max(0, from))];
    const length = view.to - view.from;
    if (item.begin < view.from || item.end > view.to)
      show((item.begin + item.end - length) / 2, (item.begin + item.end + length) / 2);
    choose(item);
  }

  function chooseLane(by) {
    const i = Math.min(order.length - 1, Math.max(0, order.indexOf(chosen) + by));
    chosen = order[i];
    selected = null;
    says.textContent = chosen.id + " " + chosen.name;
    if (chosen.y - box.scrollTop < top)
      box.scrollTop = chosen.y - top;
    if (chosen.y + height(chosen) > box.scrollTop + box.clientHeight)
      box.scrollTop = chosen.y + height(chosen) - box.clientHeight;
    redraw();
  }

  const keys = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
    w: () => zoom(0.5), s: () => zoom(2), a: () => pan(-0.2), d: () => pan(0.2),
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), Home: () => show(0, span),
    End: () => show(exact, span), ArrowUp: () => chooseLane(-1), ArrowDown: () => chooseLane(1),
    n: () => step(1), p: () => step(-1),
    Enter: () => selected && show(selected.begin - (selected.end - selected.begin) / 2,
                                  selected.end + (selected.end - selected.begin) / 2) };

  canvas.addEventListener("keydown", (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
    if (!act)
      return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey)
      return; /* it scrolls */
    event.preventDefault();
    if (event.shiftKey)
      pan((event.deltaY || event.deltaX) / 1000);
    else
      zoom(Math.exp(event.deltaY / 400), at(event.offsetX));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(0.25, at(event.offsetX)));
  let grabbed = null;
  canvas.addEventListener("pointerdown", (event) => {
    grabbed = { x: event.offsetX, from: view.from, to: view.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!grabbed)
      return;
    const by = (grabbed.x - event.offsetX) / width() * (grabbed.to - grabbed.from);
    grabbed.moved = grabbed.moved || Math.abs(grabbed.x - event.offsetX) > 3;
    if (grabbed.moved)
      show(grabbed.from + by, grabbed.to + by);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (grabbed && !grabbed.moved)
      click(event);
    grabbed = null;
  });
  box.addEventListener("scroll", redraw);
  addEventListener("resize", arrange);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  /* Around it */

  const filter = element("input", { type: "search", placeholder: what, "aria-label":
    "only " + what + " with this in their names", oninput: () => sort() });
  const busiest = element("select", { "aria-label": "order", onchange: () => sort() },
    element("option", null, "first come first"), element("option", null, "busiest first"));
  function sort() {
    const want = filter.value.toLowerCase();
    lanes.forEach((lane) => { lane.y = undefined; });
    order = lanes.filter((l) => (l.id + " " + l.name).toLowerCase().includes(want));
    if (busiest.selectedIndex)
      order.sort((a, b) => b.busy_ns - a.busy_ns);
    arrange();
  }
  const button = (text, act) => element("button", { type: "button", onclick: act }, text);
  const tools = element("div", { class: "tools" }, filter, busiest, button("all", keys.Home),
    button("single events", keys.End), button("+", keys["+"]), button("−", keys["-"]));
  const help = element("p", { class: "note" },
    (lanes.length < data.lanes_total ? "The busiest " + lanes.length + " of " +
      count(data.lanes_total) + " " + what + ". " : "") +
    "Drag to move, Ctrl and wheel or double click to zoom, click for what it is; keys: arrows, " +
    "+, −, Home, n and p for the next slice and the one before. " +
    (exact > 0 ? "Under the blue line each single event is here, before it only steps of " +
      time(data.step_ns) + " (--from and --to choose another part)." : ""));
  says.textContent = "\u00a0";
  new ResizeObserver(arrange).observe(box);
  show(0, span);
  arrange();
  return element("div", null, tools, box, says, help);
}
