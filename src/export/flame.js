/* SPDX-License-Identifier: MIT */
/* A flame graph's script: zoom, search, what a box says. No names of its own in the page. */
(function () {
  const side = 10, width = 1200 - 2 * side, letter = 6.6;
  const says = document.getElementById("says"), note = document.getElementById("note");
  const help = note.textContent;
  const boxes = Array.from(document.querySelectorAll("g"), (g) => {
    const [title, rect, text] = [g.querySelector("title"), g.querySelector("rect"),
                                 g.querySelector("text")];
    const words = title.textContent;
    return { g, rect, text, words, name: words.replace(/ \([^(]*\)$/, ""),
             x: (rect.x.baseVal.value - side) / width, w: rect.width.baseVal.value / width,
             y: rect.y.baseVal.value };
  });
  let found = "";

  function label(box, pixels) {
    const letters = Math.floor((pixels - 4) / letter);
    const name = box.name;
    box.text.textContent =
      letters < 3 ? "" : name.length > letters ? name.slice(0, letters - 2) + ".." : name;
  }

  /* The picture is as wide as the window, and as high as it needs to be then. */
  function fit() {
    const svg = document.documentElement;
    if (svg.localName !== "svg") /* a page is around it, which sees to that */
      return;
    const box = svg.viewBox.baseVal;
    /* Once more when a scroll bar has taken its place. */
    for (let i = 0; i < 2; i++) {
      const inside = window.visualViewport ? window.visualViewport.width : window.innerWidth;
      svg.setAttribute("width", inside);
      svg.setAttribute("height", Math.ceil(box.height * inside / box.width));
    }
  }

  /* The box becomes as wide as the picture, and so do its callers. */
  function zoom(to) {
    const near = 1e-6;
    for (const box of boxes) {
      const above = box.y < to.y && box.x <= to.x + near && box.x + box.w >= to.x + to.w - near;
      const inside = box.y >= to.y && box.x >= to.x - near && box.x + box.w <= to.x + to.w + near;
      box.g.style.display = above || inside ? "" : "none";
      box.g.classList.toggle("above", above);
      if (!above && !inside)
        continue;
      const x = above ? side : side + (box.x - to.x) / to.w * width;
      const pixels = above ? width : box.w / to.w * width;
      box.rect.setAttribute("x", x);
      box.rect.setAttribute("width", pixels);
      box.text.setAttribute("x", x + 3);
      label(box, pixels);
    }
  }

  function find(pattern) {
    let test;
    try {
      test = new RegExp(pattern, "i");
    } catch (e) {
      note.textContent = "'" + pattern + "' is no pattern";
      return;
    }
    found = pattern;
    /* What lies below a box that was found is in it: it counts once. */
    const parts = [];
    for (const box of boxes) {
      const hit = pattern !== "" && test.test(box.name);
      box.g.classList.toggle("found", hit);
      if (hit)
        parts.push([box.x, box.x + box.w]);
    }
    parts.sort((a, b) => a[0] - b[0]);
    let sum = 0, end = 0;
    for (const [from, to] of parts) {
      sum += Math.max(0, to - Math.max(from, end));
      end = Math.max(end, to);
    }
    note.textContent = pattern === "" ? help :
      "'" + pattern + "': " + parts.length + " boxes, " + (100 * sum).toFixed(1) + " %";
  }

  for (const box of boxes) {
    box.g.addEventListener("mouseover", () => { says.textContent = box.words; });
    box.g.addEventListener("focus", () => { says.textContent = box.words; });
    box.g.addEventListener("click", () => zoom(box));
    box.g.addEventListener("keydown", (e) => {
      if (e.key === "Enter")
        zoom(box);
    });
  }
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") {
      zoom(boxes[0]);
      find("");
    } else if (e.key === "/" || (e.key === "f" && e.ctrlKey)) {
      e.preventDefault();
      const pattern = prompt("Find functions (a pattern; nothing: none)", found);
      if (pattern !== null)
        find(pattern);
    }
  });
  window.addEventListener("resize", fit);
  fit();
})();
