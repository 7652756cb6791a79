// The values under the pointer, for every chart of the page; nothing is fetched.
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const chart = JSON.parse(figure.dataset.chart), svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor"), tip = figure.querySelector(".tip");
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * chart.width;
    const epoch = Math.round(chart.x0 + (at - chart.left) / (chart.right - chart.left) * (chart.x1 - chart.x0));
    const lines = [];
    for (const series of chart.series) {
      const i = series.x.indexOf(epoch);
      if (i >= 0) lines.push(`${series.name}: ${series.text[i]}`);
    }
    if (!lines.length) return hide();
    const x = chart.left + (epoch - chart.x0) / (chart.x1 - chart.x0 || 1) * (chart.right - chart.left);
    cursor.setAttribute("x1", x); cursor.setAttribute("x2", x);
    tip.replaceChildren(...[`epoch ${epoch}`, ...lines].map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    const left = x / chart.width * box.width;
    tip.style.left = `${Math.min(left + 14, box.width - tip.offsetWidth)}px`;
    tip.style.top = "40px";
    cursor.style.visibility = tip.style.visibility = "visible";
  };
  const hide = () => { cursor.style.visibility = tip.style.visibility = "hidden"; };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerleave", hide);
}
