"use strict";
// The report's page. What models wrote, and names of a configuration, are put in as texts alone: nothing of the data
// becomes markup, a style's text or an address.

const data = JSON.parse(document.getElementById("report-data").textContent);
const PAGE_SIZE = 25;
const MISSING = "–";
const FATES = { won: "gain", lost: "loss", missing: "gap" };

/* Elements */

// An element with properties, and children that are elements or texts. Attributes come under `attributes`.
function make(name, { attributes = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const text = (name, content, className = "") => make(name, { textContent: content, className });

function table({ caption = null, headings, names = 1, className = "", label = caption }, rows) {
  const head = headings.map((heading, place) =>
    make("th", { textContent: heading, className: place < names ? "name" : "", attributes: { scope: "col" } }));
  const body = rows.map((row) => (row instanceof Node ? row : tableRow(row, names)));
  const made = make("table", { className, attributes: { "aria-label": label } },
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  // Wide tables scroll, also by the keyboard.
  const wide = make("div", { className: "wide", tabIndex: 0, attributes: { role: "region", "aria-label": label } }, made);
  return make("div", {}, caption && text("p", caption, "quiet"), wide);
}

function tableRow(cells, names = 1, className = "") {
  const made = cells.map((cell, place) => {
    const content = cell instanceof Node ? cell : document.createTextNode(cell);
    if (place < names) return make("th", { className: "name", attributes: { scope: "row" } }, content);
    return make("td", {}, content);
  });
  return make("tr", { className }, ...made);
}

// What is opened on demand is drawn then.
function folded(title, draw) {
  const made = make("details", {}, text("summary", title));
  made.addEventListener("toggle", () => made.children.length === 1 && made.append(draw()), { once: true });
  return made;
}

const plural = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;
const whole = (count) => count.toLocaleString("en");
const signed = (number) => (number >= 0 ? "+" : "−") + Math.abs(number).toFixed(2);

/* Overview: claims, tables, figures */

function drawOverview(view) {
  const count = (rows, what) => new Set(rows.map(what)).size;
  const [published, own] = [true, false].map((is) => data.records.filter((one) => (one.checkpoint === "published") === is));
  const measured = [
    own.length ? plural(count(own, (one) => JSON.stringify([one.model, one.checkpoint])), "checkpoint") : null,
    published.length ? plural(count(published, (one) => one.model), "baseline") : null,
  ].filter(Boolean).join(" and ");
  const seeds = own.length ? `, ${plural(count(own, (one) => one.seed), "seed")}` : "";
  const where = data.iterations.length ? "Scores opens their items, Data what became of the pairs." : "Scores opens their items.";
  view.append(text("p", `${measured || "Nothing measured"} in ${plural(data.benchmarks.length, "benchmark")}${seeds}. ${where}`,
    "quiet"));
  if (data.claims.length) view.append(...claims());
  if (data.tables.length) view.append(text("h2", "Tables"));
  for (const shown of data.tables) view.append(...declaredTable(shown));
  if (data.figures.length) {
    view.append(text("h2", "Figures"), make("div", { className: "figures" }, ...data.figures.map(figure)));
  }
  if (!data.tables.length && !data.figures.length) {
    view.append(text("p", "This configuration declares no table and no figure; the scores and the data are beside."));
  }
}

function claims() {
  const words = { met: ["met", "gain"], smaller: ["same direction, smaller", "gap"], "not met": ["not met", "loss"],
    missing: ["missing", "gap"] };
  const rows = data.claims.map((claim) => {
    const [word, kind] = words[claim.verdict];
    const badge = make("td", {}, text("span", word, `badge ${kind}`));
    if (claim.missing) badge.append(text("small", `we lack ${claim.missing}`));
    const row = tableRow([claim.claim, claim.printed, claim.ours]);
    row.append(badge);
    return row;
  });
  return [text("h2", "Claims"),
    table({ headings: ["claim", "printed", "ours", ""], label: "Claims of the paper" }, rows),
    text("p", "Met: our change goes the printed way and is, in the printed decimals, at least as large. No test stands behind it.", "quiet")];
}

function declaredTable(shown) {
  let opened = "";
  const rows = shown.lines.map((line, place) => {
    const opens = shown.names > 1 && line[0] && line[0] !== opened && place > 0;
    opened = line[0] || opened;
    return tableRow(line, shown.names, opens ? "group" : "");
  });
  const options = { caption: shown.caption, headings: shown.headings, names: shown.names };
  const { headings, rows: numbers } = shown.numbers;
  return [text("h3", shown.name), table(options, rows),
    shown.notes.length ? make("ul", { className: "notes" }, ...shown.notes.map((note) => text("li", note))) : null,
    folded(`Every number of ${shown.name}.csv`, () =>
      table({ headings, names: 0, className: "numbers", label: `${shown.name}.csv` }, numbers)),
  ].filter(Boolean);
}

function figure(shown) {
  const image = make("img", { alt: shown.caption });
  image.src = shown.address; // an image that the page holds: nothing in it runs
  return make("figure", {}, text("h3", shown.name), image);
}

/* Scores: each checkpoint in each benchmark */

function drawScores(view) {
  view.append(text("h2", "Scores"));
  view.append(text("p", "Each checkpoint's main metric in each benchmark, as the tables have it; below it the " +
    "difference to the base model. Open a score to read its items.", "quiet"));
  const headings = ["", ...data.benchmarks.map((benchmark) => benchmark.name)];
  const bases = new Map(data.checkpoints.filter((row) => row.checkpoint === "base").map((row) => [row.model, row]));
  let model = null;
  const rows = data.checkpoints.map((row) => {
    const several = new Set(data.checkpoints.map((other) => other.model)).size > 1;
    const name = make("span", {}, several ? `${row.model} ${row.name}` : row.name);
    const cells = row.cells.map((cell, place) => scoreCell(cell, bases.get(row.model), row, place));
    const opens = model !== null && model !== row.model;
    model = row.model;
    return tableRow([name, ...cells], 1, opens ? "group" : "");
  });
  const shown = table({ headings, className: "scores", label: "Scores" }, rows);
  for (const [place, heading] of [...shown.querySelectorAll("thead th")].entries()) {
    if (place) heading.append(text("small", data.benchmarks[place - 1].metric));
  }
  view.append(shown);
}

function scoreCell(cell, base, row, place) {
  if (!cell) return MISSING;
  const before = base && base !== row ? base.cells[place] : null;
  const content = [text("span", `${cell.text} ${cell.spread}`.trim())];
  if (before && before.value !== null && cell.value !== null) {
    const change = Math.round(100 * (cell.value - before.value)) / 100; // as it is shown
    content.push(text("small", `${signed(change)} to base`, change > 0 ? "gain" : change < 0 ? "loss" : ""));
  }
  if (cell.missing) content.push(text("small", `${whole(cell.missing)} missing`, "gap"));
  const label = `${row.model} ${row.name}, ${data.benchmarks[place].name}: ${cell.text}; show its items`;
  const button = make("button", { type: "button", className: "cell", attributes: { "aria-label": label } }, ...content);
  button.addEventListener("click", () => { location.hash = `items-${cell.records[0]}`; });
  return button;
}

/* Files of data beside the page */

const files = new Map(); // name of a file → what is waited for
const waiting = new Map(); // name of a file → who is told

// Each file of data calls this with its name and content.
function receive(name, content) {
  waiting.get(name)?.(content);
}
window.receive = receive;

const addresses = window.trustedTypes?.createPolicy("data-files", {
  createScriptURL(address) {
    if (!/^(items\/\d+|times)\.js$/.test(address)) throw new TypeError("This is no file of data.");
    return address;
  },
});

// name: the number of a file of items, or "times".
function load(name) {
  if (!files.has(name)) {
    files.set(name, new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const address = name === "times" ? "times.js" : `items/${Number(name)}.js`;
      const script = document.createElement("script");
      script.src = addresses ? addresses.createScriptURL(address) : address;
      script.onerror = () => { files.delete(name); reject(new Error(`${address} does not lie beside this page.`)); };
      document.head.append(script);
    }));
  }
  return files.get(name);
}

/* Items of one result record */

async function openItems(view, number) {
  const record = data.records[number];
  view.replaceChildren(text("p", "Loading the items…", "quiet"));
  const benchmark = data.benchmarks[record.benchmark];
  // The first iteration's previous checkpoint is the base model.
  const others = [
    { name: "the iteration before", number: record.previous === record.base ? null : record.previous },
    { name: "the base model", number: record.base },
  ].filter((other) => other.number !== null);
  try {
    const loaded = [load(benchmark.texts), load(number), ...others.map((other) => load(other.number))];
    const [shared, own, ...rest] = await Promise.all(loaded);
    if (currentRecord() === number) drawItems(view, { record, number, benchmark, others, shared, own, rest });
  } catch (error) {
    view.replaceChildren(text("p", error.message, "notice"));
  }
}

// The items as they are shown: each with its row before, and whether it was won or lost.
function joined({ shared, own, rest, others, record, benchmark }) {
  const before = rest.map((rows) => new Map(rows.map((row) => [row[0], row])));
  const binary = own.every((row) => row[5] === null || row[5] === 0 || row[5] === 1);
  const words = benchmark.kind === "alpaca_eval" ? WINNERS : binary && benchmark.kind !== "mt_bench" ? RIGHT : null;
  return own.map((row, place) => {
    const [key, prompt, reference, answer, judgment, value] = row;
    const item = { place, name: shared.names[key], prompt: shared.texts[prompt], reference: shared.texts[reference],
      answers: [{ name: record.checkpoint === "published" ? "published" : "this checkpoint", answer, judgment, value }] };
    for (const [number, other] of others.entries()) {
      const found = before[number].get(key);
      if (found) item.answers.push({ name: other.name, answer: found[3], judgment: found[4], value: found[5], other: number });
    }
    item.verdict = (value) => verdict(value, words, record.metric);
    return item;
  });
}

const RIGHT = { 1: "right", 0: "wrong" };
const WINNERS = { 1: "wins", 0: "draw", [-1]: "loses" };

// A preference from 0 to 1 is for the model above a half.
const winner = (value) => Math.sign(value - 0.5);

function verdict(value, words, metric) {
  if (value === null) return metric === null ? "" : "missing";
  if (words) return words[words === WINNERS ? winner(value) : value];
  return Number.isInteger(value) ? String(value) : value.toFixed(3).replace(/\.?0+$/, "").replace("-", "−");
}

// Won: better than before; of preferences, with a better outcome.
function fateOf(item, against, metric, kind) {
  const value = item.answers[0].value;
  if (value === null) return metric === null ? "same" : "missing";
  const before = item.answers.find((answer) => answer.other === against);
  if (!before || before.value === null) return "same";
  const [now, then] = [value, before.value].map(kind === "alpaca_eval" ? winner : Number);
  return now === then ? "same" : now > then ? "won" : "lost";
}

const SORTS = {
  "flips first": (a, b) => rank(a) - rank(b) || b.change - a.change || a.place - b.place,
  "as in the benchmark": (a, b) => a.place - b.place,
  "lowest value first": (a, b) => valueOf(a) - valueOf(b) || a.place - b.place,
  "highest value first": (a, b) => valueOf(b) - valueOf(a) || a.place - b.place,
};
const rank = (item) => ({ lost: 0, won: 0, missing: 1, same: 2 })[item.fate];
const valueOf = (item) => item.answers[0].value ?? -Infinity;

function drawItems(view, opened) {
  const { record, number, benchmark, others } = opened;
  const items = joined(opened);
  for (const item of items) {
    item.searched = [item.name, item.prompt, item.reference, ...item.answers.flatMap((a) => [a.answer, a.judgment])]
      .join("\n").toLowerCase();
  }
  const state = { against: 0, fate: "all", sought: "", sort: "flips first", page: 0 };
  const list = make("div", {});
  const status = make("p", { className: "quiet", attributes: { role: "status" } });
  const fates = make("span", { className: "buttons", attributes: { role: "group", "aria-label": "Which items" } });
  const pages = [pager(), pager()];

  function pager() {
    const back = make("button", { type: "button", textContent: "‹ Before" });
    const next = make("button", { type: "button", textContent: "Next ›" });
    const where = text("span", "", "quiet");
    back.addEventListener("click", () => turn(-1));
    next.addEventListener("click", () => turn(1));
    return { back, next, where, shown: make("div", { className: "controls" }, back, where, next) };
  }

  function turn(by) {
    state.page += by;
    draw();
    pages[0].shown.scrollIntoView({ block: "nearest" });
  }

  function compare() {
    for (const item of items) {
      item.fate = fateOf(item, state.against, record.metric, benchmark.kind);
      const before = item.answers.find((answer) => answer.other === state.against);
      item.change = before ? Math.abs(item.answers[0].value - before.value) : 0;
    }
  }

  function draw() {
    const found = items.filter((item) => !state.sought || item.searched.includes(state.sought));
    const counts = { all: found.length, won: 0, lost: 0, missing: 0 };
    for (const item of found) if (item.fate in counts) counts[item.fate] += 1;
    const shown = found.filter((item) => state.fate === "all" || item.fate === state.fate).sort(SORTS[state.sort]);
    const last = Math.max(0, Math.ceil(shown.length / PAGE_SIZE) - 1);
    state.page = Math.min(Math.max(state.page, 0), last);
    drawFates(counts);
    const start = state.page * PAGE_SIZE;
    const page = shown.slice(start, start + PAGE_SIZE);
    status.textContent = shown.length
      ? `Items ${whole(start + 1)} to ${whole(start + page.length)} of ${whole(shown.length)}` : "No item fits.";
    for (const { back, next, where, shown: controls } of pages) {
      back.disabled = state.page === 0;
      next.disabled = state.page === last;
      where.textContent = `page ${whole(state.page + 1)} of ${whole(last + 1)}`;
      controls.hidden = last === 0;
    }
    list.replaceChildren(...page.map((item) => card(item, benchmark)));
  }

  function drawFates(counts) {
    if (!fates.children.length) {
      for (const fate of Object.keys(counts)) {
        const button = make("button", { type: "button", attributes: { "data-fate": fate } });
        button.addEventListener("click", () => { Object.assign(state, { fate, page: 0 }); draw(); });
        fates.append(button);
      }
    }
    for (const button of fates.children) {
      const fate = button.dataset.fate;
      button.textContent = `${fate} ${whole(counts[fate])}`;
      button.setAttribute("aria-pressed", String(state.fate === fate));
    }
  }

  function choice(label, options, set) {
    const select = make("select", {}, ...options.map((option, place) => make("option", { value: place, textContent: option })));
    select.addEventListener("change", () => { set(Number(select.value)); state.page = 0; draw(); });
    return make("label", {}, label, select);
  }

  const search = make("input", { type: "search", placeholder: "in prompts and answers" });
  let pause = 0;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => { Object.assign(state, { sought: search.value.toLowerCase(), page: 0 }); draw(); }, 120);
  });
  const sorts = Object.keys(SORTS);
  const parts = [
    ...itemsHeading(record, number, benchmark),
    make("div", { className: "controls" },
      fates,
      make("label", {}, "Search", search),
      choice("Sort", sorts, (place) => { state.sort = sorts[place]; }),
      others.length > 1
        ? choice("Won and lost against", others.map((other) => other.name), (place) => { state.against = place; compare(); })
        : null),
    others.length ? null : text("p", "Nothing was measured before it that its items could be won or lost against.", "quiet"),
    status, pages[0].shown, list, pages[1].shown,
  ];
  view.replaceChildren(...parts.filter(Boolean));
  compare();
  draw();
}

