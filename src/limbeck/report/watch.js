"use strict";
(() => {
  const root = document.documentElement, status = document.getElementById("live"), calm = status.textContent;
  const refresh = async (state) => {
    const text = await (await fetch(location.pathname)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const open = new Set([...document.querySelectorAll("details[open] > summary")].map((part) => part.textContent));
    const sorts = [...document.querySelectorAll("th[aria-sort]")].map((head) =>
      [[...document.querySelectorAll("table.sortable")].indexOf(head.closest("table")), head.cellIndex, head.ariaSort]);
    document.title = fresh.title;
    document.querySelector("header > div").replaceWith(fresh.querySelector("header > div"));
    document.querySelector("main").replaceWith(fresh.querySelector("main"));
    for (const part of document.querySelectorAll("details > summary")) part.parentNode.open = open.has(part.textContent);
    document.dispatchEvent(new Event("limbeck-new"));
    const tables = document.querySelectorAll("table.sortable");
    for (const [table, column, way] of sorts) {
      const button = tables[table]?.tHead.rows[0].cells[column]?.querySelector("button");
      if (button) { button.click(); if (way === "descending") button.click(); }
    }
    root.dataset.live = state;
  };
  const look = async () => {
    try {
      const { state } = await (await fetch(`/state${location.pathname === "/" ? "" : location.pathname}`)).json();
      if (state !== root.dataset.live) await refresh(state);
      status.textContent = calm;
    } catch { status.textContent = "The server has stopped; this is the last state it showed."; }
    setTimeout(look, 1500);
  };
  setTimeout(look, 1500);
})();
