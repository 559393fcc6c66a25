"use strict";
// tables are sorted by a column when its name is pressed: numbers the largest first, then the other way round
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0], column = head.cellIndex;
    const numeric = head.classList.contains("num"), was = head.getAttribute("aria-sort");
    const falling = was ? was === "ascending" : numeric;
    const key = (row) => { const cell = row.cells[column]; return numeric ? Number(cell.dataset.sort ?? -1) : cell.dataset.sort ?? cell.textContent; };
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      return (falling ? -1 : 1) * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
    });
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...rows);
  });
}