function itemsHeading(record, number, benchmark) {
  const row = data.checkpoints.find((one) => one.model === record.model && one.checkpoint === record.checkpoint);
  const cell = row.cells[record.benchmark];
  const made = [text("h2", `${record.model} ${row.name}: ${benchmark.name}`)];
  const seeds = cell.records.length > 1 ? ` over ${cell.records.length} seeds` : "";
  const score = [benchmark.metric, cell.text, cell.spread].filter(Boolean).join(" ");
  const drawn = record.shown < record.items ? `, of which ${record.shown}, drawn at random, are shown` : "";
  made.push(text("p", `${score}${seeds}; ${plural(record.items, "item")}${drawn}.`));
  if (record.metric === null) made.push(text("p", "No metric of this benchmark is a mean over its items.", "quiet"));
  else if (record.metric !== benchmark.metric) {
    made.push(text("p", `${benchmark.metric} is no mean over items; they are rated by ${record.metric}.`, "quiet"));
  }
  if (cell.records.length > 1) {
    const select = make("select", {}, ...cell.records.map((other) =>
      make("option", { value: other, textContent: data.records[other].seed, selected: other === number })));
    select.addEventListener("change", () => { location.hash = `items-${Number(select.value)}`; });
    made.push(make("div", { className: "controls" }, make("label", {}, "Seed", select)));
  }
  return made;
}

