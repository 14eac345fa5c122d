"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  name();

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const value = (row, column) => {
      const cell = row.cells[column], given = cell.dataset.v;
      if (given === "") return null;
      return given === undefined ? cell.textContent.trim() : Number(given);
    };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      if (head.dataset.tip) button.setAttribute("aria-description", head.dataset.tip);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const compare = (a, b) => {
          const x = value(a, column), y = value(b, column);
          if (x === null || y === null) return (x === null) - (y === null);
          const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
          return up ? order : -order;
        };
        body.append(...[...body.rows].sort(compare));
      });
    });
  };
  const ready = () => document.querySelectorAll("table.sortable").forEach(sortable);
  document.addEventListener("limbeck-new", ready);
  ready();

  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (event) => {
    const target = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (!target) return hide();
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect(), x = event.clientX + 14, y = event.clientY + 14;
    tip.style.left = `${Math.max(4, Math.min(x, innerWidth - box.width - 4))}px`;
    tip.style.top = `${y + box.height > innerHeight - 4 ? Math.max(4, event.clientY - box.height - 10) : y}px`;
  };
  document.addEventListener("focusin", (event) => {
    const target = event.target.closest("[data-tip]");
    if (!target || !event.target.matches(":focus-visible")) return;
    const box = target.getBoundingClientRect();
    show({ target, clientX: box.left, clientY: box.bottom });
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("pointerleave", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true });
})();
