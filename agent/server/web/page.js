// Answers as they come, pictures by paste and drop, and names to choose from. The page works without any of it.
"use strict";

const ask = document.getElementById("ask");
if (ask) begin(ask);

function begin(ask) {
  const byId = (id) => document.getElementById(id);
  const say = ask.dataset;
  const question = byId("question"), files = byId("pictures"), status = byId("status"), draft = byId("draft");
  const stop = byId("stop"), chosen = byId("chosen"), problem = byId("problem");
  const LARGEST = 25e6, EVERY = 30;
  const idle = document.title;
  let running = null;

  // --- what is said: one place, and not word by word

  const tell = (text) => { status.textContent = text; };
  const title = (text) => { document.title = `${text} - looktwice`; };

  function fail(text, lang = "") {
    const link = document.createElement("a");
    if (lang) link.lang = lang;
    link.href = "#question";
    link.textContent = text;
    byId("problem-text").replaceChildren(link);
    problem.hidden = false;
    question.setAttribute("aria-invalid", "true");
    question.setAttribute("aria-describedby", "problem-text question-hint");
    title(say.failedTitle);
    tell(`${say.failed}: ${text}`);
  }

  function clearProblem() {
    problem.hidden = true;
    question.removeAttribute("aria-invalid");
    question.setAttribute("aria-describedby", "question-hint");
  }

  // --- asking

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.classList.contains("asks")) return;
    event.preventDefault();
    if (!running) send(form);
  });
  stop.addEventListener("click", () => { question.focus(); running?.abort(); });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask.requestSubmit();
  });

  async function send(form) {
    const began = Date.now();
    running = new AbortController();
    clearProblem();
    title(say.answeringTitle);
    tell(say.answering);
    setBusy(true);
    const clock = setInterval(() => {
      tell(say.still.replace("{seconds}", String(Math.round((Date.now() - began) / 1000))));
    }, EVERY * 1000);
    try {
      const options = { method: "POST", body: new FormData(form), headers: { Accept: "text/event-stream" } };
      const response = await fetch(form.action, { ...options, signal: running.signal });
      if (!response.ok) throw new Told(await reason(response));
      await follow(response, form);
    } catch (error) {
      if (error.name === "AbortError") await stopped();
      else if (error instanceof Told) fail(error.message, error.lang);
      else fail(say.lost);
    } finally {
      clearInterval(clock);
      running = null;
      setBusy(false);
      draft.hidden = true;
      draft.textContent = "";
    }
  }

  async function stopped() {
    await new Promise((done) => setTimeout(done, 300)); // until the server has kept what came
    await reload(location.href);
    document.title = idle;
    tell(say.stopped);
  }

  class Told extends Error {
    constructor(told) { super(told.failed); this.lang = told.lang; }
  }

  async function reason(response) {
    try { return await response.json(); } catch { return { failed: say.lost }; }
  }

  function setBusy(is) {
    for (const button of document.querySelectorAll("form.asks button:not([type])")) {
      if (is) button.setAttribute("aria-disabled", "true"); else button.removeAttribute("aria-disabled");
    }
    stop.hidden = !is;
  }

  async function follow(response, form) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", end = null;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const pieces = (rest + value).split("\n\n");
      rest = pieces.pop();
      for (const piece of pieces) if (piece.startsWith("data: ")) end = heard(JSON.parse(piece.slice(6))) ?? end;
    }
    if (!end) throw new Told({ failed: say.lost });
    await reload(end.done);
    if (form === ask) { ask.reset(); list(); }
    title(say.answeredTitle);
    tell(end.answer ?? say.added);
  }

  function heard(told) {
    if (told.failed) throw new Told(told);
    if (told.text !== undefined) { draft.hidden = false; draft.textContent += told.text; }
    if (told.look) draft.textContent += `\n${told.look}\n`;
    return told.done ? told : null;
  }

  // The page as the server writes it; what is being written stays where it is, and so does the focus.
  async function reload(where) {
    const page = new DOMParser().parseFromString(await (await fetch(where)).text(), "text/html");
    for (const id of ["talk", "summary", "names", "whole"]) {
      const here = byId(id), there = page.getElementById(id);
      if (!here || !there) continue;
      const held = here.contains(document.activeElement) ? document.activeElement : null;
      here.replaceChildren(...there.childNodes);
      if (held) (again(here, held) ?? question).focus();
    }
    offer();
  }

  // The same button in what the server has written anew.
  const again = (here, held) => [...here.querySelectorAll("button")]
    .find((button) => held.form && button.form?.action === held.form.action && button.textContent === held.textContent);

  // --- pictures

  byId("drop-hint").hidden = false;
  files.addEventListener("change", () => list());
  document.addEventListener("paste", (event) => take(event.clipboardData, event));
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); ask.classList.add("over"); }
  });
  document.addEventListener("dragleave", () => ask.classList.remove("over"));
  document.addEventListener("drop", (event) => { ask.classList.remove("over"); take(event.dataTransfer, event); });

  function take(transfer, event) {
    const pictures = [...transfer.files].filter((file) => file.type.startsWith("image/"));
    if (!pictures.length) return;
    event.preventDefault();
    keep([...files.files, ...pictures]);
  }

  function keep(wanted) {
    const transfer = new DataTransfer();
    for (const file of wanted) transfer.items.add(file);
    files.files = transfer.files;
    list();
  }

  function list() {
    const large = [...files.files].find((file) => file.size > LARGEST);
    if (large) {
      keep([...files.files].filter((file) => file.size <= LARGEST));
      fail(say.large.replace("{file}", large.name).replace("{size}", String(LARGEST / 1e6)));
      return;
    }
    const all = [...files.files];
    chosen.replaceChildren(...all.map((file) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = say.remove.replace("{file}", file.name);
      button.addEventListener("click", () => { keep(all.filter((other) => other !== file)); files.focus(); });
      item.append(button);
      return item;
    }));
    chosen.hidden = !all.length;
    if (all.length) tell(say.chosen.replace("{files}", all.map((file) => file.name).join(", ")));
  }

  // --- names: after an "@" those that begin so, else all

  const begun = () => question.value.slice(0, question.selectionStart).match(/(?:^|[^\p{L}\p{N}_\\/@])@([\p{L}\p{N}_.-]*)$/u);

  function offer() {
    const names = byId("names"), written = begun()?.[1].toLowerCase() ?? "";
    for (const button of names.querySelectorAll("button")) {
      button.parentElement.hidden = !button.dataset.name.toLowerCase().startsWith(written);
    }
    names.hidden = !names.querySelector("li:not([hidden])");
  }

  question.addEventListener("input", offer);
  byId("names").addEventListener("click", (event) => {
    const name = event.target.dataset.name;
    if (!name) return;
    const at = question.selectionStart, start = begun() ? at - begun()[1].length - 1 : at;
    const gap = start > 0 && !/\s/.test(question.value[start - 1]) ? " " : "";
    question.setRangeText(`${gap}@${name} `, start, at, "end");
    question.focus();
    offer();
  });
  offer();
}