function card(item, benchmark) {
  const written = benchmark.kind === "programs" ? "text code" : "text";
  const heading = make("h3", {}, `Item ${item.name}`);
  if (item.fate !== "same") heading.append(text("span", item.fate, `badge ${FATES[item.fate]}`));
  const answers = item.answers.map((answer) => {
    const said = item.verdict(answer.value);
    const label = make("p", { className: "label" }, answer.name);
    const kind = { right: "gain", wins: "gain", wrong: "loss", loses: "loss", missing: "gap" }[said] || "";
    if (said) label.append(text("span", said, `badge ${kind}`));
    return make("div", { className: "answer" }, label, text("pre", answer.answer || "(empty)", written),
      answer.judgment ? text("div", answer.judgment, "judgment text") : null);
  });
  return make("article", { className: "item" }, heading,
    text("p", "Prompt", "label"), text("pre", item.prompt, written),
    item.reference ? text("p", "Reference", "label") : null,
    item.reference ? text("pre", item.reference, "text") : null,
    make("div", { className: "answers" }, ...answers));
}

/* Data: what became of the instructions and pairs of each iteration */

function drawData(view) {
  view.append(text("h2", "Data"));
  if (!data.iterations.length) {
    view.append(text("p", "Nothing was trained in this experiment."));
    return;
  }
  view.append(text("p", "What each iteration was made from: candidates for instructions, pairs of instruction and " +
    "answer, their scores, and what was kept. Examples are drawn by a seeded rule.", "quiet"));
  const groups = new Map();
  for (const shown of data.iterations) {
    const name = JSON.stringify([shown.model, shown.recipe]);
    groups.set(name, [...(groups.get(name) || []), shown]);
  }
  for (const shown of groups.values()) {
    view.append(text("h3", `${shown[0].model} ${shown[0].recipe}`), ...scoreShares(shown));
    for (const one of shown) view.append(folded(iterationTitle(one), () => funnel(one)));
  }
  view.querySelector("details").open = true;
}

