"use strict";
(() => {
  const WIDTH = 620; // of charts as they are described
  const views = new Map();

  const read = (kind, key) => JSON.parse(document.querySelector(`script[data-${kind}="${CSS.escape(key)}"]`).textContent);

  // The description with another width wherever it has the usual one.
  const narrowed = (value, width) => {
    if (Array.isArray(value)) return value.map((each) => narrowed(each, width));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [
        name, name === "width" && each === WIDTH ? width : name === "values" ? each : narrowed(each, width),
      ]),
    );
  };

  const embed = async (place, spec) => {
    const embedded = await vegaEmbed(place, spec, { renderer: "svg", actions: false });
    views.get(place)?.finalize();
    views.set(place, embedded);
    return place.querySelector("svg");
  };

  const draw = async (place) => {
    const spec = read("spec", place.dataset.chart);
    const drawn = await embed(place, spec);
    const room = place.clientWidth;
    const wide = Number(drawn.getAttribute("width"));
    if (wide > room && room > 0) {
      await embed(place, narrowed(spec, Math.max(140, Math.floor(WIDTH - (wide - room)) - 4)));
    }
    place.dataset.drawn = "yes";
  };

  const drawAll = async () => {
    for (const place of document.querySelectorAll(".chart")) {
      try {
        await draw(place);
      } catch (error) {
        place.textContent = `This chart could not be drawn: ${error}`;
        console.error(error);
      }
    }
    document.documentElement.dataset.drawn = "yes";
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
    const { view } = views.get(place);
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
