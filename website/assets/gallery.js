"use strict";
(() => {
  const form = document.getElementById("gallery-filters");
  if (!form) return;
  const find = document.getElementById("gallery-find"), count = document.getElementById("gallery-count");
  const cards = [...document.querySelectorAll(".gallery article")], selects = [...form.querySelectorAll("select")];
  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const fits = words.every((word) => card.dataset.words.includes(word)) &&
        selects.every((s) => !s.value || card.dataset[s.dataset.by].split("|").includes(s.value));
      card.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${cards.length} methods`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  apply();
})();