const iterationName = (shown) => {
  const seeds = new Set(data.iterations.map((other) => other.seed)).size;
  return `iteration ${shown.iteration}${seeds > 1 ? `, seed ${shown.seed}` : ""}`;
};

function iterationTitle(shown) {
  const { kept, generated } = shown.pairs;
  return `${iterationName(shown)}: ${whole(kept)} of ${plural(generated, "pair")} kept`;
}

function scoreShares(iterations) {
  const criteria = new Set(iterations.flatMap((shown) => Object.keys(shown.scores)));
  return [...criteria].map((criterion) => {
    const rows = iterations.filter((shown) => shown.scores[criterion]).map((shown) => {
      const { histogram, missing, mean } = shown.scores[criterion];
      const counts = [...Object.values(histogram), missing];
      const all = counts.reduce((sum, count) => sum + count, 0);
      const row = tableRow([iterationName(shown), ...counts.map((count) => percent(count, all)),
        mean === null ? MISSING : mean.toFixed(2)]);
      for (const [place, count] of counts.entries()) {
        const cell = row.children[place + 1];
        cell.className = "share";
        cell.style.setProperty("--share", all ? count / all : 0);
        cell.title = plural(count, "pair");
      }
      return row;
    });
    const headings = ["", ...Object.keys(iterations[0].scores[criterion]?.histogram || {}), "missing", "mean"];
    return table({ caption: `Scores on ${criterion}: share of the assessed pairs, in per cent`, headings }, rows);
  });
}

