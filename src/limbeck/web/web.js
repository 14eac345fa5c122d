// Everything happens here: the drawing is fitted into the models' input, both models answer, both are timed.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

const $ = (id) => document.getElementById(id);
const draw = $("draw"), pen = draw.getContext("2d", { willReadFrequently: true });
const state = { facts: null, sessions: [], pixels: null, answers: null, busy: Promise.resolve(), ready: false, asked: 0 };
window.limbeck = state; // for whoever looks from the console

const words = {
  bytes: (n) => (n < 1e3 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toPrecision(3)} kB` : `${(n / 1e6).toPrecision(3)} MB`),
  percent: (p) => `${(100 * p).toFixed(1)} %`,
  ms: (t) => `${t < 10 ? t.toPrecision(2) : t.toFixed(0)} ms`,
};

const element = (kind, css, text) => {
  const made = document.createElement(kind);
  if (css) made.className = css;
  if (text !== undefined) made.textContent = text;
  return made;
};

function panel(model, classes) {
  const box = element("article", `model ${model.name}`);
  box.append(element("h2", "", model.name), element("div", "answer", "–"), element("p", "sure", ""));
  const bars = element("div", "bars");
  const shown = classes.slice(0, 10).map((name) => {
    const fill = element("i", "fill"), track = element("div", "track"), share = element("span", "", "");
    track.append(fill);
    const label = element("div", "", name);
    bars.append(label, track, share);
    return { label, fill, share };
  });
  const facts = element("dl", "facts");
  const rows = [["file size", words.bytes(model.bytes)], ["parameters", model.parameters.toLocaleString("en")]];
  if (model.accuracy !== null) rows.push(["test accuracy", words.percent(model.accuracy)]);
  rows.push(["latency, in this browser", "–"]);
  for (const [name, value] of rows) facts.append(element("dt", "", name), element("dd", "", value));
  box.append(bars, facts);
  $("answers").append(box);
  return { box, shown, time: facts.lastElementChild };
}

function show(view, logits, classes, took) {
  const top = Math.max(...logits), raised = logits.map((v) => Math.exp(v - top));
  const sum = raised.reduce((a, b) => a + b, 0), shares = raised.map((v) => v / sum);
  const order = shares.map((share, k) => [share, k]).sort((a, b) => b[0] - a[0]);
  const name = classes[order[0][1]], answer = view.box.querySelector(".answer");
  answer.textContent = name;
  answer.classList.toggle("long", name.length > 4);
  view.box.querySelector(".sure").textContent = `${words.percent(order[0][0])} confidence, next ${classes[order[1][1]]}`;
  const places = classes.length > view.shown.length ? order.slice(0, view.shown.length).map((pair) => pair[1]) : classes.keys();
  [...places].forEach((k, at) => {
    const row = view.shown[at];
    row.label.textContent = classes[k];
    row.fill.style.width = `${100 * shares[k]}%`;
    row.share.textContent = words.percent(shares[k]);
  });
  view.time.textContent = words.ms(took);
}

const grey = (level) => `rgb(${Array(3).fill(Math.round(255 * level)).join(" ")})`;

// The box of the strokes, scaled to fit inside the margin, its centre in the middle; each pixel is the mean of what it covers.
function fitted() {
  const [, height, width] = state.facts.shape, margin = state.facts.margin;
  const board = pen.getImageData(0, 0, draw.width, draw.height).data, size = draw.width, { paper, ink } = state.facts;
  const covered = (x, y) => Math.min(1, Math.max(0, (board[4 * (y * size + x)] / 255 - paper) / (ink - paper)));
  let left = size, right = -1, top = size, bottom = -1;
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (covered(x, y) > 0.16) {
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  const pixels = new Float32Array(height * width);
  if (right < 0) return null;
  const scale = Math.max((right - left + 1) / (width - 2 * margin), (bottom - top + 1) / (height - 2 * margin), 1);
  const x0 = (left + right + 1) / 2 - (scale * width) / 2, y0 = (top + bottom + 1) / 2 - (scale * height) / 2, steps = 6;
  for (let r = 0; r < height; r++) for (let c = 0; c < width; c++) {
    let sum = 0;
    for (let i = 0; i < steps; i++) for (let j = 0; j < steps; j++) {
      const x = Math.floor(x0 + scale * (c + (j + 0.5) / steps)), y = Math.floor(y0 + scale * (r + (i + 0.5) / steps));
      if (x >= 0 && y >= 0 && x < size && y < size) sum += covered(x, y);
    }
    pixels[r * width + c] = paper + (ink - paper) * (sum / (steps * steps));
  }
  return pixels;
}

function paint(canvas, pixels) {
  const [channels, height, width] = state.facts.shape, image = new ImageData(width, height), area = height * width;
  for (let k = 0; k < area; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = 255 * pixels[channels === 3 ? c * area + k : k];
    image.data[4 * k + 3] = 255;
  }
  canvas.width = width; canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function ask(pixels) {
  state.asked++;
  state.pixels = pixels;
  state.busy = state.busy.then(async () => {
    if (state.pixels !== pixels) return; // a newer one is on its way
    paint($("seen"), pixels);
    const answers = {};
    for (const { session, model, view } of state.sessions) {
      const feed = { [session.inputNames[0]]: new ort.Tensor("float32", pixels, [1, ...state.facts.shape]) };
      const first = await session.run(feed), times = 12, start = performance.now();
      for (let k = 0; k < times; k++) await session.run(feed);
      const logits = Array.from(first[session.outputNames[0]].data), took = (performance.now() - start) / times;
      answers[model.name] = logits;
      show(view, logits, state.facts.classes, took);
    }
    state.answers = answers;
    $("status").textContent = "Both models ran on this machine; nothing was sent anywhere.";
  });
  return state.busy;
}

function drawing() {
  let last = null;
  const at = (event) => { const box = draw.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const line = (from, to) => {
    pen.strokeStyle = grey(state.facts.ink); pen.lineWidth = 24; pen.lineCap = pen.lineJoin = "round";
    pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
  };
  draw.addEventListener("pointerdown", (event) => {
    if (state.sample) clear();
    draw.setPointerCapture(event.pointerId); last = at(event); line(last, last); $("hint").hidden = true;
  });
  draw.addEventListener("pointermove", (event) => { if (last) { const now = at(event); line(last, now); last = now; } });
  for (const kind of ["pointerup", "pointercancel"]) draw.addEventListener(kind, () => {
    if (!last) return;
    last = null;
    const pixels = fitted();
    if (pixels) ask(pixels);
  });
}

function clear() {
  pen.fillStyle = grey(state.facts.paper); pen.fillRect(0, 0, draw.width, draw.height);
  state.sample = null; state.answers = null; $("hint").hidden = state.facts.shape[0] !== 1;
  for (const button of $("samples").children) button.setAttribute("aria-pressed", "false");
}

function samples() {
  const { samples: list } = state.facts;
  $("samples-words").textContent = list.length ? "or one of the test images" : "";
  for (const sample of list) {
    const bytes = Uint8Array.from(atob(sample.pixels), (c) => c.charCodeAt(0)), pixels = Float32Array.from(bytes, (v) => v / 255);
    const button = element("button"), canvas = element("canvas");
    button.type = "button"; button.title = `labelled ${sample.label}`; button.setAttribute("aria-label", `test image labelled ${sample.label}`);
    button.append(canvas);
    paint(canvas, pixels);
    button.addEventListener("click", () => {
      clear();
      state.sample = sample; $("hint").hidden = true; button.setAttribute("aria-pressed", "true");
      pen.imageSmoothingEnabled = false; pen.drawImage(canvas, 0, 0, draw.width, draw.height);
      ask(pixels);
    });
    $("samples").append(button);
  }
}

async function start() {
  state.facts = await (await fetch("facts.json")).json();
  const [channels, height, width] = state.facts.shape;
  document.title = `${state.facts.data}: student and teacher`;
  $("title").textContent = channels === 1 ? "Draw, and compare the predictions" : "Choose, and compare the predictions";
  const drawn = state.facts.paper > state.facts.ink ? "dark on light" : "light on dark";
  $("seen-words").textContent = `input: ${width} × ${height} pixels` + (channels === 1 ? `, ${drawn} as in the data` : "");
  for (const model of state.facts.models) {
    const session = await ort.InferenceSession.create(model.file, { executionProviders: ["wasm"] });
    state.sessions.push({ session, model, view: panel(model, state.facts.classes) });
  }
  clear();
  samples();
  if (channels === 1) drawing();
  state.ready = true;
  $("status").textContent = "Ready. Nothing that you draw leaves this machine.";
}

$("clear").addEventListener("click", clear);
start().catch((error) => { $("status").textContent = `Error: ${error.message}`; throw error; });
