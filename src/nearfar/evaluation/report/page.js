(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const wish = new URLSearchParams(location.hash.slice(1)).get("theme");
  root.classList.toggle("dark", wish ? wish === "dark" : dark.matches);
  document.getElementById("theme").onclick = () => { root.classList.toggle("dark"); draw && draw(); };
  let draw = null;
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const canvas = document.getElementById("points"), tip = document.getElementById("tip"), legend = document.getElementById("legend");
  const pen = canvas.getContext("2d"), off = new Set();
  const own = data.legend, others = -2;
  const keyOf = data.labels.map((l) => l < 0 ? -1 : own.includes(l) ? l : others);
  const keys = [...own, ...[others, -1].filter((k) => keyOf.includes(k))];
  const called = (k) => k === -1 ? "unlabelled" : k === others ? `${data.present - own.length} other classes` : data.classes[k];
  const colour = (k) => {
    if (k < 0) return k === others ? "#8a8f95" : "#c9ccd0";
    const i = own.indexOf(k), ring = own.length > 12 ? i % 2 * 18 : 0;  // neighbours in hue differ in lightness
    return `hsl(${(i * 360 / own.length + 210) % 360} 62% ${(root.classList.contains("dark") ? 74 : 56) - ring}%)`;
  };
  let places = [];
  draw = () => {
    const w = canvas.clientWidth, h = canvas.clientHeight, r = devicePixelRatio || 1, pad = 14;
    canvas.width = w * r; canvas.height = h * r; pen.setTransform(r, 0, 0, r, 0, 0); pen.clearRect(0, 0, w, h);
    places = data.xy.map(([x, y]) => [pad + x * (w - 2 * pad), pad + (1 - y) * (h - 2 * pad)]);
    places.forEach(([x, y], i) => {
      if (off.has(keyOf[i])) return;
      pen.globalAlpha = .8; pen.fillStyle = colour(keyOf[i]); pen.beginPath(); pen.arc(x, y, 4, 0, 7); pen.fill();
    });
    legend.querySelectorAll("i").forEach((e) => { e.style.background = colour(+e.dataset.label); });
  };
  if (own.length) keys.forEach((l) => {
    const key = document.createElement("button"), dot = document.createElement("i");
    dot.dataset.label = l; key.append(dot, called(l));
    key.onclick = () => {
      const alone = off.size === keys.length - 1 && !off.has(l);
      off.clear(); if (!alone) keys.forEach((o) => o !== l && off.add(o));
      legend.querySelectorAll("button").forEach((b) => b.classList.toggle("off", off.has(+b.firstChild.dataset.label)));
      draw();
    };
    legend.append(key);
  });
  canvas.onmousemove = (e) => {
    let best = -1, near = 144;
    places.forEach(([x, y], i) => {
      const d = (x - e.offsetX) ** 2 + (y - e.offsetY) ** 2;
      if (d < near && !off.has(keyOf[i])) { near = d; best = i; }
    });
    tip.hidden = best < 0;
    if (best < 0) return;
    const zoom = 80 / data.thumb, column = best % data.side, row = Math.floor(best / data.side);
    tip.firstChild.style.cssText = `background:url(${data.sprite}) ${-column * 80}px ${-row * 80}px/${data.side * data.thumb * zoom}px auto`;
    const label = data.labels[best] >= 0 ? data.classes[data.labels[best]] + " · " : "";
    tip.lastChild.textContent = label + data.names[best];
    const left = places[best][0] + 14;
    tip.style.left = `${left + 110 > canvas.clientWidth ? left - 130 : left}px`;
    tip.style.top = `${Math.min(places[best][1] + 10, canvas.clientHeight - 110)}px`;
  };
  canvas.onmouseleave = () => { tip.hidden = true; };
  addEventListener("resize", draw);
  draw();
})();