const percent = (count, all) => (all ? ((100 * count) / all).toFixed(1) : MISSING);

function funnel(shown) {
  const { instructions, pairs } = shown;
  const rows = [];
  const step = (name, count, all) => rows.push(bar(name, count, all, ""));
  const losses = (reasons, all) => {
    for (const [reason, count] of Object.entries(reasons)) rows.push(bar(`− ${reason}`, count, all, "indented"));
  };
  step("instructions read", instructions.candidates, instructions.candidates);
  losses(instructions.rejected, instructions.candidates);
  step("instructions kept", instructions.kept, instructions.candidates);
  step("pairs to choose from", pairs.generated, pairs.generated);
  losses(pairs.rules, pairs.generated);
  if (pairs.scored !== null) step("pairs scored", pairs.scored, pairs.generated);
  const broken = new Set(Object.keys(pairs.rules));
  losses(Object.fromEntries(Object.entries(pairs.reasons).filter(([reason]) => !broken.has(reason))), pairs.generated);
  step("pairs kept", pairs.kept, pairs.generated);
  if (pairs.trained_on !== pairs.kept) step("pairs trained on", pairs.trained_on, pairs.generated);
  const made = make("div", {}, text("p", `Written by ${shown.sources.join(", ")}.`, "quiet"),
    table({ headings: ["", "count", "share in %", ""], label: "What became of them" }, rows));
  for (const { fate, examples } of shown.fates) {
    made.append(text("h4", `Pairs: ${fate}`), make("div", { className: "examples" }, ...examples.map(pairCard)));
  }
  for (const { reason, examples } of shown.rejected) {
    made.append(text("h4", `Candidates for instructions: ${reason}`),
      make("div", { className: "examples" }, ...examples.map(candidateCard)));
  }
  return made;
}

