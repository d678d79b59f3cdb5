"use strict";
(() => {
  const WIDTH = 620; // of charts as they are described
  const ROOM = 800; // for a chart in a page that is not shown yet
  const LETTER = 8; // pixels of a letter of an axis's title, at most about
  const DATA = new Set(["datasets", "values"]); // of a description: what holds data, not words of its own
  const views = new Map();

  const read = (kind, key) => JSON.parse(document.querySelector(`script[data-${kind}="${CSS.escape(key)}"]`).textContent);

  // Words in lines of so many characters at most; a longer word is cut.
  const lined = (text, most) => {
    const lines = [""];
    for (const word of text.split(" ").flatMap((each) => each.match(new RegExp(`.{1,${most}}`, "gsu")) ?? [])) {
      const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
      if (longer.length <= most) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  };

  // The description for so much room: drawn so wide, titles of horizontal axes in lines, long labels cut.
  const fitted = (value, width, room) => {
    if (Array.isArray(value)) return value.map((each) => fitted(each, width, room));
    if (value === null || typeof value !== "object") return value;
    const made = {};
    for (const [name, each] of Object.entries(value)) {
      if (DATA.has(name)) made[name] = each;
      else if (name === "width" && each === WIDTH) made[name] = width;
      else if (name === "labelLimit") made[name] = Math.min(each, Math.floor(0.4 * room));
      else if (name === "columns") made[name] = Math.max(1, Math.min(each, Math.floor(room / 300)));
      else made[name] = fitted(each, width, room);
      if (name === "x" && typeof each?.title === "string") {
        made.x.title = lined(each.title, Math.max(20, Math.floor(room / LETTER)));
      }
    }
    return made;
  };

  const forget = (place) => {
    views.get(place)?.finalize();
    views.delete(place);
  };

  // What is told of a mark, without what is not known: the end of an interval that there is none of.
  const formatTooltip = (told, escaped) => {
    const rows = Object.entries(Object(told)).filter(([, each]) => each !== "null");
    const cells = ([name, each]) => `<td class="key">${escaped(name)}</td><td class="value">${escaped(each)}</td>`;
    return `<table>${rows.map((row) => `<tr>${cells(row)}</tr>`).join("")}</table>`;
  };

  const embed = async (place, spec) => {
    const embedded = await vegaEmbed(place, spec, { renderer: "svg", actions: false, tooltip: { formatTooltip } });
    forget(place);
    views.set(place, embedded);
    for (const mark of place.querySelectorAll('[aria-label*=": null"]')) {
      mark.setAttribute("aria-label", mark.getAttribute("aria-label").replace(/; [^;:]*: null(?=;|$)/g, ""));
    }
    return place.querySelector("svg");
  };

  const draw = async (place) => {
    const spec = read("spec", place.dataset.chart);
    const room = place.clientWidth || ROOM;
    const wide = Number((await embed(place, fitted(spec, WIDTH, room))).getAttribute("width"));
    if (wide > room) await embed(place, fitted(spec, Math.max(140, Math.floor(WIDTH - (wide - room)) - 4), room));
    place.dataset.drawn = "yes";
  };

  let asked = 0; // how often all charts were to be drawn
  let drawing = Promise.resolve();

  const drawOnce = async (time) => {
    for (const place of [...views.keys()]) {
      if (!place.isConnected) forget(place); // of a page that is watched: it was replaced
    }
    for (const place of document.querySelectorAll(".chart")) {
      if (time !== asked) return; // what was asked for since is drawn instead
      try {
        await draw(place);
      } catch (error) {
        forget(place);
        place.dataset.drawn = "no";
        place.textContent = `This chart could not be drawn: ${error}`;
        console.error(error);
      }
    }
    if (time === asked) document.documentElement.dataset.drawn = "yes";
  };

  const drawAll = () => {
    const time = ++asked;
    delete document.documentElement.dataset.drawn;
    drawing = drawing.then(() => drawOnce(time)); // one after the other: two would draw over each other
    return drawing;
  };

  const save = (name, content, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-save]");
    if (button === null) return;
    const place = button.closest("figure").querySelector(".chart");
    const name = `${place.dataset.name}.${button.dataset.save}`;
    if (button.dataset.save === "csv") {
      save(name, read("csv", place.dataset.chart), "text/csv");
      return;
    }
    const view = views.get(place)?.view;
    if (view === undefined) return; // the chart could not be drawn, and says so
    if (button.dataset.save === "svg") {
      save(name, await view.toSVG(), "image/svg+xml");
    } else {
      const canvas = await view.toCanvas(3);
      canvas.toBlob((blob) => save(name, blob));
    }
  });

  let width = window.innerWidth;
  let waiting;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // a phone's browser hides its address, and that is no other width
    width = window.innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 250);
  });

  // What is shown gives way to another body: what was open, in focus or in view stays so, and each chart until the one
  // that follows it is drawn.
  const report = document.getElementById("report");
  const replace = async (body) => {
    const open = [...report.querySelectorAll("details[open]")].map((each) => each.id);
    const before = new Map([...report.querySelectorAll(".chart")].map((each) => [each.dataset.chart, each]));
    const holder = report.contains(document.activeElement) ? document.activeElement.closest("[id]") : null;
    const focused = holder === null ? -1 : [...holder.querySelectorAll("*")].indexOf(document.activeElement);
    for (const embedded of views.values()) embedded.finalize();
    views.clear();
    report.innerHTML = body;
    document.title = `${report.querySelector("h1").textContent} - Seedbed`;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const place of report.querySelectorAll(".chart")) {
      const old = before.get(place.dataset.chart);
      if (old !== undefined) place.replaceChildren(...old.childNodes);
    }
    if (focused >= 0) {
      document.getElementById(holder.id)?.querySelectorAll("*")[focused]?.focus({ preventScroll: true });
    }
    await drawAll();
  };

  const write = (id, text) => {
    const place = document.getElementById(id);
    if (place.textContent !== text) place.textContent = text;
  };

  // Asks whether runs have ended, while anybody looks.
  const watch = async ({ version, seconds }) => {
    for (;;) {
      while (document.hidden) {
        await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
      }
      let state = null;
      try {
        state = await (await fetch(`state?shown=${encodeURIComponent(version)}`)).json();
      } catch {
        write("trouble", "No answer: seedbed watch has ended. This page shows what was there last.");
      }
      if (state !== null) {
        write("told", state.told);
        write("trouble", state.trouble);
        if (state.body !== undefined) {
          version = state.version;
          await replace(state.body);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  };

  const watched = document.getElementById("watched");
  drawAll().then(() => {
    if (watched !== null) watch(JSON.parse(watched.textContent));
  });
})();
