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

  // Charts are drawn anew for what is watched, and what was open stays open.
  const watched = document.getElementById("watched");
  const watch = async ({ address, seconds }) => {
    const told = document.getElementById("live");
    let version = null;
    for (;;) {
      try {
        const state = await (await fetch(`${address}&kind=state`)).json();
        told.textContent = state.told;
        if (version !== null && state.version !== version) {
          const body = await (await fetch(`${address}&kind=body`)).text();
          const open = [...document.querySelectorAll("details[open]")].map((each) => each.id);
          document.getElementById("report").innerHTML = body;
          for (const id of open) document.getElementById(id)?.setAttribute("open", "");
          await drawAll();
        }
        version = state.version;
      } catch {
        told.textContent = "No answer: seedbed watch has ended. This page shows what was there last.";
      }
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  };

  drawAll();
  if (watched !== null) watch(JSON.parse(watched.textContent));
})();