function bar(name, count, all, className) {
  const filled = make("span", {});
  filled.style.setProperty("--share", all ? count / all : 0);
  const row = tableRow([name, whole(count), percent(count, all)]);
  row.children[0].classList.toggle("indented", Boolean(className));
  row.append(make("td", { className: "bar" }, filled));
  return row;
}

function labelled(label, content) {
  return content ? [text("p", label, "label"), text("pre", content, "text")] : [];
}

function pairCard(pair) {
  return make("article", { className: "answer" }, make("p", { className: "label" }, pair.id, text("span", pair.scores)),
    ...labelled("Instruction", pair.instruction), ...labelled("Input", pair.input),
    ...labelled("Response", pair.response || "(empty)"));
}

function candidateCard(candidate) {
  return make("article", { className: "answer" }, ...labelled("Instruction", candidate.instruction || "(empty)"),
    ...labelled("Input", candidate.input), ...labelled("Like", candidate.near));
}

/* Run: what it cost, versions, configuration */

function drawRun(view) {
  view.append(text("h2", "What it cost"));
  if (data.costs.length) {
    const rows = data.costs.map((cost) => [cost.benchmark, whole(cost.requests), whole(cost.prompt_tokens),
      whole(cost.completion_tokens), cost.amounts.join(", ") || "not priced"]);
    const headings = ["judged in", "requests", "tokens read", "tokens written", "price"];
    view.append(table({ headings, caption: "What judges took, as the result records have it" }, rows));
  } else view.append(text("p", "No judge was asked."));
  const times = make("div", {});
  view.append(times);
  load("times").then((found) => { times.append(...stageTimes(found)); },
    (error) => { times.append(text("p", error.message, "notice")); });
  view.append(text("h2", "Versions"));
  view.append(data.versions.length
    ? table({ headings: ["package", "version"], names: 2, label: "Versions" },
      data.versions.map(({ package: name, versions }) => [name, versions.join(", ")]))
    : text("p", "No result record names a package."));
  view.append(text("h2", "Configuration"));
  view.append(folded("With every default, without what cannot change a result",
    () => text("pre", data.configuration, "text code")));
}

function stageTimes(times) {
  if (!times.length) return [];
  const rows = times.map((time) => [time.stage, whole(time.jobs), duration(time.seconds)]);
  const [jobs, seconds] = ["jobs", "seconds"].map((key) => times.reduce((sum, time) => sum + time[key], 0));
  rows.push(tableRow(["all", whole(jobs), duration(seconds)], 1, "group"));
  return [table({ headings: ["stage", "jobs", "time"],
    caption: "Time of the jobs that made these results, added up; jobs may have run side by side" }, rows)];
}

function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/* Which part is shown: by the address behind # */

const VIEWS = { overview: drawOverview, scores: drawScores, data: drawData, run: drawRun };

function currentRecord() {
  const found = /^#items-(\d+)$/.exec(location.hash);
  const number = found ? Number(found[1]) : null;
  return number !== null && number in data.records ? number : null;
}

function show({ focus = true } = {}) {
  const record = currentRecord();
  const named = location.hash.slice(1);
  if (named === "content") return; // of the link past the heading
  const shown = record !== null ? "items" : Object.hasOwn(VIEWS, named) ? named : "overview";
  for (const name of [...Object.keys(VIEWS), "items"]) document.getElementById(`view-${name}`).hidden = name !== shown;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === `#${shown === "items" ? "scores" : shown}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = shown;
  const view = document.getElementById(`view-${shown}`);
  if (record !== null) openItems(view, record);
  if (focus) {
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

document.getElementById("title").textContent = `I-SHEEP: ${data.name}`;
for (const [name, draw] of Object.entries(VIEWS)) draw(document.getElementById(`view-${name}`));
addEventListener("hashchange", show);
show({ focus: false });
