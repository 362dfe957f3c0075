"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

// Colours are names of page.css's variables, so that light and dark differ in one place.
function painted(node, style) {
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const scale = (...names) => names.map((name, i) => [i / (names.length - 1), color(name)]);
  if (node === "@@areas") return scale("low", "middle", "high");
  if (node === "@@threads") return scale("thin", "thread", "strong");
  if (typeof node === "string") return node.startsWith("@@") ? color(node.slice(2)) || node : node;
  if (Array.isArray(node)) return node.map((item) => painted(item, style));
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, painted(value, style)]));
}

function draw(place) {
  const style = getComputedStyle(document.documentElement);
  const { data, layout } = painted(figures[place.dataset.figure], style);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const base = {
    paper_bgcolor: color("surface"), plot_bgcolor: color("surface"), autosize: true,
    font: { family: "system-ui, sans-serif", size: 12, color: color("ink") },
    hoverlabel: { bgcolor: color("raised"), bordercolor: color("muted"), font: { color: color("ink") }, align: "left" },
  };
  Plotly.react(place, data, { ...base, ...layout }, { responsive: true, displayModeBar: false, scrollZoom: false });
  place.dataset.drawn = "yes";
}

const places = [...document.querySelectorAll(".chart")];
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && !target.dataset.drawn) draw(target);
  }
}, { rootMargin: "600px" });
places.forEach((place) => seen.observe(place));
dark.addEventListener("change", () => places.filter((place) => place.dataset.drawn).forEach(draw));
addEventListener("beforeprint", () => places.filter((place) => !place.dataset.drawn).forEach(draw));

// A click sorts, another one turns the order; what has no value stays at the end.
function sortBy(button) {
  const head = button.closest("th");
  const body = head.closest("table").tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value !== undefined ? Number(cell.dataset.value) : head.dataset.numbers ? null : cell.textContent;
  };
  const keyed = [...body.rows].map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return down ? -order : order;
  });
  body.append(...keyed.map(([, row]) => row));
}
document.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => sortBy(button)));

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch { // not allowed in a local file by some browsers
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
