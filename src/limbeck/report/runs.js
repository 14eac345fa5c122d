"use strict";
(() => {
  const kept = { find: "", by: {}, picked: [] };
  const ready = () => {
    const form = document.getElementById("filters");
    if (!form) return;
    const find = document.getElementById("find"), side = document.getElementById("side"), count = document.getElementById("count");
    const rows = [...document.querySelectorAll(".runs tbody tr")], selects = [...form.querySelectorAll("select")];
    const boxes = [...document.querySelectorAll(".runs input[type=checkbox]")];
    find.value = kept.find;
    for (const select of selects) select.value = kept.by[select.dataset.by] || "";
    for (const box of boxes) box.checked = kept.picked.includes(box.value);
    const apply = () => {
      kept.find = find.value;
      for (const select of selects) kept.by[select.dataset.by] = select.value;
      const words = kept.find.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word)) && selects.every((s) => !s.value || row.dataset[s.dataset.by] === s.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} of ${rows.length} shown`;
    };
    const pick = () => {
      kept.picked = boxes.filter((box) => box.checked).map((box) => box.value);
      side.disabled = kept.picked.length !== 2;
      side.textContent = kept.picked.length === 2 ? "Side by side" : `Side by side: choose two (${kept.picked.length})`;
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", apply);
    for (const box of boxes) box.addEventListener("change", pick);
    side.addEventListener("click", () => { location.href = `/side/${kept.picked.join("/")}`; });
    apply();
    pick();
  };
  document.addEventListener("limbeck-new", ready);
  ready();
})();
